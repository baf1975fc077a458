"""What a run needs to know of its worker, and what a worker does to a run from outside."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from smallage.core.message import Claim

STORE_AWAY_US = 1_000_000
"""Wait of a group's body whose group cannot be read now."""


class Terminated(BaseException):
    """Injected into a running body whose task was revoked with `terminate`."""


class HardTimeout(BaseException):
    """Injected into a running body whose hard time limit is over."""


class WorkerContext(Protocol):
    """What a run needs to know of its worker."""

    hostname: str
    pid: int
    rng: random.Random

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def start_once(self, claim: Claim) -> bool:
        """The body of this claim starts now and may not be started again (`ack="early"`): nobody may hand it back.
        False if it cannot start now."""
        ...


@dataclass
class LocalContext:
    """A worker context for runs without a worker: eager tasks and tests."""

    hostname: str = "local"
    pid: int = 0
    rng: random.Random = field(default_factory=random.Random)
    eager: bool = False
    """The run has no store: states it sets itself stay in the process."""
    outcomes: Any = None
    """What a group's body gets, instead of reading it from the store."""
    error: BaseException | None = None
    """What made the last run fail, or be tried again."""
    hook_error: BaseException | None = None
    """What a hook raised after the body."""

    def now(self) -> float:
        return time.time()

    def start_once(self, claim: Claim) -> bool:
        return True
