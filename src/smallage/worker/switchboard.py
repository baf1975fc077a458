"""Questions to a worker: the supervisor passes them on to its children and puts their answers together."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import msgspec

from smallage.control.asking import Question
from smallage.core.errors import StoreError
from smallage.stores.base import Order, Store
from smallage.worker.children import ChildProcess
from smallage.worker.line import Word

logger = logging.getLogger("smallage.worker")

PATIENCE: Final = 0.8
"""Share of the time in which an answer is wanted that children have; what the others said is sent on then."""
LASTING: Final = frozenset({"time_limit", "add_consumer", "cancel_consumer"})
"""Orders that children which start later are told too."""


@dataclass
class Pending:
    """A question on its way."""

    question: Question
    ticket: str
    until: float
    waiting: set[int]
    """Children that have not answered, by process id."""
    said: list[Any] = field(default_factory=list)


class Switchboard:
    """`act(method, arguments)` is the supervisor's own answer, None where the children are to be asked."""

    def __init__(self, act: Callable[[str, dict[str, Any]], Any]) -> None:
        self._act = act
        self._pending: list[Pending] = []
        self._lasting: list[str] = []

    def next_at(self) -> float:
        """When to call `give_up_on_late`."""
        return min((one.until for one in self._pending), default=math.inf)

    def ask(self, order: Order, node: str, children: list[ChildProcess], store: Store) -> None:
        """A question has come."""
        try:
            question = msgspec.json.decode(order.text, type=Question)
        except msgspec.MsgspecError:
            logger.warning("A question cannot be read")
            return
        own = self._act(question.method, question.arguments)
        if own is not None:
            self._answer(store, order.id, node, own)
            return
        if question.method in LASTING:
            self._lasting.append(order.text)
        ready = [child for child in children if child.announced]
        until = monotonic() + PATIENCE * question.within
        pending = Pending(question, order.id, until, {child.pid for child in ready})
        self._pending.append(pending)
        for child in ready:
            child.line.say_later(Word("ask", id=order.id, text=order.text))

    def greet(self, child: ChildProcess) -> None:
        """A child has come up: tell it what was ordered before, and ask it what nobody could be asked yet."""
        for text in self._lasting:
            child.line.say_later(Word("ask", text=text))
        for pending in self._pending:
            if not pending.waiting and not pending.said:
                pending.waiting.add(child.pid)
                text = msgspec.json.encode(pending.question).decode()
                child.line.say_later(Word("ask", id=pending.ticket, text=text))

    def heard(self, child: ChildProcess, word: Word, node: str, store: Store) -> None:
        """A child has answered."""
        for pending in self._pending:
            if pending.ticket == word.id and child.pid in pending.waiting:
                pending.waiting.discard(child.pid)
                pending.said.append(word.data.get("value"))
                if not pending.waiting:
                    self._finish(pending, node, store)
                return

    def gone(self, child: ChildProcess, node: str, store: Store) -> None:
        """A child has ended and will not answer."""
        for pending in [one for one in self._pending if child.pid in one.waiting]:
            pending.waiting.discard(child.pid)
            if not pending.waiting and pending.said:
                self._finish(pending, node, store)

    def give_up_on_late(self, node: str, store: Store) -> None:
        """Send on what was said, for questions whose time is over."""
        now = monotonic()
        for pending in [one for one in self._pending if one.until <= now]:
            self._finish(pending, node, store)

    def _finish(self, pending: Pending, node: str, store: Store) -> None:
        self._pending.remove(pending)
        self._answer(store, pending.ticket, node, together(pending.question.method, pending.said))

    def _answer(self, store: Store, ticket: str, node: str, value: Any) -> None:
        if not ticket:
            return
        try:
            store.answer(ticket, node, msgspec.json.encode(value, enc_hook=repr))
        except StoreError as error:
            logger.warning("An answer could not be left: %s", error)


def together(method: str, said: list[Any]) -> Any:
    """One answer out of those of the children."""
    good = [one for one in said if not (isinstance(one, Mapping) and "error" in one)]
    if method in ("active", "reserved"):
        return [task for one in good for task in one]
    if method == "query_task":
        return {name: found for one in good for name, found in one.items()}
    if method == "stats" and good:
        return _stats(good)
    return (good or said or [{"error": "no child of this worker has answered"}])[0]


def _stats(said: list[dict[str, Any]]) -> dict[str, Any]:
    first = said[0]
    totals: dict[str, int] = {}
    for one in said:
        for name, count in one["total"].items():
            totals[name] = totals.get(name, 0) + count
    pool = {
        **first["pool"],
        "max-concurrency": sum(one["pool"]["max-concurrency"] for one in said),
        "processes": sorted(pid for one in said for pid in one["pool"]["processes"]),
    }
    prefetched = sum(one["prefetch_count"] for one in said)
    return {**first, "total": totals, "pool": pool, "prefetch_count": prefetched}
