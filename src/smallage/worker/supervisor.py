"""The parent of a worker's children: starts them, renews their sessions, charges their deaths, passes signals on.

It has one thread and runs no user code, so nothing that a task does can keep it from renewing the leases. Children
claim from the store themselves; no task passes through here.
"""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import sys
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from smallage.control.asking import ASK
from smallage.hosts import this_host
from smallage.worker import children
from smallage.worker.banner import banner
from smallage.worker.board import Farewell
from smallage.worker.child import RESHAPE, Start
from smallage.worker.children import ChildProcess
from smallage.worker.estate import estate_of, first_overdue
from smallage.worker.finish import Outage
from smallage.worker.leases import GREETING, Leases
from smallage.worker.line import Word
from smallage.worker.options import PoolName, WorkerOptions
from smallage.worker.orders import Orders
from smallage.worker.plan import DRAIN_SECONDS, Plan
from smallage.worker.restarts import Restarts
from smallage.worker.signal_pipe import SignalPipe
from smallage.worker.switchboard import Switchboard

if TYPE_CHECKING:
    from smallage.stores.base import Order

logger = logging.getLogger("smallage.worker")

FORCED = 4
"""Exit code of a stop that handed running work back."""
ROUND = 1.0
"""Seconds between looks at what sends no sign: frozen children, limits that were ignored, peers' locks."""
SCOUT_SLOTS = 1024
"""Size of the first child's board while the app has not told its shape."""
IDLE_ROUNDS = 30
"""Rounds without work after which a pool that scales gives a child back."""
LATE = 1.5
"""Seconds that a child may take to end a task of its own after the hard limit, before we do it."""
CANCEL_PATIENCE = 2.0
"""Seconds that the only body of a child has to stop when it is terminated, before its process is killed."""
STOP_MARGIN = 3.0
"""Seconds beyond the shutdown timeout after which children are killed."""


class Supervisor:
    """See the module's text. `run` returns the exit code."""

    def __init__(self, options: WorkerOptions) -> None:
        self.options = options
        self.inbox = f"w-{os.urandom(8).hex()}"
        self.host = this_host(os.getpid())
        self.plan: Plan | None = None
        self.code = 0
        self._began = monotonic()
        self._children: list[ChildProcess] = []
        self._restarts = Restarts()
        self._poll = select.poll()
        outage = Outage("the supervisor")
        self._leases = Leases(self.inbox, self.host, self._poll, self._children, outage)
        self._orders = Orders(self.inbox, self._poll, outage)
        self._switchboard = Switchboard(self._asked)
        self._signals: SignalPipe | None = None
        self._stopping = 0
        self._kill_at = math.inf
        self._next_round = 0.0
        self._ready = False
        self._autoscale = options.autoscale
        """Most and least children."""
        self._idle_rounds = 0

    def run(self) -> int:
        """Keep the children running until told to stop, or until a burst is over."""
        self._signals = SignalPipe()
        self._poll.register(self._signals, select.POLLIN)
        self._start_child(0)
        while self._children or self._restarts or self._leases.estates:
            self._wait()
            self._reap()
            for number in self._restarts.take(monotonic()):
                self._start_child(number)
            for duty in (self._take_orders, self._answer_late, self._settle_estates, self._renew, self._look_round):
                self._do(duty)
        self._orders.close()
        self._leases.close()
        return self.code

    def _do(self, duty: Callable[[], None]) -> None:
        """A fault of ours in one duty must not end the worker, whose children would die with us."""
        try:
            duty()
        except Exception:
            logger.exception("The supervisor failed at %s, trying again", duty.__name__.strip("_"))
            self._leases.next_tick = self._next_round = monotonic() + ROUND

    # -- waiting ------------------------------------------------------------------------------------------------------
    def _wait(self) -> None:
        """Sleep until a signal, a word, an order, a peer's death, or until something is to be done."""
        until = min(
            self._next_round,
            self._kill_at,
            self._restarts.next_at(),
            self._leases.next_at(),
            self._orders.retry_at,
            self._switchboard.next_at(),
        )
        timeout = max(0.0, until - monotonic())
        fds = {fd for fd, _ in self._poll.poll(math.ceil(min(timeout, 60.0) * 1000))}
        if self._signals is not None and self._signals.fileno() in fds:
            self._act_on_signals(self._signals.take())
        self._leases.heard(fds)
        self._orders.heard(fds)
        for child in list(self._children):
            if child.line.fileno() in fds:
                self._hear(child)

    def _act_on_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(1 if self._stopping == 0 else 2)
            elif number == signal.SIGQUIT:
                soft = self.plan is not None and self.plan.soft
                self._stop(min(self._stopping + 1, 3) if soft else 3)
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
        self._began = monotonic()
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
    def _drain_seconds(self) -> float:
        """What running tasks have to end."""
        return DRAIN_SECONDS if self.plan is None else self.plan.drain_seconds

    def _stop(self, level: int, quietly: bool = False) -> None:
        """1: let running tasks end within the timeout; 2: hand everything back now; 3: kill."""
        if level <= self._stopping:
            return
        self._stopping = level
        self._restarts.close()
        timeout = self._drain_seconds() if level == 1 else 0.0
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
            purge=self.options.purge and number == 0 and not self._ready,
            first=plan is None,
            began=self._began,
        )
        try:
            child = children.launch(start, spawned)
        except OSError as error:  # no more processes or descriptors, for now
            logger.error("Child %d cannot be started, trying again: %s", number + 1, error)
            self._restarts.add(number, max(0.5, self._restarts.back_off(number)))
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
                    self._restarts.add(child.number, 0.0)
                case "answer":
                    if self._leases.store is not None and self.plan is not None:
                        self._switchboard.heard(child, word, self.plan.node, self._leases.store)
                case "thawed":
                    child.frozen = False
                    self._leases.next_tick = 0.0

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

        store = base.open(plan.store_url, **plan.store_options)
        self._leases.open(store, plan.lease_us / 1e6)
        banner(self.options, plan, store.url)
        for number in range(1, plan.children):
            self._start_child(number)

    def _announced(self, child: ChildProcess, session: str) -> None:
        child.session, child.announced = session, True
        self._leases.fence(child, monotonic())
        self._switchboard.greet(child)
        if self._stopping:
            child.line.say_later(Word("drain", seconds=max(0.0, self._kill_at - monotonic() - STOP_MARGIN)))
        self._leases.next_tick = 0.0
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
        if self._leases.store is not None and self.plan is not None:
            self._switchboard.gone(child, self.plan.node, self._leases.store)
        if child.announced:
            self._leases.estates.append(estate_of(child, how))
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
            self._restarts.add(child.number, self._restarts.wait_after(child))

    def _refused(self, child: ChildProcess) -> None:
        word = child.refusal or Word("refused", code=1, text="The child gave no reason.")
        if word.text == RESHAPE:
            self._restarts.add(child.number, 0.0)
        elif self._ready or any(one.announced for one in self._children):
            logger.error("Child %d could not start: %s", child.number + 1, word.text)
            self._restarts.add(child.number, max(1.0, self._restarts.back_off(child.number)))
        else:
            if not self.code:
                sys.stderr.write(f"smallage: {word.text}\n")
            self.code = word.code or 1
            self._stop(1, quietly=True)

    # -- the store ----------------------------------------------------------------------------------------------------
    def _renew(self) -> None:
        if self._leases.tick():
            self._orders.look()

    def _settle_estates(self) -> None:
        if self._leases.settle_estates(bool(self._stopping)) and self._stopping:
            self.code = FORCED

    def _take_orders(self) -> None:
        if self._leases.store is not None:
            for order in self._orders.take(self._leases.store):
                self._obey(order)

    def _obey(self, order: Order) -> None:
        if order.kind in (ASK, "shutdown") and self.plan is not None and not self.plan.listens:
            logger.debug("An order was not heard: worker_enable_remote_control is off")
            return
        match order.kind:
            case "cancel":
                for child in self._children:
                    if child.session == order.session:
                        child.line.say_later(Word("cancel", id=order.id, tok=order.tok))
                        child.cancels.append((order.tok, monotonic() + CANCEL_PATIENCE))
            case "shutdown":
                self._stop(1)
            case kind if kind == ASK and self._leases.store is not None and self.plan is not None:
                self._switchboard.ask(order, self.plan.node, self._children, self._leases.store)
            case kind if kind == GREETING:
                self._leases.next_tick = 0.0
            case kind:
                logger.warning("The order '%s' is not known to this version", kind)

    def _answer_late(self) -> None:
        if self._leases.store is not None and self.plan is not None:
            self._switchboard.give_up_on_late(self.plan.node, self._leases.store)

    def _asked(self, method: str, arguments: dict[str, Any]) -> Any:
        """What is answered here and not by the children; None for the rest."""
        match method:
            case "ping":
                return {"ok": "pong"}
            case "shutdown":
                self._stop(1)
                return {"ok": "shutting down"}
            case "pool_restart":
                for child in self._children:
                    child.line.say_later(Word("recycle"))
                return {"ok": "reload started"}
            case "pool_grow" | "pool_shrink" | "autoscale":
                return self._resized(method, arguments)
        return None

    def _resized(self, method: str, arguments: dict[str, Any]) -> dict[str, str]:
        """Grow or shrink by processes, which is what this pool consists of."""
        plan = self.plan
        if plan is None or plan.pool != "processes":
            pool = plan.pool if plan is not None else ""
            return {"error": f"the pool '{pool}' keeps its size; start another worker, or restart this one with -c N"}
        if method == "autoscale":
            most, least = int(arguments["max"]), int(arguments["min"])
            if not 1 <= least <= most:
                return {"error": "autoscale needs 1 <= min <= max"}
            self._autoscale = (most, least)
            self._resize(min(max(plan.children, least), most))
            return {"ok": f"autoscale now max={most} min={least}"}
        n = int(arguments.get("n", 1))
        self._resize(max(1, plan.children + (n if method == "pool_grow" else -n)))
        return {"ok": "pool will grow" if method == "pool_grow" else "pool will shrink"}

    def _resize(self, wanted: int) -> None:
        """Have so many children: start those that lack, let the newest of those too many finish and go."""
        assert self.plan is not None
        self.plan = msgspec.structs.replace(self.plan, children=wanted)
        there = {child.number for child in self._children if not child.replaced} | self._restarts.numbers()
        for number in range(wanted):
            if number not in there:
                self._start_child(number)
        for child in self._children:
            if child.number >= wanted and not child.replaced:
                child.replaced = True
                child.line.say_later(Word("drain", seconds=self._drain_seconds()))

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
        self._leases.probe_peers()
        if self._autoscale is not None and not self._stopping:
            self._scale(*self._autoscale)

    def _scale(self, most: int, least: int) -> None:
        """One child more when all are busy; one fewer when none has been for a while."""
        plan = self.plan
        assert plan is not None
        loads = [len(child.board.running()) for child in self._children if child.announced and not child.replaced]
        self._idle_rounds = 0 if any(loads) else self._idle_rounds + 1
        if len(loads) == plan.children and all(load >= plan.places for load in loads) and plan.children < most:
            self._resize(plan.children + 1)
        elif self._idle_rounds >= IDLE_ROUNDS and plan.children > least:
            self._idle_rounds = 0
            self._resize(plan.children - 1)

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
        self._leases.look_for_frost(child, now)


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
