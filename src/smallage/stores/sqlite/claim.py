"""claim: ready tasks handed out under tokens."""

from __future__ import annotations

from typing import Any, Final

from smallage.core.message import Claim, member_id
from smallage.stores.base import Claimed, ClaimRequest
from smallage.stores.sqlite.ledger import TASK_BY_ID, TASK_DELETE, Act
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rows import CHUNK, CURSOR, DEAD, LIKE, NEVER, Group, Task, decode_rows

SESSION_BY_NAME = query("session_by_name")
SESSION_NONCE = query("session_nonce")
PAUSED = query("paused")
READY_HEAD = query("ready_head")
CLAIMS_AGAIN = query("claims_again")
TASK_RUN = query("task_run")
MEMBER_RUN = query("member_run")
MEMBER_DEAD = query("member_dead")
RESULT_PLACES = query("result_places")
TEMPLATE_PAYLOAD = query("template_payload")
ROWS_LOAD = query("rows_load")
MAX_ENDED: Final = 1_000
"""Expired entries that one claim clears away at most."""


def claim(act: Act, session: str, request: ClaimRequest) -> Claimed:
    """See `Store.claim`."""
    known = act.row(SESSION_BY_NAME, session)
    act.promote()
    claims: list[Claim] = []
    if known is not None and request.n > 0:
        sid, nonce, _ = known
        if nonce == request.nonce:
            claims = _again(act, sid, request.nonce)
        else:
            act.execute(SESSION_NONCE, (sid, request.nonce))
            taker = _Taker(act, sid, request.nonce)
            paused = {row[0] for row in act.execute(PAUSED)}
            for queue in request.queues:
                if queue not in paused and len(claims) < request.n:
                    taker.take(queue, request.n, claims)
    return Claimed(tuple(claims), act.next_due(), act.now)


class _Taker:
    """Claims from one queue after another, for one session and nonce."""

    def __init__(self, act: Act, sid: int, nonce: str) -> None:
        self._act = act
        self._sid = sid
        self._nonce = nonce
        self._ended = 0

    def take(self, queue: str, n: int, claims: list[Claim]) -> None:
        """Claim from a queue until there are `n`, by priority and order."""
        while len(claims) < n and self._ended < MAX_ENDED:
            wanted = n - len(claims)
            head = self._act.execute(READY_HEAD, (queue, wanted)).fetchall()
            self._take_rows(head, queue, n, claims)
            if len(head) < wanted:
                return

    def _take_rows(self, head: list[Any], queue: str, n: int, claims: list[Claim]) -> None:
        act, now, nonce = self._act, self._act.now, self._nonce
        tok = max(act.book.tok, now - 1)
        runs: list[tuple[Any, ...]] = []
        for row in head:
            if len(claims) >= n or self._ended >= MAX_ENDED:
                break
            seq, kind, task_id, name, payload, priority, gen, grp, idx, failures, crashes, lost, releases = row[:13]
            body_of, pushed_us, expires_us, keep_us = row[13:]
            if kind == CURSOR:
                act.book.tok = tok
                self._take_members(seq, grp, n, claims)
                tok = max(act.book.tok, now - 1)
                continue
            template_row = None
            if kind == LIKE or payload is None:
                payload, template_row = _payload_of(act, kind, payload, grp, idx)
            if (expires_us is not None and expires_us <= now) or payload is None:
                self._end(task_id, "damaged" if payload is None else "expired")
                continue
            tok += 1
            runs.append((self._sid, nonce, tok, now, seq))
            claims.append(
                Claim(
                    id=task_id, gen=gen, tok=tok, nonce=nonce, name=name, payload=payload, queue=queue,
                    priority=priority, row=template_row, failures=failures, crashes=crashes, lost=lost,
                    releases=releases, group=grp, index=idx, body_of=body_of, pushed_us=pushed_us, claimed_us=now,
                    expires_us=expires_us, keep_us=keep_us,
                )
            )  # fmt: skip
            if grp is not None:
                self._count_running(grp, 1)
        if runs:
            act.book.tok = tok
            act.executemany(TASK_RUN, runs)

    def _count_running(self, grp: str, n: int) -> None:
        group = self._act.any_group(grp)
        if group is not None:
            group.running += n
            self._act.touch(group)

    def _end(self, task_id: str, reason: str) -> None:
        self._ended += 1
        self._act.end(Task(self._act.row(TASK_BY_ID, task_id)), DEAD, reason, None)

    def _take_members(self, cursor: int, grp: str, n: int, claims: list[Claim]) -> None:
        """Claim a group's next members; each gets a task of its own now."""
        act = self._act
        group = act.any_group(grp)
        if group is None:
            act.execute(TASK_DELETE, (cursor,))
            return
        expired = group.t_expires_us is not None and group.t_expires_us <= act.now
        while group.cursor < group.total and len(claims) < n and self._ended < MAX_ENDED:
            places = self._next_places(group, CHUNK if expired else n - len(claims))
            if expired:
                self._expire(group, places)
            elif places:
                self._run_members(group, places, claims)
        act.touch(group)
        if group.cursor >= group.total:
            act.execute(TASK_DELETE, (cursor,))

    def _next_places(self, group: Group, n: int) -> list[int]:
        """Up to `n` places from the cursor on whose members have not ended; moves the cursor past them."""
        end = min(group.total, group.cursor + n)
        places = list(range(group.cursor, end))
        if group.holes:
            gone = {row[0] for row in self._act.execute(RESULT_PLACES, (group.num, group.cursor, end))}
            places = [place for place in places if place not in gone]
            group.holes -= len(gone)
        group.cursor = end
        return places

    def _run_members(self, group: Group, places: list[int], claims: list[Claim]) -> None:
        act, now, nonce = self._act, self._act.now, self._nonce
        payload = act.row(TEMPLATE_PAYLOAD, group.num)[0]
        rows = _rows(act, group, places)
        tok = max(act.book.tok, now - 1)
        runs: list[tuple[Any, ...]] = []
        for place in places:
            tok += 1
            task_id = member_id(group.id, place)
            runs.append(
                (
                    task_id, group.t_queue, group.t_priority, group.t_name, tok, self._sid, nonce, group.id, place,
                    group.t_expires_us, group.opened_us, now, group.t_keep_us, group.t_max_crashes, group.t_max_lost,
                    group.t_digest,
                )
            )  # fmt: skip
            claims.append(
                Claim(
                    id=task_id, gen=1, tok=tok, nonce=nonce, name=group.t_name, payload=payload, row=rows[place],
                    queue=group.t_queue, priority=group.t_priority, group=group.id, index=place,
                    pushed_us=group.opened_us, claimed_us=now, expires_us=group.t_expires_us, keep_us=group.t_keep_us,
                )
            )  # fmt: skip
        act.book.tok = tok
        act.executemany(MEMBER_RUN, runs)
        group.running += len(places)

    def _expire(self, group: Group, places: list[int]) -> None:
        """Members whose time is over before they started become dead letters."""
        act = self._act
        self._ended += len(places)
        for place in places:
            task_id = member_id(group.id, place)
            act.execute(
                MEMBER_DEAD,
                (
                    task_id, group.t_queue, group.t_priority, group.t_name, group.id, place, group.t_expires_us,
                    group.opened_us, act.now, NEVER, group.t_keep_us, group.t_max_crashes, group.t_max_lost,
                    group.t_digest, "expired",
                ),
            )  # fmt: skip
            act.changed.append(task_id)
        if places:
            act.count(group, DEAD, len(places))


def _rows(act: Act, group: Group, places: list[int]) -> dict[int, bytes]:
    """The rows at these places, which rise."""
    found: dict[int, bytes] = {}
    for chunk in range(places[0] // CHUNK, places[-1] // CHUNK + 1):
        rows = decode_rows(act.row(ROWS_LOAD, group.num, chunk)[0])
        found.update(enumerate(rows, chunk * CHUNK))
    return found


def _payload_of(act: Act, kind: int, payload: bytes | None, grp: str | None, idx: int) -> Any:
    """(payload, row) of a record; a like member's are its group's template and its row. (None, None): damaged."""
    group = act.any_group(grp)
    if payload is not None or kind != LIKE or group is None or not group.like:
        return payload, None
    template = act.row(TEMPLATE_PAYLOAD, group.num)
    chunk = act.row(ROWS_LOAD, group.num, idx // CHUNK)
    if template is None or chunk is None:
        return None, None
    return template[0], decode_rows(chunk[0])[idx % CHUNK]


def _again(act: Act, sid: int, nonce: str) -> list[Claim]:
    """What the session still holds of the claim with this nonce."""
    claims: list[Claim] = []
    for row in act.execute(CLAIMS_AGAIN, (sid, nonce)).fetchall():
        kind, task_id, name, payload, priority, gen, grp, idx, failures, crashes, lost, releases = row[1:13]
        body_of, pushed_us, expires_us, keep_us, queue, tok, started_us = row[13:]
        payload, template_row = _payload_of(act, kind, payload, grp, idx)
        claims.append(
            Claim(
                id=task_id, gen=gen, tok=tok, nonce=nonce, name=name, payload=payload, queue=queue, priority=priority,
                row=template_row, failures=failures, crashes=crashes, lost=lost, releases=releases, group=grp,
                index=idx, body_of=body_of, pushed_us=pushed_us, claimed_us=started_us, expires_us=expires_us,
                keep_us=keep_us,
            )
        )  # fmt: skip
    return claims
