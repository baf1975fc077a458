"""Waiting for the store's notices: one thread an app that serves any number of waiting threads and coroutines."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from smallage.core.errors import StoreError
from smallage.stores.base import Store, Watch
from smallage.stores.shelter import sheltered

logger = logging.getLogger("smallage.watching")

REREAD: Final = 30.0
"""Seconds after which a waiter looks for itself, should a notice have been lost."""
PAUSE: Final = 1.0
"""Seconds before the store is asked again after an error."""


class Hub:
    """Who waits for which id. The thread starts with the first waiter."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self._watch: Watch | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._pause = threading.Event()

    def add(self, name: str, notify: Callable[[], None]) -> None:
        """Call `notify`, from the hub's thread, whenever the task or group `name` may have changed. What changes after
        this returns is told; read the state after it."""
        with sheltered():
            with self._lock:
                watch = self._watch or self._begin()
                self._waiting.setdefault(name, []).append(notify)
            watch.add((name,))

    def _begin(self) -> Watch:
        """With the lock held: the watch and the thread that serves it."""
        watch = self._watch = self._store.watch()
        self._thread = threading.Thread(target=self._serve, args=(watch,), name="smallage-watch", daemon=True)
        self._thread.start()
        return watch

    def discard(self, name: str, notify: Callable[[], None]) -> None:
        """Stop calling `notify`."""
        with sheltered(), self._lock:
            waiters = self._waiting.get(name, [])
            if notify in waiters:
                waiters.remove(notify)
            if waiters or name not in self._waiting:
                return
            del self._waiting[name]
            watch = self._watch
            if watch is not None:
                watch.discard((name,))

    def close(self) -> None:
        """End the thread; waiters look once more."""
        with self._lock:
            self._closed = True
            self._pause.set()
            watch, self._watch = self._watch, None
            thread = self._thread
        if watch is not None:
            watch.wake()
        self._tell(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)  # the store may be closed next, and the thread still has its subscription to end

    def _serve(self, watch: Watch) -> None:
        while not self._closed:
            try:
                changed = watch.wait(REREAD)
            except StoreError as error:
                logger.warning("Waiting for results: %s", error)
            except Exception:
                logger.exception("Waiting for results failed; trying again")
            else:
                if changed:
                    self._tell(changed)
                continue
            self._pause.wait(PAUSE)
            self._tell(None)
        watch.close()

    def _tell(self, names: set[str] | None) -> None:
        """Notify the waiters of these names, or all."""
        with self._lock:
            chosen = self._waiting if names is None else names
            notify = [one for name in chosen for one in self._waiting.get(name, ())]
        for one in notify:
            one()


class Waiter:
    """A thread's subscription to ids."""

    def __init__(self, hub: Hub, *names: str) -> None:
        self._hub = hub
        self._names = names
        self._event = threading.Event()

    def __enter__(self) -> Waiter:
        try:
            for name in self._names:
                self._hub.add(name, self._event.set)
        except BaseException:  # interrupted in between
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            self._hub.discard(name, self._event.set)

    def wait(self, timeout: float | None) -> bool:
        """True when something may have changed since the last call; False after `timeout` seconds."""
        told = self._event.wait(timeout)
        self._event.clear()
        return told
