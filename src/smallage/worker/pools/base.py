"""What every pool can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from smallage.worker.slot import Slot


class Pool(Protocol):
    """Runs the claims that the engine puts on the desk's backlog."""

    slots: list[Slot]
    """Every place where a body can run, in the order of the board."""
    stoppable: bool
    """True if a body that ignores all exceptions can only be stopped together with this process, and harms no
    neighbour by that: the pool has one place."""

    def start(self) -> None:
        """Be ready to take claims."""

    def run(self) -> None:
        """Occupy the calling thread until `close`; called in the main thread of a child."""

    def offer(self, n: int) -> None:
        """Wake up to `n` idle places to look at the backlog. Called by the engine."""

    def idle(self) -> int:
        """Number of places that wait for work."""

    def send(self, slot: Slot, error: type[BaseException]) -> None:
        """Raise `error` in what runs in the slot. Called with the slot's guard held (see `slot.interrupt`)."""

    def close(self) -> None:
        """Take no more claims; idle places end, and `run` returns."""
