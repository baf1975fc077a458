"""Stretches of a store's work into which no exception is raised from outside.

A worker raises time limits and cancellations in the threads and greenlets of running bodies, at any step of their code.
A body may be inside a store then, holding what other threads wait for: between a lock and the statement that would
release it, or at the head of a queue. So stores shelter such stretches, and what arrives meanwhile is raised behind
them.

Whoever may be interrupted asks for a shelter once (`settle`); for all other threads `sheltered` costs a look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Shelter:
    """That of one thread or greenlet. A context manager, which may be entered again from within."""

    __slots__ = ("_lock", "depth", "late")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.depth = 0
        self.late: type[BaseException] | None = None
        """What is to be raised at the end."""

    def __enter__(self) -> Shelter:
        if self.depth:
            self.depth += 1
            return self
        try:
            with self._lock:  # what was sent before arrives here, at the latest
                self.depth = 1
        except BaseException:
            self.depth = 0
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        late = self.leave()
        if late is not None:
            raise late

    def leave(self) -> type[BaseException] | None:
        """The end of a stretch; what has come meanwhile, if it was the outermost."""
        if self.depth > 1:
            self.depth -= 1
            return None
        with self._lock:
            self.depth = 0
            late, self.late = self.late, None
        return late

    def send(self, error: type[BaseException], deliver: Callable[[], object]) -> None:
        """From another thread: `deliver()`, which raises `error` in this one, or keep it for the end of the stretch."""
        with self._lock:
            if self.depth:
                self.late = error
            else:
                deliver()

    def keeps(self, error: type[BaseException]) -> bool:
        """From this thread itself (a signal's handler), or from one that runs in its stead (greenlets): True if `error`
        is kept for the end of the stretch."""
        if self.depth:
            self.late = error
        return self.depth > 0


class _None:
    """For threads that nobody interrupts."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


_local = threading.local()
_NONE = _None()


def settle() -> Shelter:
    """The shelter of this thread or greenlet, which may be interrupted from now on."""
    shelter: Shelter | None = getattr(_local, "shelter", None)
    if shelter is None:
        shelter = _local.shelter = Shelter()
    return shelter


def sheltered() -> Shelter | _None:
    """`with sheltered():` around a stretch that is not to be interrupted."""
    return getattr(_local, "shelter", _NONE)
