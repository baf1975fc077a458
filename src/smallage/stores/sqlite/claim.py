"""claim: ready tasks handed out under tokens."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from smallage.core.message import Claim, member_id
from smallage.stores.base import MAX_HELD_BACK, Claimed, ClaimRequest
from smallage.stores.sqlite.ledger import ROWS_LOAD, TEMPLATE_PAYLOAD, Act
from smallage.stores.sqlite.lines import TASK_DELETE
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.rates import Rate
from smallage.stores.sqlite.rows import CHUNK, CURSOR, DEAD, NEVER, Group, Task, decode_after, decode_rows
from smallage.stores.sqlite.transaction import TASK_COLUMNS

SESSION_BY_NAME = query("session_by_name")
SESSION_NONCE = query("session_nonce")
PAUSED = query("paused")
QUEUE_HAS_READY = query("queue_has_ready")
READY_HEAD = query("ready_head")
CLAIMS_AGAIN = f"{TASK_COLUMNS} {query('tasks_claimed')}"
TASK_BY_SEQ = f"{TASK_COLUMNS} {query('task_by_seq')}"
HELD_FIRST = f"{TASK_COLUMNS} {query('held_back_first')}"
RESULT_PLACES = query("result_places")
TASK_RUN = query("task_run")
TASKS_RUN = query("tasks_run")
MEMBERS_RUN = query("members_run")
MEMBER_DEAD = query("member_dead")
MAX_ENDED: Final = 1_000
"""Expired entries that one claim clears away at most."""
LAST: Final = 9
"""The priority that is served last."""
MANY: Final = 200
"""Entries looked at together once some were held back."""
# Rows go in and out as one JSON array. The library lets other threads run at every row and every statement, and each
# time has to wait until a busy one lets go again.
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.decode


def claim(act: Act, session: str, request: ClaimRequest) -> Claimed:
    """See `Store.claim`."""
    known = act.row(SESSION_BY_NAME, session)
    act.promote()
    claims: list[Claim] = []
    exhausted = False
    if known is not None and request.n > 0:
        sid, nonce, _ = known
        if nonce == request.nonce:
            claims = _again(act, sid, request.nonce)
        else:
            act.run(SESSION_NONCE, (sid, request.nonce))
            taker = _Taker(act, sid, request.nonce)
            paused = {row[0] for row in act.run(PAUSED)}
            for queue in request.queues:
                if queue not in paused and len(claims) < request.n:
                    taker.take(queue, request.n, claims)
            if len(claims) >= request.n:
                _ring_for_the_rest(act, request)
            exhausted = taker.held >= MAX_HELD_BACK
            if act.book.rates:
                act.rates.save()
    return Claimed(tuple(claims), act.now if exhausted else act.next_due(), act.now)


def _ring_for_the_rest(act: Act, request: ClaimRequest) -> None:
    """Who got all it could take leaves the rest to the next one, who may be asleep."""
    for queue in request.queues:
        if act.row(QUEUE_HAS_READY, queue) is not None:
            act.ring(queue)
            return


class _Taker:
    """Claims from one queue after another, for one session and nonce."""

    def __init__(self, act: Act, sid: int, nonce: str) -> None:
        self._act = act
        self._sid = sid
        self._nonce = nonce
        self._ended = 0
        self.held = 0
        self._limited = act.book.rates > 0
        self._to_hold: dict[tuple[str, int], list[int]] = {}

    def take(self, queue: str, n: int, claims: list[Claim]) -> None:
        """Claim from a queue until there are `n`, by priority and order; at each priority first what limits hold back,
        as far as there are tokens now."""
        first = 0
        for priority, rate in self._act.rates.lines(queue) if self._limited else ():
            if priority > first:
                self._take_ready(queue, first, priority - 1, n, claims)
                first = priority
            self._take_held_back(rate, queue, priority, n, claims)
        self._take_ready(queue, first, LAST, n, claims)

    def _full(self, n: int, claims: list[Claim]) -> bool:
        return len(claims) >= n or self._ended >= MAX_ENDED or self.held >= MAX_HELD_BACK

    def _take_ready(self, queue: str, first: int, last: int, n: int, claims: list[Claim]) -> None:
        """Claim from the ready lines of these priorities."""
        while not self._full(n, claims):
            before = self._ended, self.held
            wanted = n - len(claims) if not self.held else max(n - len(claims), MANY)
            head = _decode(self._act.row(READY_HEAD, queue, wanted, first, last)[0])
            first = self._take_rows(head, queue, n, claims)
            self._hold_back(queue)
            if not head or (len(head) < wanted and before == (self._ended, self.held)):
                return  # an end may have released a body into this queue: then it is looked at once more

    def _take_held_back(self, rate: Rate, queue: str, priority: int, n: int, claims: list[Claim]) -> None:
        """Claim what a key held back, first come first served, as long as it has tokens."""
        act = self._act
        while not self._full(n, claims) and rate.has_token(act.now):
            row = act.row(HELD_FIRST, queue, priority, rate.key)
            if row is None:
                return
            task = Task(row)
            act.rates.let_go(rate.key)
            if task.kind == CURSOR:
                self._take_members(task, n, claims)
            else:
                self._take_task(task, n, claims)

    def _take_rows(self, head: list[Any], queue: str, n: int, claims: list[Claim]) -> int:
        """Claim what is to be had of these entries; returns the priority that was reached. Stops when an end on the way
        puts something into this queue, which may come first now."""
        act, now, nonce, book = self._act, self._act.now, self._nonce, self._act.book
        runs: list[tuple[int, int]] = []
        priority = 0
        for seq, plain, task_id, name, payload, priority, pushed_us, expires_us, keep_us in head:
            if self._full(n, claims):
                break
            if not plain or (expires_us is not None and expires_us <= now):
                rung = act.rings.get(queue)
                self._take_special(seq, n, claims)
                if act.rings.get(queue) != rung:
                    break
                continue
            if self._limited and not self._pays(name):
                self._set_aside(name, priority, seq)
                continue
            book.tok = tok = max(book.tok + 1, now)
            runs.append((seq, tok))
            claims.append(
                Claim(
                    id=task_id, gen=1, tok=tok, nonce=nonce, name=name, payload=bytes.fromhex(payload), queue=queue,
                    priority=priority, pushed_us=pushed_us, claimed_us=now, expires_us=expires_us, keep_us=keep_us,
                )
            )  # fmt: skip
        if runs:
            act.run(TASKS_RUN, (_encode(runs).decode(), self._sid, nonce, now))
        return priority

    # -- limits -----------------------------------------------------------------------------------------------------
    def _pays(self, name: str) -> bool:
        """Take a token for a task of this name, if it needs one; False if there is none."""
        rate = self._act.rates.of_task(name)
        if rate is None:
            return True
        if not rate.has_token(self._act.now):
            return False
        rate.pay(self._act.now)
        return True

    def _set_aside(self, name: str, priority: int, seq: int) -> None:
        self._to_hold.setdefault((name, priority), []).append(seq)
        self.held += 1

    def _hold_back(self, queue: str) -> None:
        """Take what found no token out of the order."""
        for (name, priority), seqs in self._to_hold.items():
            rate = self._act.rates.of_task(name)
            assert rate is not None
            self._act.rates.hold(rate, queue, priority, seqs)
        self._to_hold.clear()

    # -- entries that are not plain tasks -----------------------------------------------------------------------------
    def _take_special(self, seq: int, n: int, claims: list[Claim]) -> None:
        """An entry that is a group's, or has a past, or may not start any more."""
        act = self._act
        task = Task(act.row(TASK_BY_SEQ, seq))
        if task.kind == CURSOR:
            self._take_members(task, n, claims)
        else:
            self._take_task(task, n, claims)

    def _take_task(self, task: Task, n: int, claims: list[Claim]) -> None:
        act = self._act
        payload, row = act.payload_of(task)
        if payload is None or (task.expires_us is not None and task.expires_us <= act.now):
            self._ended += 1
            act.end(task, DEAD, "damaged" if payload is None else "expired", None)
            return
        if self._limited and task.after is None and not self._pays(task.name):
            self._set_aside(task.name, task.priority, task.seq)
            return
        task.tok = act.book.tok = max(act.book.tok + 1, act.now)
        task.nonce, task.started_us = self._nonce, act.now
        act.run(TASK_RUN, (self._sid, self._nonce, task.tok, act.now, task.seq))
        claims.append(_claim_of(task, payload, row))
        if task.grp is not None:
            self._count_running(task.grp, 1)

    def _count_running(self, grp: str, n: int) -> None:
        group = self._act.any_group(grp)
        if group is not None:
            group.running += n
            self._act.touch(group)

    def _take_members(self, cursor: Task, n: int, claims: list[Claim]) -> None:
        """Claim a group's next members; each gets a task of its own now."""
        act = self._act
        group = act.any_group(cursor.grp)
        if group is None:
            act.run(TASK_DELETE, (cursor.seq,))
            return
        expired = group.t_expires_us is not None and group.t_expires_us <= act.now
        held = False
        while group.unclaimed and len(claims) < n and self._ended < MAX_ENDED and not held:
            if expired:
                self._expire(group, self._next_places(group, CHUNK))
                continue
            if self._limited:
                places, held = self._paid_places(group, cursor, n - len(claims))
            else:
                places = self._next_places(group, n - len(claims))
            if places:
                self._run_members(group, places, claims)
        act.touch(group)
        if not group.unclaimed:
            group.cursor, group.holes = group.rows, 0
            act.run(TASK_DELETE, (cursor.seq,))

    def _next_places(self, group: Group, n: int) -> list[int]:
        """Up to `n` places from the cursor on whose members have not ended; moves the cursor past them."""
        end = min(group.rows, group.cursor + n)
        places = list(range(group.cursor, end))
        if group.holes:
            gone = {row[0] for row in self._act.run(RESULT_PLACES, (group.num, group.cursor, end))}
            places = [place for place in places if place not in gone]
            group.holes -= len(gone)
        group.cursor = end
        return places

    def _paid_places(self, group: Group, cursor: Task, n: int) -> tuple[list[int], bool]:
        """As `_next_places`, as far as there are tokens, and whether the group was held back for want of the next."""
        found: list[int] = []
        while len(found) < n and group.unclaimed:
            if not self._pays(group.t_name):
                if cursor.hold is None:  # else it stays first in its line
                    self._set_aside(cursor.name, cursor.priority, cursor.seq)
                return found, True
            place: list[int] = []
            while not place:
                place = self._next_places(group, 1)
            found += place
        return found, False

    def _run_members(self, group: Group, places: list[int], claims: list[Claim]) -> None:
        act, now, nonce = self._act, self._act.now, self._nonce
        payload = act.row(TEMPLATE_PAYLOAD, group.num)[0]
        rows = _rows(act, group, places)
        tok = max(act.book.tok + 1, now) - 1
        runs: list[tuple[int, int]] = []
        for place in places:
            tok += 1
            runs.append((place, tok))
            claims.append(
                Claim(
                    id=member_id(group.id, place), gen=1, tok=tok, nonce=nonce, name=group.t_name,
                    payload=payload, row=rows[place], queue=group.t_queue, priority=group.t_priority, group=group.id,
                    index=place, pushed_us=group.opened_us, claimed_us=now, expires_us=group.t_expires_us,
                    keep_us=group.t_keep_us,
                )
            )  # fmt: skip
        act.book.tok = tok
        act.run(
            MEMBERS_RUN,
            (
                _encode(runs).decode(), group.id, group.t_queue, group.t_priority, group.t_name, self._sid, nonce,
                group.t_expires_us, group.opened_us, now, group.t_keep_us, group.t_max_crashes, group.t_max_lost,
                group.t_digest, group.t_follow,
            ),
        )  # fmt: skip
        group.running += len(places)

    def _expire(self, group: Group, places: list[int]) -> None:
        """Members whose time is over before they started become dead letters."""
        act = self._act
        self._ended += len(places)
        for place in places:
            task_id = member_id(group.id, place)
            act.run(
                MEMBER_DEAD,
                (
                    task_id, group.t_queue, group.t_priority, group.t_name, group.id, place, group.t_expires_us,
                    group.opened_us, act.now, NEVER, group.t_keep_us, group.t_max_crashes, group.t_max_lost,
                    group.t_digest, "expired", group.t_follow,
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


def _claim_of(task: Task, payload: bytes, row: bytes | None) -> Claim:
    after = reason = None
    if task.after is not None:
        after, reason, row = decode_after(task.after)
    return Claim(
        id=task.id, gen=task.gen, tok=task.tok, nonce=task.nonce, name=task.name, payload=payload, queue=task.queue,
        priority=task.priority, row=row, failures=task.failures, crashes=task.crashes, lost=task.lost,
        releases=task.releases, group=task.grp, index=task.idx, body_of=task.body_of, pushed_us=task.pushed_us,
        claimed_us=task.started_us, expires_us=task.expires_us, keep_us=task.keep_us, after=after,
        reason=reason,
    )  # fmt: skip


def _again(act: Act, sid: int, nonce: str) -> list[Claim]:
    """What the session still holds of the claim with this nonce."""
    claims: list[Claim] = []
    for task in act.tasks(CLAIMS_AGAIN, sid, nonce):
        payload, row = act.payload_of(task)
        if payload is not None:
            claims.append(_claim_of(task, payload, row))
    return claims
