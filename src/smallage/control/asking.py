"""Asking workers: a question into each mailbox, the answers as they come."""

from __future__ import annotations

import fnmatch
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from smallage.core.errors import ImproperlyConfigured
from smallage.hosts import proven_dead, this_host
from smallage.stores.base import Order, SessionView
from smallage.watching import Waiter

if TYPE_CHECKING:
    from smallage.app import Smallage

ASK: Final = "ask"
"""The kind of order that a question is."""
LATE_US: Final = 2_000_000
"""A lease that has not been renewed this long after it should have been tells of a worker that will not answer."""


class Question(msgspec.Struct, frozen=True):
    """What is asked."""

    method: str
    arguments: dict[str, Any] = {}
    within: float = 1.0
    """Seconds that whoever asks waits for answers."""


def nodes(app: Smallage) -> dict[str, list[SessionView]]:
    """The sessions of the workers that listen and are not known to be dead, by the worker's name."""
    here = this_host(os.getpid())
    dead = frozenset(app.store.dead_peers())
    now = time.time_ns() // 1000
    found: dict[str, list[SessionView]] = {}
    for view in app.store.workers():
        if not view.info.listens or view.session in dead or proven_dead(view.info.host, here) or _overdue(view, now):
            continue
        found.setdefault(view.info.node or view.session, []).append(view)
    return found


def _overdue(view: SessionView, now: int) -> bool:
    """True if the lease should have been renewed; clocks that differ by more than a lease tell nothing."""
    renewed = view.lease_end_us - view.info.lease_us
    age = now - renewed
    return view.info.lease_us // 3 + LATE_US < age < 10 * view.info.lease_us


def chosen(
    app: Smallage, destination: str | Iterable[str] | None, pattern: str | None = None, matcher: str | None = None
) -> dict[str, list[SessionView]]:
    """The workers meant by `destination` (names), or by a `pattern` ("glob" or "pcre" says how it is read)."""
    wanted = [destination] if isinstance(destination, str) else destination
    names = None if wanted is None else frozenset(wanted)
    fits: Callable[[str], Any] = lambda node: True  # noqa: E731
    if pattern is not None:
        if matcher not in (None, "glob", "pcre"):
            raise ImproperlyConfigured(f"matcher is 'glob' or 'pcre', not {matcher!r}.")
        fits = re.compile(pattern if matcher == "pcre" else fnmatch.translate(pattern)).match
    return {
        node: views for node, views in nodes(app).items() if (names is None or node in names) and fits(node) is not None
    }


def send(app: Smallage, question: Question, to: Mapping[str, list[SessionView]], ticket: str = "") -> list[str]:
    """Put the question into the mailboxes; the names of those who will have got it."""
    text = msgspec.json.encode(question, enc_hook=repr).decode()
    got = []
    for node, views in to.items():
        told: set[str] = set()
        for view in views:  # one session of each supervisor, another if that has just ended
            box = view.info.inbox
            if box not in told and app.store.control(Order(view.session, ASK, ticket, 0, text)):
                told.add(box)
        if told:
            got.append(node)
    return got


def ask(
    app: Smallage,
    question: Question,
    to: Mapping[str, list[SessionView]],
    timeout: float,
    limit: int | None = None,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> dict[str, Any]:
    """{worker: answer} of those who answered within `timeout` seconds; returns as soon as all have, or `limit` of them.
    `callback` is called with {worker: answer} as each comes."""
    ticket = f"ask:{os.urandom(12).hex()}"
    answers: dict[str, Any] = {}
    deadline = time.monotonic() + timeout
    with Waiter(app.hub, ticket) as waiter:
        waiting = frozenset(send(app, msgspec.structs.replace(question, within=timeout), to, ticket))
        enough = len(waiting) if limit is None else min(limit, len(waiting))
        while len(answers) < enough:
            for node, data in app.store.answers(ticket).items():
                if node not in answers:
                    answers[node] = msgspec.json.decode(data)
                    if callback is not None:
                        callback({node: answers[node]})
            left = deadline - time.monotonic()
            if len(answers) >= enough or left <= 0:
                break
            waiter.wait(left)
    return answers
