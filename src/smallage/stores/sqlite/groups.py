"""group_push: groups opened, filled and sealed."""

from __future__ import annotations

from smallage.core.message import Message, digest
from smallage.stores.base import GroupBatch, PushVerdict
from smallage.stores.sqlite.ledger import TASK_DELETE, Act, envelope_times
from smallage.stores.sqlite.push import insert, insert_body, verdicts
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import CANCELLED, CHUNK, Group, decode_rows, encode_rows

GROUP_INSERT = query("group_insert")
TEMPLATE_INSERT = query("template_insert")
ROWS_LOAD = query("rows_load")
ROWS_SAVE = query("rows_save")


def group_push(act: Act, batch: GroupBatch) -> PushVerdict:
    """See `Store.group_push`."""
    group = act.find_group(batch.id)
    added = len(batch.rows) + len(batch.members)
    total = group.total if group else 0
    dup_places = added == 0 or batch.offset + added <= total
    dup_seal = not batch.seal or (
        group is not None and bool(group.sealed) and (batch.body is None or batch.body.id == group.body)
    )
    messages = [*batch.members, *([batch.body] if batch.body else [])]
    found, over, known = verdicts(act, messages)
    if _conflicts(act, batch, group, dup_places, dup_seal) or "conflict" in found:
        return "conflict"
    if group is not None and dup_places and dup_seal:
        return "dup"
    act.run_each(TASK_DELETE, [(seq,) for seq in over])
    verdict_of_body = found[-1] if batch.body else None
    if group is None:
        group = _open(act, batch)
    if not dup_places:
        _add_rows(act, group, batch)
        _add_members(act, group, batch.members, found, known)
    if batch.seal and not group.sealed:
        group.sealed = 1
        if batch.body is not None:
            group.body = batch.body.id
            if verdict_of_body == "ok":
                insert_body(act, batch.body, group.id)
    act.touch(group)
    act.finish_if_ended(group)
    return "ok"


def _conflicts(act: Act, batch: GroupBatch, group: Group | None, dup_places: bool, dup_seal: bool) -> bool:
    like = group is not None and group.like
    if batch.template is not None and group is not None and like and digest(batch.template) != group.t_digest:
        return True
    if batch.rows and ((group is not None and group.total and not like) or (batch.template is None and not like)):
        return True
    if batch.members and (batch.rows or like):
        return True
    if any(_foreign(act, member) for member in batch.members):
        return True
    sealed = group is not None and bool(group.sealed)
    total = group.total if group else 0
    if not dup_places and (sealed or batch.offset != total):
        return True
    return sealed and not dup_seal


def _foreign(act: Act, member: Message) -> bool:
    """A task of this id is there and is no such member of the group: it would never be counted."""
    task = act.find_task(member.id)
    return task is not None and (task.grp, task.idx) != (member.group, member.index)


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
    group.total += len(batch.rows)
    if group.revoked:
        act.cancel_rows(group)
    else:
        act.place_cursor(group)


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
            batch.template.payload,
        ),
    )  # fmt: skip
    group.t_name, group.t_queue, group.t_priority = e.name, e.queue, e.priority
    group.t_due_us, group.t_expires_us = due, expires
    group.t_keep_us, group.t_max_crashes, group.t_max_lost = e.keep_us, e.max_crashes, e.max_lost
    group.t_digest = known


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
    act: Act, group: Group, members: tuple[Message, ...], found: list[PushVerdict], known: list[bytes]
) -> None:
    if not members:
        return
    found, known = found[: len(members)], known[: len(members)]
    insert(act, members, found, known)
    group.total += len(members)
    if group.revoked:
        fresh = [member.id for member, verdict in zip(members, found, strict=True) if verdict == "ok"]
        for task in act.tasks_by_ids(fresh).values():
            act.end(task, CANCELLED, "revoked", None)
