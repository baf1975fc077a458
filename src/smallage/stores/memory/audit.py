"""What must hold between the memory store's books at rest."""

from __future__ import annotations

from collections.abc import Iterator

from smallage.stores.memory.ledger import Ledger
from smallage.stores.memory.records import Group, Record


def breaches(books: Ledger, now: int) -> list[str]:
    """A sentence for each broken invariant; see `Store.audit`."""
    return [*_records(books, now), *_orders(books), *_sessions(books), *_groups(books)]


def _records(books: Ledger, now: int) -> Iterator[str]:
    for record in books.records.values():
        in_ready = record.id in books.ready.get((record.queue, record.priority), ())
        if in_ready != (record.state == "ready"):
            yield f"{record.id} is {record.state} but {'in' if in_ready else 'not in'} the ready order"
        if (record.id in books.due) != (record.state == "scheduled"):
            yield f"{record.id} is {record.state}, which disagrees with the scheduled order"
        if (record.id in books.parked.get(record.envelope.name, ())) != (record.state == "parked"):
            yield f"{record.id} is {record.state}, which disagrees with the parked lists"
        yield from _holding(books, record)


def _holding(books: Ledger, record: Record) -> Iterator[str]:
    held = record.session in books.sessions and record.id in books.sessions[record.session or ""].held
    if held != (record.state == "running"):
        yield f"{record.id} is {record.state}, which disagrees with its session"
    if record.state == "running" and not (record.tok and record.nonce):
        yield f"{record.id} runs without a token"
    if record.tok > books.last_tok:
        yield f"{record.id} has a token above the last issued one"
    if record.state == "scheduled" and record.due_us is None:
        yield f"{record.id} is scheduled without a due time"


def _orders(books: Ledger) -> Iterator[str]:
    entries = [entry for line in books.ready.values() for entry in line] + list(books.due)
    for entry in entries:
        if entry.startswith("*"):
            group = books.groups.get(entry[1:])
            if group is None or group.cursor >= len(group.rows):
                yield f"{entry} stands in order with nothing left to claim"
        elif entry not in books.records:
            yield f"{entry} stands in order without a record"
    if len(entries) != len(set(entries)):
        yield "an entry stands in two orders"


def _sessions(books: Ledger) -> Iterator[str]:
    for name, session in books.sessions.items():
        for task_id in session.held:
            record = books.records.get(task_id)
            if record is None or record.session != name:
                yield f"session {name} holds {task_id}, which does not know it"


def _groups(books: Ledger) -> Iterator[str]:
    for group in books.groups.values():
        records = list(books.members(group))
        for state, counted in (("done", group.done), ("dead", group.failed), ("cancelled", group.cancelled)):
            n = sum(r.state == state for r in records) + sum(e.state == state for e in group.ends.values())
            if n != counted:
                yield f"group {group.id} counts {counted} {state} members and has {n}"
        running = sum(r.state == "running" for r in records)
        if running != group.running:
            yield f"group {group.id} counts {group.running} running members and has {running}"
        yield from _ending(group)


def _ending(group: Group) -> Iterator[str]:
    ended = group.done + group.failed + group.cancelled
    if bool(group.ended_us) != (group.sealed and ended >= group.total):
        yield f"group {group.id} is {'' if group.ended_us else 'not '}ended with {ended} of {group.total} members"
    if ended > group.total:
        yield f"group {group.id} has more ends than members"
