"""What must hold in the tables at rest, beyond what their own checks and indexes already keep."""

from __future__ import annotations

from collections.abc import Iterator

from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import Reader, decode_rows

INTEGRITY = query("integrity")
RUNNING = query("audit_running")
TOKENS = query("audit_tokens")
PAYLOADS = query("audit_payloads")
ORDER = query("audit_order")
CURSORS = query("audit_cursors")
HOLES = query("audit_holes")
GROUPS = query("audit_groups")
ROWS = query("audit_rows")
CHUNKS = query("audit_chunks")
DOUBLED = query("audit_doubled")
BODIES = query("audit_bodies")
HELD_BACK = query("audit_held_back")
NOTED = query("audit_noted")


def breaches(reader: Reader, now: int) -> list[str]:
    """A sentence for each broken invariant; see `Store.audit`."""
    return [*_file(reader), *_tasks(reader), *_orders(reader), *_groups(reader, now)]


def _file(reader: Reader) -> Iterator[str]:
    for (text,) in reader.execute(INTEGRITY):
        if text != "ok":
            yield f"SQLite finds the file damaged: {text}"


def _tasks(reader: Reader) -> Iterator[str]:
    for task_id, what in reader.execute(RUNNING):
        yield f"{task_id} {what}"
    for tok, n in reader.execute(TOKENS):
        yield f"{n} running tasks share the token {tok}"
    for (task_id,) in reader.execute(PAYLOADS):
        yield f"{task_id} is open and has no payload"
    for (task_id,) in reader.execute(DOUBLED):
        yield f"{task_id} has both a record and an end"
    for (task_id,) in reader.execute(BODIES):
        yield f"{task_id} waits for a group that has ended or is not there"


def _orders(reader: Reader) -> Iterator[str]:
    for queue, priority, pos in reader.execute(ORDER):
        yield f"two entries share place {pos} of queue {queue}, priority {priority}"
    for key, what in reader.execute(HELD_BACK):
        yield f"the limit {key} {what}"
    for rates, has_rates, ahead, has_ahead in reader.execute(NOTED):
        if (rates, ahead) != (has_rates, has_ahead):
            yield f"the book counts {rates} limits and {ahead} ids revoked ahead; there are {has_rates} and {has_ahead}"
    for group_id, unclaimed, entries in reader.execute(CURSORS):
        yield f"group {group_id} has {unclaimed} unclaimed members and {entries} entries in the order"
    for group_id, counted, n in reader.execute(HOLES):
        yield f"group {group_id} counts {counted} ended members past its cursor and has {n}"


def _groups(reader: Reader, now: int) -> Iterator[str]:
    for row in reader.execute(GROUPS, (now,)).fetchall():
        group_id, total, done, failed, cancelled, running, sealed, ended_us = row[:8]
        counted = {"done": done, "dead": failed, "cancelled": cancelled, "running": running}
        for (state, n), found in zip(counted.items(), row[8:], strict=True):
            if n != found:
                yield f"group {group_id} counts {n} {state} members and has {found}"
        over = bool(sealed) and done + failed + cancelled >= total
        if bool(ended_us) != over:
            yield f"group {group_id} is {'' if ended_us else 'not '}ended with {done + failed + cancelled} of {total}"
    for group_id, num, total in reader.execute(ROWS).fetchall():
        rows = sum(len(decode_rows(chunk)) for (chunk,) in reader.execute(CHUNKS, (num,)))
        if rows != total:
            yield f"group {group_id} has {total} members and {rows} rows"
