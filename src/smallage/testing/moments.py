"""Wait for a moment that production code marks with `core.moments.mark`, or hold the code there."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from smallage.core import moments


class Expectation:
    """Moments of one name, collected while the `with` block runs. Made by `expect`."""

    def __init__(self, name: str, first: tuple[object, ...]) -> None:
        self.name = name
        self.seen: list[tuple[object, ...]] = []
        """The details of each matching moment, oldest first."""
        self._first = first
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        moments.listen(self._on_mark)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        moments.unlisten(self._on_mark)

    def _on_mark(self, name: str, details: tuple[object, ...]) -> None:
        if name == self.name and details[: len(self._first)] == self._first:
            with self._changed:
                self.seen.append(details)
                self._changed.notify_all()
            self._reached()

    def _reached(self) -> None:
        """Called in the marking thread."""

    def wait(self, timeout: float = 10.0, count: int = 1) -> tuple[object, ...]:
        """Block until the moment has come `count` times; returns the details of the last of those.

        Raises AssertionError after `timeout` seconds, which is a failure of the test and not a measure of speed.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.seen) >= count, timeout):
                raise AssertionError(
                    f"the moment '{self.name}' came {len(self.seen)} times in {timeout:g} s, not {count}"
                )
            return self.seen[count - 1]


class Hold(Expectation):
    """As `Expectation`, and whoever marks the moment waits there until `release`, the end of the block or 30 s."""

    def __init__(self, name: str, first: tuple[object, ...]) -> None:
        super().__init__(name, first)
        self._open = threading.Event()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        super().__exit__(kind, error, tb)
        self._open.set()

    def release(self) -> None:
        """Let everybody who waits, and who comes later, go on."""
        self._open.set()

    def _reached(self) -> None:
        self._open.wait(30.0)


def expect(name: str, *first: object) -> Expectation:
    """Collect the moments `name` whose details begin with `first`.

    `with expect("claimed", task_id) as m: …; m.wait()`
    """
    return Expectation(name, first)


def hold(name: str, *first: object) -> Hold:
    """Stop the code at a moment: `with hold("settling") as h: …; h.wait(); …; h.release()`."""
    return Hold(name, first)
