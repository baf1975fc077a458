"""group_push: groups opened, filled and sealed."""

from __future__ import annotations

import msgspec

from smallage.core.message import Message, digest
from smallage.stores.base import AHEAD_US, GroupBatch, PushVerdict
from smallage.stores.sqlite.ledger import Act, envelope_times
from smallage.stores.sqlite.lines import TASK_DELETE
from smallage.stores.sqlite.operators import revoke_row
from smallage.stores.sqlite.push import Finding, absorb, fill, insert_body, insert_new, verdicts, write
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import CANCELLED, CHUNK, DEAD, DONE, Group, Task, decode_rows, encode_rows

GROUP_INSERT = query("group_insert")
TEMPLATE_INSERT = query("template_insert")
ROWS_LOAD = query("rows_load")
ROWS_SAVE = query("rows_save")
AHEAD_BETWEEN = query("ahead_between")


def group_push(act: Act, batch: GroupBatch) -> PushVerdict:
    """See `Store.group_push`."""
    if batch.late:
        return _push_late(act, batch)
    group = act.find_group(batch.id)
    added = len(batch.rows) + len(batch.members)
    total = group.total if group else 0
    dup_places = added == 0 or batch.offset + added <= total
    dup_seal = not batch.seal or (
        group is not None and bool(group.sealed) and (batch.body is None or batch.body.id == group.body)
    )
    members = () if dup_places else batch.members
    body = None if dup_seal else batch.body
    messages = [*members, *([body] if body else [])]
    found, over, known = verdicts(act, messages, repeats=False)
    if _conflicts(act, batch, group, dup_places, dup_seal) or "conflict" in found:
        return "conflict"
    if group is not None and dup_places and dup_seal:
        return "dup"
    act.run_each(TASK_DELETE, [(seq,) for seq in over])
    if group is None:
        group = _open(act, batch)
    if not dup_places:
        _add_rows(act, group, batch)
        _add_members(act, group, members, found, known)
    if batch.seal and not group.sealed:
        group.sealed = 1
        if body is not None:
            _add_body(act, group, body, found[-1], known[-1])
    act.touch(group)
    act.finish_if_ended(group)
    insert_new(act, batch.also)
    return "ok"


def _add_body(act: Act, group: Group, body: Message, finding: Finding, known: bytes) -> None:
    group.body = body.id
    if finding == "ok":
        insert_body(act, body, group.id)
        act.revoked_ahead([body.id])
    elif finding == "fill":
        fill(act, body, known, group.id)
    elif finding == "absorb":
        absorb(act, body, known)
        group.body_ended_us = act.now


def _push_late(act: Act, batch: GroupBatch) -> PushVerdict:
    """Members behind all places there are."""
    if batch.rows or batch.template or batch.seal or batch.body:
        raise ValueError("a late batch carries members (and `also`) only; push the rest in a batch of its own")
    group = act.find_group(batch.id)
    if group is None or group.ended_us or not group.sealed:
        return "conflict"
    fresh: dict[str, Message] = {}
    for member in batch.members:
        task, rowed = act.find_task(member.id), act.rowed(member.id)
        if task is not None and not _makes_room(task):
            known = task.grp == group.id
        elif rowed is not None:
            known = rowed[0].id == group.id
        else:
            fresh.setdefault(member.id, member)
            continue
        if not known:
            return "conflict"
    if not fresh:
        return "dup"
    placed = tuple(
        msgspec.structs.replace(member, index=place) for place, member in enumerate(fresh.values(), group.total)
    )
    found, over, known_digests = verdicts(act, placed, repeats=False)
    act.run_each(TASK_DELETE, [(seq,) for seq in over])
    if group.like:
        group.late += len(placed)
    _add_members(act, group, placed, found, known_digests)
    act.touch(group)
    act.finish_if_ended(group)
    insert_new(act, batch.also)
    return "ok"


def _conflicts(act: Act, batch: GroupBatch, group: Group | None, dup_places: bool, dup_seal: bool) -> bool:
    like = group is not None and group.like
    if batch.template is not None and group is not None and like and digest(batch.template) != group.t_digest:
        return True
    if batch.rows and ((group is not None and group.total and not like) or (batch.template is None and not like)):
        return True
    if batch.members and (batch.rows or like):
        return True
    if any(_foreign(act, batch.id, member) for member in batch.members):
        return True
    sealed = group is not None and bool(group.sealed)
    total = group.total if group else 0
    if not dup_places and (sealed or batch.offset != total):
        return True
    return sealed and not dup_seal


def _foreign(act: Act, group: str, member: Message) -> bool:
    """A task of this id is there and is no such member of the group: it would never be counted."""
    task = act.find_task(member.id)
    return task is not None and not _makes_room(task) and (task.grp, task.idx) != (group, member.index)


def _makes_room(task: Task) -> bool:
    if task.state != DEAD or task.grp is not None:
        return False
    return bool(task.reason == "upstream" or (task.reason == "expired" and not task.kept))


def _open(act: Act, batch: GroupBatch) -> Group:
    outlived = act.any_group(batch.id)
    if outlived is not None:
        act.remove_group(outlived)
    act.execute(GROUP_INSERT, (batch.id, batch.keep_us, act.now))
    return act.reload_group(batch.id)


def _add_rows(act: Act, group: Group, batch: GroupBatch) -> None:
    if not batch.rows:
        return
    if not group.like:
        _set_template(act, group, batch)
    _store_rows(act, group, list(batch.rows))
    first = group.total
    group.total += len(batch.rows)
    if group.revoked:
        act.cancel_rows(group)
    else:
        act.place_cursor(group)
        _revoke_ahead(act, group, first)


def _revoke_ahead(act: Act, group: Group, first: int) -> None:
    """Rows from place `first` on that were revoked before they came."""
    if act.book.ahead:
        ids = act.run(AHEAD_BETWEEN, (f"{group.id}.", f"{group.id}/", act.now - AHEAD_US)).fetchall()
        for place in sorted(rowed[1] for (each,) in ids if (rowed := act.rowed(each)) is not None):
            if place >= first:
                revoke_row(act, group, place)


def _set_template(act: Act, group: Group, batch: GroupBatch) -> None:
    """Keep what the members share."""
    assert batch.template is not None
    e = batch.template.envelope
    due, expires = envelope_times(e, act.now)
    known = digest(batch.template)
    act.execute(
        TEMPLATE_INSERT,
        (
            group.num, e.name, e.queue, e.priority, due, expires, e.keep_us, e.max_crashes, e.max_lost, known,
            batch.template.payload, e.follow,
        ),
    )  # fmt: skip
    group.t_name, group.t_queue, group.t_priority = e.name, e.queue, e.priority
    group.t_due_us, group.t_expires_us = due, expires
    group.t_keep_us, group.t_max_crashes, group.t_max_lost = e.keep_us, e.max_crashes, e.max_lost
    group.t_digest, group.t_follow = known, e.follow


def _store_rows(act: Act, group: Group, rows: list[bytes]) -> None:
    """Append rows, filling the last chunk first."""
    chunk, filled = divmod(group.total, CHUNK)
    if filled:
        old = act.row(ROWS_LOAD, group.num, chunk)
        rows = decode_rows(old[0]) + rows
    for start in range(0, len(rows), CHUNK):
        act.execute(ROWS_SAVE, (group.num, chunk, encode_rows(rows[start : start + CHUNK])))
        chunk += 1


def _add_members(
    act: Act, group: Group, members: tuple[Message, ...], found: list[Finding], known: list[bytes]
) -> None:
    if not members:
        return
    found, known = found[: len(members)], known[: len(members)]
    group.total += len(members)
    write(act, members, found, (), known, group.id)
    if group.revoked:
        fresh = [member.id for member, finding in zip(members, found, strict=True) if finding == "ok"]
        for task in act.tasks_by_ids(fresh).values():
            if task.state < DONE:
                act.end(task, CANCELLED, "revoked", None)
