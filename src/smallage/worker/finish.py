"""Speaking to the store with patience: a worker outlives its store, and no outcome is dropped for an outage."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from smallage.core.errors import StoreError
from smallage.core.message import Failed, Settlement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smallage.stores.base import ClaimRequest, Settled, Store
    from smallage.worker.desk import Wake

logger = logging.getLogger("smallage.worker")

FIRST, LAST = 0.05, 1.0
"""Shortest and longest ceiling of the wait between two tries, in seconds."""

T = TypeVar("T")


class GivenUp(Exception):
    """The worker leaves before the store came back."""


class Patience:
    """Repeats a call of the store, unchanged, until it succeeds. One per thread that speaks to the store."""

    def __init__(self, wake: Wake, give_up: Callable[[], bool]) -> None:
        self._wake, self._give_up = wake, give_up
        self._random = random.Random()
        self.away = False
        """The last call failed: the store is away."""

    def call(self, what: str, verb: Callable[[], T]) -> T:
        """The answer of `verb`, however long it takes. Safe for verbs that may be repeated. Raises GivenUp."""
        ceiling = FIRST
        while True:
            try:
                answer = verb()
            except StoreError as error:
                if not self.away:
                    self.away = True
                    logger.warning("Store: cannot %s, trying again until it answers: %s", what, error)
            else:
                if self.away:
                    self.away = False
                    logger.warning("Store: it answers again")
                return answer
            if self._give_up():
                raise GivenUp
            self._wake.wait(self._random.uniform(0.0, ceiling))
            if self._give_up():
                raise GivenUp
            ceiling = min(LAST, ceiling * 2)


class Outage:
    """Says once that the store is away and once that it is back, for somebody who comes round again anyway."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._away = False

    def begins(self, error: StoreError) -> None:
        """A call has failed."""
        if not self._away:
            self._away = True
            logger.warning("Store: %s cannot reach it, trying again until it answers: %s", self._who, error)

    def ends(self) -> None:
        """A call has succeeded."""
        if self._away:
            self._away = False
            logger.warning("Store: it answers %s again", self._who)


def settle(
    patience: Patience, store: Store, session: str, settlements: Sequence[Settlement], request: ClaimRequest | None
) -> Settled:
    """`store.settle`, patiently. A settlement that the store cannot take at all ends as failed rather than blocking
    the others: they are told one by one until the culprit is found."""
    try:
        return patience.call("settle", lambda: store.settle(session, settlements, request))
    except (GivenUp, StoreError):
        raise
    except Exception:
        logger.exception("The store cannot take a batch of %d outcomes; settling them one by one", len(settlements))
    for one in settlements:
        _settle_alone(patience, store, session, one)
    return patience.call("claim", lambda: store.settle(session, (), request))


def _settle_alone(patience: Patience, store: Store, session: str, one: Settlement) -> None:
    for attempt in (one, Settlement(one.id, one.gen, one.tok, one.nonce, Failed())):
        try:
            patience.call("settle", lambda attempt=attempt: store.settle(session, (attempt,)))  # type: ignore[misc]
            return
        except (GivenUp, StoreError):
            raise
        except Exception:
            logger.exception("The store cannot take the outcome of task %s", one.id)
