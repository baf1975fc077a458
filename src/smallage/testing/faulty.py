"""A store whose calls fail where the test says: before they are sent, or after, with the reply lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from smallage.core.errors import StoreUnavailable
from smallage.stores.base import Store
from smallage.testing.wrapper import Wrapper


@dataclass(frozen=True)
class Call:
    """One call of a verb."""

    verb: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


Match: TypeAlias = "str | Callable[[Call], bool]"


@dataclass
class Fault:
    """What fails, when and how. Made by `FaultyStore.fail`."""

    match: Match
    after: bool
    """False: nothing reaches the store. True: the act happens and its reply is lost."""
    nth: int
    """1 is the next matching call."""
    times: int | None
    """How many matching calls fail from the `nth` on; None: all, until `heal`."""
    error: Callable[[], BaseException]
    seen: int = 0
    """Matching calls so far."""
    hits: int = 0
    """Calls that failed so far."""
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False, compare=False)

    def wait(self, hits: int = 1, timeout: float = 10.0) -> None:
        """Block until as many calls have failed. Raises AssertionError after `timeout` seconds, which is a failure of
        the test and not a measure of speed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.hits >= hits, timeout):
                raise AssertionError(f"{self.hits} calls failed in {timeout:g} s, not {hits}")

    def strikes(self, call: Call) -> bool:
        """Count the call, and say whether it is to fail."""
        fits = self.match in (call.verb, "*") if isinstance(self.match, str) else self.match(call)
        if not fits:
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.seen >= self.nth + self.times):
            return False
        with self._changed:
            self.hits += 1
            self._changed.notify_all()
        return True


def _unavailable() -> Exception:
    return StoreUnavailable("the test cut the line")


class FaultyStore(Wrapper):
    """Any store, with faults.

    `calls` lists what was asked. Hooks in `before` get each call before it is sent, those in `after` the call and its
    answer; a hook that raises is a fault of its own, and one that advances a clock or kills a session is a race.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.before: list[Callable[[Call], None]] = []
        self.after: list[Callable[[Call, Any], None]] = []
        self._lock = threading.Lock()

    def fail(
        self,
        match: Match = "*",
        *,
        after: bool = False,
        nth: int = 1,
        times: int | None = 1,
        error: Callable[[], BaseException] = _unavailable,
    ) -> Fault:
        """Let calls fail: those of a verb by name ("*" for any), or those a predicate picks. See `Fault`."""
        fault = Fault(match, after, nth, times, error)
        with self._lock:
            self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """End every fault."""
        with self._lock:
            self.faults.clear()

    def around(self, verb: str, act: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = Call(verb, args, kwargs)
        with self._lock:
            self.calls.append(call)
            struck = [fault for fault in self.faults if fault.strikes(call)]
        for fault in struck:
            if not fault.after:
                raise fault.error()
        for hook in tuple(self.before):
            hook(call)
        answer = act(*args, **kwargs)
        for after_hook in tuple(self.after):
            after_hook(call, answer)
        for fault in struck:
            raise fault.error()
        return answer
