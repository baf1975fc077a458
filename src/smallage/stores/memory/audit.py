"""What must hold between the memory store's books at rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from smallage.stores.memory.ledger import Ledger
from smallage.stores.memory.records import Group, Limit, Record


def breaches(books: Ledger, now: int) -> list[str]:
    """A sentence for each broken invariant; see `Store.audit`."""
    return [*_records(books, now), *_orders(books), *_limits(books), *_sessions(books), *_groups(books, now)]


def _records(books: Ledger, now: int) -> Iterator[str]:
    for record in books.records.values():
        place = (record.queue, record.priority)
        held_back = record.id in books.held_back and books.held_back[record.id][1:] == place
        in_ready = record.id in books.ready.get(place, ()) or held_back
        if in_ready != (record.state == "ready"):
            yield f"{record.id} is {record.state} but {'in' if in_ready else 'not in'} the ready order"
        if (record.id in books.due) != (record.state == "scheduled"):
            yield f"{record.id} is {record.state}, which disagrees with the scheduled order"
        if (record.id in books.parked.get(record.envelope.name, ())) != (record.state == "parked"):
            yield f"{record.id} is {record.state}, which disagrees with the parked lists"
        yield from _holding(books, record)
        yield from _waiting(record)


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


def _waiting(record: Record) -> Iterator[str]:
    """Seats, bodies and follow-ups."""
    if record.state == "waiting" and record.seat == (record.body_of is not None):
        yield f"{record.id} waits and is {'both a seat and a body' if record.seat else 'neither a seat nor a body'}"
    if record.seat and (record.state not in ("waiting", "cancelled") or record.payload is not None or record.like):
        yield f"{record.id} is a seat, {record.state}, and holds more than its place"
    if record.state == "waiting" and (record.due_us is not None or record.expires_us is not None):
        yield f"{record.id} waits and has instants"
    if (record.after is not None) != (record.after_reason is not None):
        yield f"{record.id} follows up {record.after} for the reason {record.after_reason}"
    if record.after is not None:
        envelope = record.envelope
        if not (record.id.startswith("after:") and record.id.endswith(":" + record.after)) or record.group is not None:
            yield f"{record.id} is no id for what follows {record.after}, or has a group"
        if envelope.follow or envelope.keep_us:
            yield f"{record.id} follows up and would be followed up or kept"


def _orders(books: Ledger) -> Iterator[str]:
    entries = [entry for line in books.ready.values() for entry in line] + list(books.due)
    entries += [entry for limit in books.limits.values() for line in limit.lines.values() for entry in line]
    for entry in entries:
        if entry.startswith("*"):
            group = books.groups.get(entry[1:])
            if group is None or group.cursor >= len(group.rows):
                yield f"{entry} stands in order with nothing left to claim"
        elif entry not in books.records:
            yield f"{entry} stands in order without a record"
    for entry, times in Counter(entries).items():
        if times > 1:
            yield f"{entry} stands in {times} orders"
    for group in books.groups.values():
        if group.cursor < len(group.rows) and group.entry not in entries:
            yield f"{group.entry} has rows to claim and stands in no order"


def _limits(books: Ledger) -> Iterator[str]:
    lined = {(e, k) for k, limit in books.limits.items() for line in limit.lines.values() for e in line}
    if lined != {(entry, place[0].key) for entry, place in books.held_back.items()}:
        yield "what limits hold back disagrees with their lines"
    for key, limit in books.limits.items():
        yield from _limit(books, limit)
        if limit.forgotten and (limit.tat or not limit.lines):
            yield f"{key} has no limit and is remembered"
    for key in books.due_keys.keys() - books.limits.keys():
        yield f"{key} comes due and is no key"


def _limit(books: Ledger, limit: Limit) -> Iterator[str]:
    due = books.due_keys.get(limit.key)
    if not limit.lines:
        if due is not None:
            yield f"{limit.key} holds nothing back and comes due"
    elif limit.spec is not None and due is None and limit.instant > limit.rung_us:
        yield f"{limit.key} holds entries back and never comes due"
    elif limit.spec is not None and due not in (None, limit.instant):
        yield f"{limit.key} comes due at {due}, and its token at {limit.instant}"
    if not all(limit.lines.values()):
        yield f"{limit.key} has an empty line"


def _sessions(books: Ledger) -> Iterator[str]:
    for name, session in books.sessions.items():
        for task_id in session.held:
            record = books.records.get(task_id)
            if record is None or record.session != name:
                yield f"session {name} holds {task_id}, which does not know it"


def _groups(books: Ledger, now: int) -> Iterator[str]:
    for group in books.groups.values():
        if group.gone(now):
            continue  # its members' ids are free for others
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
