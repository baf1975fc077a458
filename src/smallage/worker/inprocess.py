"""A worker inside the calling process: threads or coroutines beside the program that pushes.

For tests and for programs that want no second process. It is a session like any other, but nobody supervises it: a
crash of this process is a crash of the worker, and its tasks come back by proof of death or by their lease.
"""

from __future__ import annotations

import logging
import math
import os
import select
import threading
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from smallage.control.asking import ASK, Question
from smallage.core.errors import ImproperlyConfigured, StoreError
from smallage.hosts import this_host
from smallage.run import HardTimeout, Terminated
from smallage.stores.base import LEASE_US, SessionInfo
from smallage.worker.beat import Beat
from smallage.worker.board import Board, Farewell
from smallage.worker.body import Body
from smallage.worker.context import Context
from smallage.worker.desk import Desk
from smallage.worker.fetch import Engine
from smallage.worker.limits import Limits
from smallage.worker.options import node_name, pool_named
from smallage.worker.panel import Panel
from smallage.worker.pools import make_pool
from smallage.worker.rates import tell_rates
from smallage.worker.slot import Slot
from smallage.worker.switchboard import together
from smallage.worker.tasklog import TaskLog

if TYPE_CHECKING:
    from smallage.core.message import Claim
    from smallage.stores.base import Mailbox, Order, Ticked

logger = logging.getLogger("smallage.worker")

LEFT_BEHIND = 5.0
"""Seconds that a stop waits for an event loop whose tasks do not end."""


class InProcessWorker:
    """Runs an app's tasks in this process, from `start()` (or `with`) until `stop()`.

    `pool` is "threads" or "asyncio"; `concurrency` the number of tasks at a time; `queues` default to the app's. With
    `beat` it fires the app's schedules too.
    """

    def __init__(
        self,
        app: Any,
        *,
        pool: str = "threads",
        concurrency: int = 4,
        queues: tuple[str, ...] = (),
        node: str = "",
        burst: bool = False,
        lease: float = LEASE_US / 1e6,
        beat: bool = False,
    ) -> None:
        name = pool_named(pool)
        if name not in ("threads", "asyncio"):
            raise ImproperlyConfigured(f"A worker inside a process runs threads or asyncio, not {name}.")
        self.app = app
        self.store = app.store
        self.lease = lease
        self.queues = queues or tuple(map(str, app.conf.task_queues)) or (app.conf.task_default_queue,)
        self._inbox = f"i-{os.urandom(8).hex()}"
        self._node = node_name(node)
        self._pool_name, self._concurrency = name, concurrency
        slots = [Slot(index) for index in range(concurrency * (2 if name == "asyncio" else 1))]
        self.board = Board(len(slots))
        self.desk = Desk()
        log = TaskLog()
        self.limits = Limits(self.board, self._stuck)
        self.body = Body(app, Context(self._node, self.board), log)
        self.pool = make_pool(name, slots, self.desk, self.board, self.body, self.limits)
        self.limits.pool = self.pool
        self.engine = Engine(
            self.store, os.urandom(16).hex(), self.queues, self.desk, self.pool, self.board, log,
            places=concurrency, burst=burst,
        )  # fmt: skip
        self.panel = Panel(self, self._node, os.getpid(), name, self.queues, concurrency)
        self._beat = Beat(app) if beat else None
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def session(self) -> str:
        return self.engine.session

    def start(self) -> InProcessWorker:
        """Announce the session and begin to work; returns itself. A started worker is left as it is."""
        if self._threads:
            return self
        self._announce()
        tell_rates(self.app, self.store)
        self._fence(monotonic())
        self.pool.start()
        for target, name in ((self.pool.run, "pool"), (self.engine.run, "engine"), (self._keep, "tick")):
            thread = threading.Thread(target=target, name=f"smallage-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        if self._beat is not None:
            self._threads.append(self._beat.start())
        return self

    def stop(self, timeout: float = 10.0) -> None:
        """Claim no more, wait for what runs for `timeout` seconds, hand the rest back. Twice is fine."""
        self._stop_beat()
        self.engine.stop(Farewell.DRAINED, timeout)
        self.join()

    def _stop_beat(self) -> None:
        if self._beat is not None:
            self._beat.stop()

    def join(self) -> None:
        """Wait until the worker has stopped; a burst stops by itself."""
        for thread in reversed(self._threads[:2]):  # the engine ends the pool
            if thread is not threading.current_thread():
                thread.join(None if thread.name == "smallage-engine" else LEFT_BEHIND)
        self._closed.set()
        self._stop_beat()
        for thread in self._threads[2:]:
            thread.join()

    def tick(self, dead: tuple[str, ...] = ()) -> Ticked:
        """Renew, promote and take back now, and look for work: what a test does after it has moved its clock."""
        ticked = self.store.tick([self.session], dead)
        self._renewed(ticked, monotonic())
        self.engine.ring()
        answer: Ticked = ticked
        return answer

    def __enter__(self) -> InProcessWorker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- its own supervisor -------------------------------------------------------------------------------------------
    def _announce(self) -> None:
        self.store.announce(
            self.session,
            SessionInfo(
                host=this_host(os.getpid()),
                inbox=self._inbox,
                node=self._node,
                pool=self._pool_name,
                concurrency=self._concurrency,
                queues=self.queues,
                names=tuple(sorted(self.app.tasks)),
                lease_us=round(self.lease * 1e6),
                listens=self.app.conf.worker_enable_remote_control,
            ),
        )

    def _fence(self, renewed: float) -> None:
        self.board.fence = renewed + self.lease - max(2.0, self.lease / 10)

    def _keep(self) -> None:
        """Renew the session, promote what is due, and take orders, until closed."""
        mailbox: Mailbox | None = None
        next_tick = 0.0
        while not self._closed.is_set():
            try:
                mailbox = mailbox or self.store.mailbox(self._inbox)
                if monotonic() >= next_tick:
                    next_tick = self._tick()
                self._wait(mailbox, min(next_tick - monotonic(), 0.2))
                for order in mailbox.take():
                    self._obey(order)
            except StoreError as error:
                logger.warning("Store: cannot renew the session, trying again: %s", error)
                if mailbox is not None:
                    mailbox.close()
                    mailbox = None
                self._closed.wait(0.2)
        if mailbox is not None:
            mailbox.close()

    def _obey(self, order: Order) -> None:
        if order.kind == "cancel":
            self._cancel(order.id, order.tok)
        elif order.kind == ASK and self.app.conf.worker_enable_remote_control:
            question = msgspec.json.decode(order.text, type=Question)
            value = self._shut_down() if question.method == "shutdown" else self._asked(question)
            if order.id:
                self.store.answer(order.id, self._node, msgspec.json.encode(value, enc_hook=repr))

    def _asked(self, question: Question) -> Any:
        served = list(self.panel.queues)
        value = together(question.method, [self.panel.answer(question.method, question.arguments)])
        if self.panel.queues != served:
            self.queues = tuple(self.panel.queues)
            self._announce()
        return value

    def _shut_down(self) -> dict[str, str]:
        self.engine.stop(Farewell.DRAINED, 10.0)
        return {"ok": "shutting down"}

    def _wait(self, mailbox: Mailbox, seconds: float) -> None:
        if seconds > 0:
            select.select([mailbox.fileno()], [], [], seconds)

    def _tick(self) -> float:
        now = monotonic()
        ticked = self.store.tick([self.session])
        self._renewed(ticked, now)
        waits = [self.lease / 3]
        for moment in (ticked.next_due_us, ticked.next_lease_us):
            if moment is not None:
                waits.append(max(0.005, (moment - ticked.now_us) / 1e6 + 0.001))
        return now + min(waits)

    def _renewed(self, ticked: Ticked, when: float) -> None:
        if self.session not in ticked.unknown:
            self._fence(when)
        elif self.engine.farewell == Farewell.NONE:
            self._lost()

    def _lost(self) -> None:
        logger.error("The lease was lost: tasks of this worker run elsewhere now, so they are cancelled here")
        for slot in self.pool.slots:
            if (claim := slot.claim) is not None:
                self.limits.send(slot, claim, Terminated)
        self.engine.rename(os.urandom(16).hex())
        self._announce()
        self._fence(monotonic())
        self.engine.ring()

    def _cancel(self, task_id: str, tok: int) -> None:
        for slot in self.pool.slots:
            claim = slot.claim
            if claim is not None and claim.id == task_id and tok in (0, claim.tok):
                self.limits.send(slot, claim, Terminated)
                return
        self.engine.drop(task_id, tok)

    def _stuck(self, slot: Slot, claim: Claim) -> None:
        """The body does not stop. This process is not ours to replace: its place is lost, the others work on."""
        self.desk.put(claim, self.body.ended(claim, HardTimeout()), math.ulp(0.0))


def start_worker(app: Any, **options: Any) -> InProcessWorker:
    """A started worker inside this process; options as for `InProcessWorker`. Stop it with `stop()`, or use `with`."""
    return InProcessWorker(app, **options).start()
