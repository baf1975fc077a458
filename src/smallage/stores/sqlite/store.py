"""The verbs put together: each write is one act in one transaction, then bells, changes and orders go out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import apsw

from smallage.core.message import Claim, Message, Settlement
from smallage.core.states import State
from smallage.stores.base import (
    MAX_PUSH,
    MAX_SCHEDULES,
    Claimed,
    ClaimRequest,
    FireVerdict,
    GroupBatch,
    GroupView,
    Held,
    LimitSpec,
    LimitView,
    MemberResult,
    Order,
    PushVerdict,
    RevokeVerdict,
    SchedulePut,
    ScheduleView,
    SessionInfo,
    SessionView,
    Settled,
    SettleVerdict,
    TaskView,
    Ticked,
)
from smallage.stores.sqlite import (
    audit,
    claim,
    groups,
    liveness,
    operators,
    place,
    push,
    rates,
    readers,
    schedules,
    sessions,
    settle,
)
from smallage.stores.sqlite.connection import patience, said_plainly
from smallage.stores.sqlite.ears import box
from smallage.stores.sqlite.lines import NEXT_DUE
from smallage.stores.sqlite.opened import QUEUE_HAS_READY, OpenedFile
from smallage.stores.sqlite.queries import query
from smallage.stores.sqlite.waiting import SqliteMailbox, SqliteWatch

CHECKPOINT_PAGES: Final = 1_000
PRUNING_S: Final = 0.2
RESTART_PAGES: Final = 3_000
RESTART_S: Final = 0.25
"""Longest wait for readers while writers are held up."""

SESSION_BY_NAME = query("session_by_name")
SESSIONS_JUDGED = query("sessions_judged")
INBOX_PEEK = query("inbox_peek")


class SqliteStore(OpenedFile):
    """See `smallage.stores.base.Store`."""

    epoch = ""
    breaks = 0
    """A file that was replaced is refused, so that this never changes."""

    # -- in ---------------------------------------------------------------------------------------------------------
    def push(self, messages: Sequence[Message]) -> list[PushVerdict]:
        if len(messages) > MAX_PUSH:
            raise ValueError(f"push takes at most {MAX_PUSH} messages a call; split the batch")
        return self._write(lambda act: push.push(act, messages), growing=True) if messages else []

    def group_push(self, batch: GroupBatch) -> PushVerdict:
        if len(batch.rows) + len(batch.members) + len(batch.also) > MAX_PUSH:
            raise ValueError(f"group_push takes at most {MAX_PUSH} rows, members and others a call; split the batch")
        return self._write(lambda act: groups.group_push(act, batch), growing=True)

    # -- work -------------------------------------------------------------------------------------------------------
    def claim(self, session: str, request: ClaimRequest) -> Claimed:
        self._bells.quiet(session)
        idle = self._nothing_to_claim(session, request)
        if idle is not None:
            return idle
        return self._write(lambda act: claim.claim(act, session, request), durable=False)

    def _nothing_to_claim(self, session: str, request: ClaimRequest) -> Claimed | None:
        """The answer, without troubling the writers, if no queue has anything ready or due."""
        with self._read() as reader:
            now = self._wall()
            known = reader.execute(SESSION_BY_NAME, (session,)).fetchone()
            (due,) = reader.execute(NEXT_DUE).fetchone()
            if (due is not None and due <= now) or (known is not None and known[1] == request.nonce):
                return None
            if known is not None and request.n > 0:
                for queue in request.queues:
                    if reader.execute(QUEUE_HAS_READY, (queue,)).fetchone() or rates.token_for(reader, queue, now):
                        return None
            return Claimed(next_due_us=due, now_us=now)

    def settle(self, session: str, settlements: Sequence[Settlement], request: ClaimRequest | None = None) -> Settled:
        if not settlements:
            return Settled((), self.claim(session, request) if request else Claimed(now_us=self._wall()))
        if request is not None:
            self._bells.quiet(session)
        return self._write(lambda act: settle.settle(act, session, settlements, request))

    def progress(self, claim: Claim, note: bytes) -> SettleVerdict:
        return self._write(lambda act: settle.progress(act, claim, note), durable=False)

    def listen(self, session: str, queues: Sequence[str], timeout: float) -> bool:
        self._check()
        return self._bells.listen(session, queues, timeout)

    def nudge(self, session: str) -> None:
        self._bells.nudge(session)

    # -- sessions ---------------------------------------------------------------------------------------------------
    def announce(self, session: str, info: SessionInfo) -> None:
        self._check()
        with said_plainly(self.path), self._read():
            pass
        folder = place.make_runtime(self.path)
        liveness.sweep(folder)
        liveness.hold(folder, session)
        self._announced.add(session)
        self._write(lambda act: sessions.announce(act, session, info), growing=True, durable=False)

    def tick(self, sessions_: Sequence[str], dead: Sequence[str] = ()) -> Ticked:
        ticked, pruned_all = self._write(lambda act: sessions.tick(act, sessions_, dead), durable=False)
        for session in dead:
            liveness.remove(place.runtime_of(self.path), session)
        end = time.monotonic() + PRUNING_S
        while not pruned_all and time.monotonic() < end:  # in small steps, so that nobody waits long for the lock
            pruned_all = self._write(sessions.prune, durable=False)
        if self._writer.wal_pages >= CHECKPOINT_PAGES:
            self._checkpoint()
        return ticked

    def _checkpoint(self) -> None:
        """Copy the log into the database without holding anybody up; when it is long, hold writers up for the last few
        pages, after which the log begins anew. Under steady load it would grow for ever otherwise."""
        with said_plainly(self.path):
            connection = self._connect()
            try:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if self._writer.wal_pages >= RESTART_PAGES:
                    connection.set_busy_handler(patience(RESTART_S, longest=0.0002))
                    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
            except (apsw.BusyError, apsw.FullError):
                pass  # somebody reads or checkpoints, or there is no room; the next tick tries again
            finally:
                connection.close()

    def leave(self, session: str) -> list[str]:
        left = self._write(lambda act: sessions.leave(act, session), durable=False)
        self._bells.drop(session)
        self._announced.discard(session)
        liveness.release(place.runtime_of(self.path), session)
        return left

    def held(self, session: str) -> list[Held]:
        with self._read() as reader:
            return readers.held(reader, session)

    def workers(self) -> list[SessionView]:
        with self._read() as reader:
            return readers.workers(reader, self._wall(), self._boot())

    def dead_peers(self) -> list[str]:
        with self._read() as reader:
            rows = reader.execute(SESSIONS_JUDGED).fetchall()
        folder, here = place.runtime_of(self.path), liveness.boot_id()
        return [name for _, name, _, boot in rows if boot != here or liveness.is_dead(folder, name)]

    def control(self, order: Order) -> bool:
        return self._write(lambda act: sessions.control(act, order))

    def mailbox(self, name: str) -> SqliteMailbox:
        ear = self._new_ear("m")
        ear.want([box(name)])
        return SqliteMailbox(ear, lambda: self._take_orders(name))

    def _take_orders(self, name: str) -> list[Order]:
        with self._read() as reader:
            if reader.execute(INBOX_PEEK, (name,)).fetchone() is None:
                return []
        return self._write(lambda act: sessions.take_orders(act, name), durable=False)

    # -- readers ----------------------------------------------------------------------------------------------------
    def state(self, ids: Sequence[str]) -> list[TaskView | None]:
        with self._read() as reader:
            return readers.state(reader, ids, self._wall())

    def watch(self) -> SqliteWatch:
        return SqliteWatch(self._new_ear("w"))

    def group(self, group: str) -> GroupView | None:
        with self._read() as reader:
            return readers.group(reader, group, self._wall())

    def results(self, group: str, offset: int, n: int) -> list[MemberResult]:
        with self._read() as reader:
            return readers.results(reader, group, offset, n, self._wall())

    def counts(self) -> dict[str, dict[str, int]]:
        with self._read() as reader:
            return readers.counts(reader)

    def find(self, state: State, n: int = 100, after: str | None = None) -> list[TaskView]:
        with self._read() as reader:
            return readers.find(reader, state, n, after, self._wall())

    def payload(self, task_id: str) -> tuple[bytes, bytes | None] | None:
        with self._read() as reader:
            return readers.payload(reader, task_id, self._wall())

    def audit(self) -> list[str]:
        with self._read() as reader:
            return audit.breaches(reader, self._wall())

    # -- operators --------------------------------------------------------------------------------------------------
    def revoke(self, ids: Sequence[str], terminate: bool = False) -> list[RevokeVerdict]:
        return self._write(lambda act: operators.revoke(act, ids, terminate))

    def group_revoke(self, group: str, terminate: bool = False) -> int:
        return self._write(lambda act: operators.group_revoke(act, group, terminate))

    def group_retry(self, group: str) -> int:
        return self._write(lambda act: operators.group_retry(act, group))

    def requeue(self, ids: Sequence[str]) -> list[bool]:
        return self._write(lambda act: operators.requeue(act, ids))

    def forget(self, ids: Sequence[str]) -> int:
        return self._write(lambda act: operators.forget(act, ids))

    def pause(self, queue: str) -> None:
        self._write(lambda act: operators.pause(act, queue, True))

    def resume(self, queue: str) -> None:
        self._write(lambda act: operators.pause(act, queue, False))

    def purge(self, queue: str) -> int:
        n, step, last = 0, 1, None
        while step:
            step, last = self._write(partial(operators.purge_plain, queue=queue, last=last))
            n += step
        return n + self._write(lambda act: operators.purge_linked(act, queue))

    def unpark(self, name: str | None = None) -> int:
        return self._write(lambda act: operators.unpark(act, name))

    def limit(self, key: str, spec: LimitSpec | None, default: bool = False) -> None:
        self._write(lambda act: act.rates.limit(key, spec, default))

    def limits(self, keys: Sequence[str] | None = None) -> dict[str, LimitView]:
        with self._read() as reader:
            return rates.limits(reader, keys)

    # -- schedules, answers -------------------------------------------------------------------------------------------
    def schedule_put(self, name: str, spec: bytes, source: str = "") -> None:
        self.schedules_put([SchedulePut(name=name, spec=spec, source=source)])

    def schedules_put(self, puts: Sequence[SchedulePut]) -> list[bool]:
        if len(puts) > MAX_SCHEDULES:
            raise ValueError(f"schedules_put takes at most {MAX_SCHEDULES} schedules a call; split the batch")
        return self._write(lambda act: [schedules.put(act, put) for put in puts], growing=True)

    def schedule_pause(self, name: str, paused: bool = True) -> bool:
        return self._write(lambda act: schedules.pause(act, name, paused))

    def schedule_remove(self, name: str) -> bool:
        return self._write(lambda act: schedules.remove(act, name))

    def schedules(self, names: Sequence[str] | None = None) -> list[ScheduleView]:
        with self._read() as reader:
            return schedules.schedules(reader, names)

    def fire(
        self, name: str, instant_us: int, message: Message | None, skip: bool = False, spec: bytes | None = None
    ) -> FireVerdict:
        with self._read() as reader:
            verdict = schedules.refused(reader, name, instant_us, spec)
        if verdict is not None:
            return verdict
        return self._write(lambda act: schedules.fire(act, name, instant_us, message, skip, spec), growing=True)

    def answer(self, ticket: str, node: str, data: bytes) -> None:
        self._write(lambda act: schedules.answer(act, ticket, node, data), growing=True, durable=False)

    def answers(self, ticket: str) -> dict[str, bytes]:
        with self._read() as reader:
            return schedules.answers(reader, ticket, self._wall())
