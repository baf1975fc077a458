"""The parent of a worker's children: starts them, renews their sessions, charges their deaths, passes signals on.

It has one thread and runs no user code, so nothing that a task does can keep it from renewing the leases. Children
claim from the store themselves; no task passes through here.
"""

from __future__ import annotations

import logging
import math
import os
import random
import select
import signal
import sys
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from smallage.core.errors import StoreError
from smallage.core.message import Released, Settlement
from smallage.stores.base import Order
from smallage.worker import children
from smallage.worker.banner import banner
from smallage.worker.board import Farewell
from smallage.worker.child import RESHAPE, Start
from smallage.worker.children import ChildProcess
from smallage.worker.estate import Estate, estate_of, first_overdue
from smallage.worker.host import this_host
from smallage.worker.line import Word
from smallage.worker.options import PoolName, WorkerOptions
from smallage.worker.peers import Peers
from smallage.worker.plan import Plan

if TYPE_CHECKING:
    from smallage.stores.base import Mailbox, SessionView, Store

logger = logging.getLogger("smallage.worker")

FORCED = 4
"""Exit code of a stop that handed running work back."""
ROUND = 1.0
"""Seconds between looks at what sends no sign: frozen children, limits that were ignored, peers' locks."""
SCOUT_SLOTS = 1024
"""Size of the first child's board while the app has not told its shape."""
LATE = 1.5
"""Seconds that a child may take to end a task of its own after the hard limit, before we do it."""
CANCEL_PATIENCE = 2.0
"""Seconds that the only body of a child has to stop when it is terminated, before its process is killed."""
STOP_MARGIN = 3.0
"""Seconds beyond the shutdown timeout after which children are killed."""
SHORTEST_LIFE = 0.1
"""Seconds between the starts of two children of one number, at least."""
LONGEST_WAIT = 5.0
"""Longest wait before a child whose predecessors died without having settled anything."""
GREETING = "peer"
"""Kind of the order by which a new worker makes itself known to the others."""


class Supervisor:
    """See the module's text. `run` returns the exit code."""

    def __init__(self, options: WorkerOptions) -> None:
        self.options = options
        self.inbox = f"w-{os.urandom(8).hex()}"
        self.host = this_host(os.getpid())
        self.plan: Plan | None = None
        self.code = 0
        self._children: list[ChildProcess] = []
        self._poll = select.poll()
        self._peers = Peers(self.host, self._poll)
        self._store: Store | None = None
        self._mailbox: Mailbox | None = None
        self._mailbox_fd = -1
        """What the poll knows it by; a mailbox that broke has none any more."""
        self._mailbox_again = 0.0
        self._mail = False
        self._greeted = False
        self._estates: list[Estate] = []
        self._restarts: list[tuple[float, int, int]] = []
        """(when, number, failures in a row)"""
        self._failures: dict[int, int] = {}
        self._stopping = 0
        self._kill_at = math.inf
        self._next_tick = self._next_round = 0.0
        self._store_away = False
        self._wake_fd = -1
        self._ready = False

    def run(self) -> int:
        """Keep the children running until told to stop, or until a burst is over."""
        self._listen_to_signals()
        self._start_child(0)
        while self._children or self._restarts or self._estates:
            self._wait()
            self._reap()
            self._restart()
            for duty in (self._take_orders, self._settle_estates, self._tick, self._look_round):
                self._do(duty)
        self._close()
        return self.code

    def _do(self, duty: Callable[[], None]) -> None:
        """A fault of ours in one duty must not end the worker, whose children would die with us."""
        try:
            duty()
        except Exception:
            logger.exception("The supervisor failed at %s, trying again", duty.__name__.strip("_"))
            self._next_tick = self._next_round = monotonic() + ROUND

    # -- waiting ------------------------------------------------------------------------------------------------------
    def _listen_to_signals(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        self._wake_fd = read
        self._poll.register(read, select.POLLIN)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (
            signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD
        ):  # fmt: skip
            signal.signal(number, lambda signum, frame: None)

    def _wait(self) -> None:
        """Sleep until a signal, a word, an order, a peer's death, or until something is to be done."""
        now = monotonic()
        until = min(self._next_tick if self._store is not None else math.inf, self._next_round, self._kill_at)
        for when, _, _ in self._restarts:
            until = min(until, when)
        timeout = max(0.0, until - now)
        ready = self._poll.poll(math.ceil(min(timeout, 60.0) * 1000))
        fds = {fd for fd, _ in ready}
        if self._wake_fd in fds:
            self._act_on_signals()
        if self._peers.ended(fds):
            self._next_tick = 0.0
        self._mail = self._mail or self._mailbox_fd in fds
        for child in list(self._children):
            if child.line.fileno() in fds:
                self._hear(child)

    def _act_on_signals(self) -> None:
        try:
            numbers = os.read(self._wake_fd, 256)
        except BlockingIOError:
            return
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(1 if self._stopping == 0 else 2)
            elif number == signal.SIGQUIT:
                self._stop(3)
            elif number == signal.SIGHUP:
                self._hang_up()
            elif number == signal.SIGUSR1:
                self._dump()

    def _hang_up(self) -> None:
        """The terminal is gone: stop. Without a terminal, by custom: start afresh."""
        if sys.stdin is not None and sys.stdin.isatty():
            self._stop(1)
            return
        logger.warning("SIGHUP: replacing all children")
        for child in self._children:
            child.line.say_later(Word("recycle"))

    def _dump(self) -> None:
        import faulthandler

        sys.stderr.write(f"Stack of the supervisor {os.getpid()}:\n")
        sys.stderr.flush()
        faulthandler.dump_traceback(file=sys.stderr)
        for child in self._children:
            os.kill(child.pid, signal.SIGUSR1)

    # -- stopping -----------------------------------------------------------------------------------------------------
    def _stop(self, level: int, quietly: bool = False) -> None:
        """1: let running tasks end within the timeout; 2: hand everything back now; 3: kill."""
        if level <= self._stopping:
            return
        self._stopping = level
        self._restarts.clear()
        timeout = self.options.shutdown_timeout if level == 1 else 0.0
        self._kill_at = monotonic() + timeout + STOP_MARGIN if level < 3 else monotonic()
        says = {1: f"finishing what runs, at most {timeout:g}s", 2: "handing back what runs", 3: "killing the children"}
        if not quietly:
            logger.warning("Stopping: %s", says[level])
        for child in list(self._children):
            if not child.announced and child.line.fileno() >= 0:
                self._hear(child)
            if level == 3 or not child.announced:  # one that is still starting has nothing in hand
                child.kill("stop")
            else:
                child.line.say_later(Word("drain", seconds=timeout))

    # -- children -----------------------------------------------------------------------------------------------------
    def _start_child(self, number: int) -> None:
        plan = self.plan
        pool: PoolName | None = plan.pool if plan is not None else self.options.pool
        spawned = plan.spawned if plan is not None else pool == "gevent" or sys.platform == "darwin"
        start = Start(
            options=self.options,
            number=number,
            session=os.urandom(16).hex(),
            inbox=self.inbox,
            host=self.host,
            slots=plan.slots if plan is not None else max(SCOUT_SLOTS, 2 * (self.options.concurrency or 0)),
            pool=pool,
            first=plan is None,
        )
        try:
            child = children.launch(start, spawned)
        except OSError as error:  # no more processes or descriptors, for now
            logger.error("Child %d cannot be started, trying again: %s", number + 1, error)
            self._again(number, max(0.5, self._back_off(number)))
            return
        self._children.append(child)
        self._poll.register(child.line.fileno(), select.POLLIN)

    def _hear(self, child: ChildProcess) -> None:
        words = child.line.hear(wait=False)
        if words is None:  # it has closed its line, so it is ending; `_reap` will see it
            self._forget_line(child)
            return
        for word in words:
            match word.kind:
                case "hello":
                    self._meet(word)
                case "announced":
                    self._announced(child, word.session)
                case "refused":
                    child.refusal = word
                case "recycling":
                    child.replaced = True
                    self._again(child.number, 0.0)
                case "thawed":
                    child.frozen = False
                    self._next_tick = 0.0

    def _forget_line(self, child: ChildProcess) -> None:
        if child.line.fileno() >= 0:
            self._poll.unregister(child.line.fileno())
            child.line.close()

    def _meet(self, word: Word) -> None:
        """The first child has loaded the app and says what the worker is to be."""
        if self.plan is not None:
            return
        self.plan = plan = msgspec.convert(word.data, Plan)
        from smallage.stores import base

        self._store = base.open(plan.store_url, **plan.store_options)
        banner(self.options, plan, self._store.url)
        for number in range(1, plan.children):
            self._start_child(number)

    def _announced(self, child: ChildProcess, session: str) -> None:
        child.session, child.announced = session, True
        self._fence(child, monotonic())
        if self._stopping:
            child.line.say_later(Word("drain", seconds=max(0.0, self._kill_at - monotonic() - STOP_MARGIN)))
        self._next_tick = 0.0
        if not self._ready and all(one.announced for one in self._children):
            self._ready = True
            assert self.plan is not None
            logger.info("%s ready.", self.plan.node)

    def _reap(self) -> None:
        for child in list(self._children):
            status = child.reap()
            if status is not None:
                self._hear_out(child)
                self._children.remove(child)
                self._died(child, status)

    def _hear_out(self, child: ChildProcess) -> None:
        if child.line.fileno() >= 0:
            self._hear(child)
        self._forget_line(child)

    def _died(self, child: ChildProcess, status: int) -> None:
        farewell = child.board.farewell
        how = children.how_it_died(status, farewell)
        if child.announced:
            self._estates.append(estate_of(child, how))
        if farewell == Farewell.FORCED:
            self.code = FORCED
        if farewell == Farewell.REFUSED:
            self._refused(child)
            return
        if self._stopping or farewell == Farewell.FINISHED:
            return
        if farewell == Farewell.NONE and not child.killed:
            logger.error("Child %d (process %d) died: %s", child.number + 1, child.pid, how)
        if not child.replaced:
            self._again(child.number, self._wait_before(child))

    def _refused(self, child: ChildProcess) -> None:
        word = child.refusal or Word("refused", code=1, text="The child gave no reason.")
        if word.text == RESHAPE:
            self._again(child.number, 0.0)
        elif self._ready or any(one.announced for one in self._children):
            logger.error("Child %d could not start: %s", child.number + 1, word.text)
            if not self._stopping:
                self._again(child.number, max(1.0, self._back_off(child.number)))
        else:
            if not self.code:
                sys.stderr.write(f"smallage: {word.text}\n")
            self.code = word.code or 1
            self._stop(1, quietly=True)

    def _wait_before(self, child: ChildProcess) -> float:
        """Seconds before the successor of a child starts: none if the child was of use, else more each time."""
        if child.board.farewell not in (Farewell.NONE, Farewell.BROKEN) or child.board.settled:
            self._failures[child.number] = 0
            return max(0.0, child.born + SHORTEST_LIFE - monotonic())
        return self._back_off(child.number)

    def _back_off(self, number: int) -> float:
        """Seconds before a child whose predecessors died without having done anything: none at first, then more."""
        failures = self._failures[number] = self._failures.get(number, 0) + 1
        if failures <= 3:
            return 0.0
        return random.uniform(0.5, 1.0) * min(LONGEST_WAIT, 0.1 * 2.0 ** (failures - 4))

    def _again(self, number: int, wait: float) -> None:
        if not self._stopping:
            self._restarts.append((monotonic() + wait, number, 0))

    def _restart(self) -> None:
        now = monotonic()
        due = [entry for entry in self._restarts if entry[0] <= now]
        if due:
            self._restarts = [entry for entry in self._restarts if entry[0] > now]
            for _, number, _ in due:
                self._start_child(number)

    # -- the store ----------------------------------------------------------------------------------------------------
    def _tick(self) -> None:
        """Renew the sessions; take back what the dead have left."""
        now = monotonic()
        if self._store is None or now < self._next_tick:
            return
        assert self.plan is not None
        lease = self.plan.lease_us / 1e6
        own = [child.session for child in self._children if child.announced]
        try:
            views = self._store.workers()
            self._peers.see(views, set(own))
            ticked = self._store.tick(own, self._peers.dead())
            self._greet(views)
        except StoreError as error:
            self._say_away(error)
            self._next_tick = monotonic() + random.uniform(0.1, 1.0)
            return
        self._say_back()
        self._mail = True  # should a notice have been lost
        for child in self._children:
            if child.session in ticked.unknown:
                self._lost(child)
            elif child.session in own:
                self._fence(child, now)
        if ticked.taken_back:
            logger.warning("Took back %d task(s) of lost workers", len(ticked.taken_back))
        waits = [lease / 3]
        for moment in (ticked.next_due_us, ticked.next_lease_us):
            if moment is not None:
                waits.append(max(0.005, (moment - ticked.now_us) / 1e6 + 0.001))
        self._next_tick = monotonic() + min(waits)

    def _greet(self, views: list[SessionView]) -> None:
        """Once: have the other workers look at who is there, so that they watch over us from now on."""
        if not self._greeted and any(child.announced for child in self._children):
            self._greeted = True
            assert self._store is not None
            for session in {v.info.inbox: v.session for v in views if v.info.inbox not in ("", self.inbox)}.values():
                self._store.control(Order(session, GREETING))

    def _fence(self, child: ChildProcess, renewed: float) -> None:
        """Renewed at `renewed`: nothing may be started when the lease may be over."""
        assert self.plan is not None
        lease = self.plan.lease_us / 1e6
        if not child.frozen:
            child.board.fence = renewed + lease - max(2.0, lease / 10)

    def _lost(self, child: ChildProcess) -> None:
        child.announced = False
        child.board.fence = 0.0
        child.line.say_later(Word("lost", session=os.urandom(16).hex()))

    def _settle_estates(self) -> None:
        if self._store is None:
            self._estates.clear()
        while self._estates:
            assert self._store is not None
            try:
                forced = self._estates[0].settle(self._store)
            except StoreError as error:
                self._say_away(error)
                if self._stopping:  # the next worker, or the lease, hands them back
                    self._estates.clear()
                else:
                    self._next_round = min(self._next_round, monotonic() + random.uniform(0.05, 1.0))
                return
            del self._estates[0]
            if forced and self._stopping:
                self.code = FORCED

    def _say_away(self, error: StoreError) -> None:
        if not self._store_away:
            self._store_away = True
            logger.warning("Store: the supervisor cannot reach it, trying again until it answers: %s", error)

    def _say_back(self) -> None:
        if self._store_away:
            self._store_away = False
            logger.warning("Store: it answers the supervisor again")

    # -- orders -------------------------------------------------------------------------------------------------------
    def _take_orders(self) -> None:
        if self._store is None:
            return
        now = monotonic()
        try:
            if self._mailbox is None:
                if now < self._mailbox_again:
                    return
                self._mailbox = self._store.mailbox(self.inbox)
                self._mailbox_fd = self._mailbox.fileno()
                self._poll.register(self._mailbox_fd, select.POLLIN)
                self._mail = True
            if not self._mail:
                return
            self._mail = False
            orders = self._mailbox.take()
        except StoreError as error:
            self._say_away(error)
            self._close_mailbox()
            self._mailbox_again = now + random.uniform(0.05, 1.0)
            self._next_round = min(self._next_round, self._mailbox_again)
            return
        for order in orders:
            self._obey(order)

    def _close_mailbox(self) -> None:
        if self._mailbox is not None:
            self._poll.unregister(self._mailbox_fd)
            self._mailbox.close()
            self._mailbox = None

    def _obey(self, order: Order) -> None:
        if order.kind == "cancel":
            for child in self._children:
                if child.session == order.session:
                    child.line.say_later(Word("cancel", id=order.id, tok=order.tok))
                    child.cancels.append((order.tok, monotonic() + CANCEL_PATIENCE))
        elif order.kind == "shutdown":
            self._stop(1)
        elif order.kind == GREETING:
            self._next_tick = 0.0
        else:
            logger.warning("The order '%s' is not known to this version", order.kind)

    # -- once a second ------------------------------------------------------------------------------------------------
    def _look_round(self) -> None:
        now = monotonic()
        if now >= self._kill_at:
            for child in self._children:
                child.kill("stop")
            self._kill_at = now + 1.0
        if now < self._next_round:
            return
        self._next_round = now + ROUND
        for child in self._children:
            child.line.flush()
            self._look_at(child, now)
        if self._peers.unwatched():
            self._probe_peers()

    def _look_at(self, child: ChildProcess, now: float) -> None:
        single = child.start.pool in ("processes", "solo")
        if now > first_overdue(child, LATE if single else 3 * LATE):
            logger.error("Child %d ignores a hard time limit: killing it", child.number + 1)
            child.kill("limit")
        if child.cancels:
            running = child.board.running()
            late = [tok for tok, when in child.cancels if now >= when and tok in running]
            child.cancels = [(tok, when) for tok, when in child.cancels if now < when]
            if late and single:
                logger.warning("Child %d: its task does not stop, ending the process", child.number + 1)
                child.kill("cancel")
        self._look_for_frost(child, now)

    def _look_for_frost(self, child: ChildProcess, now: float) -> None:
        """A child whose engine has not come round for a lease: its waiting claims are handed back, what runs stays."""
        if not child.announced or self._store is None or self.plan is None or child.frozen:
            return
        if now - child.board.seen <= self.plan.lease_us / 1e6:
            return
        child.frozen = True
        child.board.fence = 0.0
        kept = child.board.once().union(child.board.running())
        try:
            waiting = [held for held in self._store.held(child.session) if held.tok not in kept]
            self._store.settle(
                child.session, [Settlement(held.id, held.gen, held.tok, held.nonce, Released()) for held in waiting]
            )
        except StoreError as error:
            child.frozen = False
            self._say_away(error)
            return
        child.line.say_later(Word("frozen"))
        if waiting:
            logger.warning("Child %d is frozen: %d waiting task(s) handed back", child.number + 1, len(waiting))

    def _probe_peers(self) -> None:
        if self._store is None:
            return
        own = {child.session for child in self._children} | {estate.session for estate in self._estates}
        try:
            dead = self._peers.confirmed(self._store.dead_peers(), own)
            if dead:
                ticked = self._store.tick([child.session for child in self._children if child.announced], dead)
                logger.warning("Took back %d task(s) of dead workers", len(ticked.taken_back))
        except StoreError as error:
            self._say_away(error)

    def _close(self) -> None:
        self._peers.close()
        self._close_mailbox()
        if self._store is not None:
            self._store.close()


def supervise(options: WorkerOptions) -> int:
    """Run a worker in this process until it is told to stop; returns the exit code."""
    from smallage.worker.logs import configure

    configure(options.log_level, options.log_format, "Supervisor")
    _load_what_children_need(options.pool)
    return Supervisor(options).run()


def _load_what_children_need(pool: PoolName | None) -> None:
    """Import our own modules before the fork, so that children share them and start at once. No user code."""
    import smallage.app
    import smallage.worker.child

    if pool in ("threads", "processes", "solo", None):
        import smallage.worker.pools.threads
    if pool == "asyncio":
        import smallage.worker.pools.asyncio  # noqa: F401
