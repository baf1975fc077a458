"""The part of an app that holds its store."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from smallage.app.configured import Configured
from smallage.core.store_url import chosen, complete, place
from smallage.places import caller_folder, store_url
from smallage.signals import Signal

if TYPE_CHECKING:
    from smallage.core.settings import Settings
    from smallage.stores.base import Store
    from smallage.watching import Hub


class Stored(Configured):
    """Where tasks go: the store's URL, the store itself, and who waits for its notices."""

    def __init__(self) -> None:
        super().__init__()
        self._home = caller_folder()
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._hub: Hub | None = None
        self.on_after_fork = Signal("on_after_fork")
        """Sent in a fork's child."""

    @property
    def url(self) -> str:
        """The store's URL, secrets and all: of the command line, else SMALLAGE_URL or CELERY_BROKER_URL, else what the
        code says, else `url` under `[tool.smallage]` in the nearest pyproject.toml, else REDIS_URL, else the file
        `.smallage/queue.db`. Raises ImproperlyConfigured for settings that contradict each other."""
        return complete(chosen(self.conf) or store_url(self._home), self.conf)

    @property
    def store(self) -> Store:
        """The store, opened at first use. Raises ImproperlyConfigured, StoreRefused or StoreUnavailable."""
        store = self._store
        if store is None:
            with self._lock:
                store = self._store
                if store is None:
                    url = self.url
                    note_settings(self.conf, url)
                    store = open_store(url, self.conf)
                    self._store = store
        return store

    def use_store(self, store: Store) -> None:
        """Work with this store object from now on; it is set up already. For tests and workers."""
        with self._lock:
            self._forget_hub()
            self._store = store

    @property
    def hub(self) -> Hub:
        """Where threads and coroutines wait for the store's notices."""
        hub = self._hub
        if hub is None:
            from smallage.watching import Hub

            store = self.store
            with self._lock:
                if self._hub is None:
                    self._hub = Hub(store)
                hub = self._hub
        return hub

    def close(self) -> None:
        """Let go of the store; the next use opens it again."""
        with self._lock:
            self._forget_hub()
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def _forget_hub(self) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.close()

    def _after_fork(self) -> None:
        """In a fork's child: nothing of the parent's connections, threads and locks may be used."""
        self._lock = threading.RLock()
        self._config_lock = threading.RLock()
        self._hub = None
        if self._store is not None:
            self._store.after_fork()
        self.on_after_fork.send(sender=self)


def note_settings(conf: Settings, url: str) -> None:
    """Say in the log which settings have no effect."""
    notes = [*conf.notes, *results_elsewhere(conf, url)]
    if notes:
        import logging  # costs a program that only pushes more than this file does

        log = logging.getLogger("smallage.app")
        for note in notes:
            log.info("%s", note)


def results_elsewhere(conf: Settings, url: str) -> list[str]:
    """A sentence if `result_backend` names another place than the store."""
    backend = conf.result_backend
    if not backend or "://" not in backend or backend.startswith(("rpc:", "cache+memory:")):
        return []
    if place(backend) == place(url):
        return []
    return [f"result_backend names {place(backend)}; results live with the tasks in {place(url)}."]


def open_store(url: str, conf: Settings) -> Store:
    """The store at `url`, set up, as the settings want it."""
    from smallage.stores import base

    transport = conf.broker_transport_options
    namespace = transport.get("global_keyprefix") or conf.namespace
    store = base.open(url, namespace=namespace)
    store.setup()
    return store
