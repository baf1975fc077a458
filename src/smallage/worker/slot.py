"""A place where one body runs at a time, and how to reach into it from outside."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from smallage.stores.shelter import Shelter

if TYPE_CHECKING:
    from smallage.core.message import Claim


class Slot:
    """One running body, or none. `claim` is set just before the body starts and None as soon as it has ended."""

    __slots__ = (
        "abandoned",
        "claim",
        "guard",
        "handle",
        "hard",
        "hard_at",
        "hard_sent",
        "index",
        "lock",
        "pending",
        "runner",
        "shelter",
        "soft",
        "soft_at",
        "soft_sent",
        "started",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        """Place on the board."""
        self.claim: Claim | None = None
        self.started = 0.0
        """Monotonic seconds."""
        self.soft: float | None = None
        self.hard: float | None = None
        """Limits in seconds."""
        self.soft_at = 0.0
        self.hard_at = 0.0
        """When the limits are over; 0: none."""
        self.soft_sent: Claim | None = None
        self.hard_sent: Claim | None = None
        """The claims whose body has been told."""
        self.lock = threading.Lock()
        """What an idle pool thread sleeps on."""
        self.lock.acquire()
        self.guard = threading.Lock()
        """Held while somebody interrupts, so that a body's end waits for the interrupt to have landed."""
        self.pending: type[BaseException] | None = None
        """The exception that was sent into the body."""
        self.abandoned: Claim | None = None
        """A claim that was settled over the head of a body that does not stop."""
        self.handle: Any = None
        """Thread id, greenlet or asyncio task of the body."""
        self.runner: Any = None
        """The slot's own event loop, once a coroutine has run here."""
        self.shelter = Shelter()
        """That of the thread or greenlet that runs bodies here."""


def interrupt(slot: Slot, claim: Claim, error: type[BaseException], send: Any) -> bool:
    """Raise `error` in the body of `claim` by `send(slot, error)`; False if that body has ended.

    The order matters: `pending` is set before `claim` is looked at, and the body's end clears `claim` before it looks
    at `pending`. So either we see that it has ended, or it sees that something is on its way (and calls `absorb`).
    """
    import ctypes  # noqa: F401 - loaded here, so that no thread is interrupted while it loads it

    with slot.guard:
        slot.pending = error
        if slot.claim is not claim:
            slot.pending = None
            return False
        send(slot, error)
        return True


def abandon(slot: Slot, claim: Claim) -> bool:
    """Take the claim away from its body, which goes on; False if the body has ended. Whoever has it settles it."""
    with slot.guard:
        slot.abandoned = claim
        if slot.claim is not claim:
            slot.abandoned = None
            return False
        return True


def was_abandoned(slot: Slot, claim: Claim) -> bool:
    """After the body's end: whether the claim has been taken away meanwhile."""
    with slot.guard:
        taken = slot.abandoned is claim
        slot.abandoned = None
        return taken


def raise_in_thread(slot: Slot, error: type[BaseException]) -> None:
    """Raise `error` in the slot's thread at its next bytecode outside of stores; a blocking call in C is not
    interrupted."""
    import ctypes  # loaded by the few who need it: idle workers stay small

    thread, wanted = ctypes.c_ulong(slot.handle), ctypes.py_object(error)
    slot.shelter.send(error, lambda: ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, wanted))


def absorb(slot: Slot) -> None:
    """In the slot's own thread, after the body's end: take back an interrupt that came too late to be raised in it."""
    import ctypes

    while slot.pending is not None:
        try:
            with slot.guard:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), None)
                slot.pending = None
        except BaseException as error:
            if type(error) is not slot.pending:
                raise
