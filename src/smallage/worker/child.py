"""One worker process: a session, an engine, a pool, and the line to the supervisor. This is where user code runs."""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import traceback
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from smallage.app import launching
from smallage.app.annotating import unheeded
from smallage.control.asking import Question
from smallage.core.errors import ImproperlyConfigured, StoreError, StoreRefused, StoreUnavailable
from smallage.run import HardTimeout, Terminated, saying
from smallage.stores.base import Host, SessionInfo
from smallage.worker import heralding, settle_in
from smallage.worker.board import Board, Farewell
from smallage.worker.body import Body
from smallage.worker.context import Context
from smallage.worker.desk import Desk
from smallage.worker.discover import find_app
from smallage.worker.fetch import REST, Engine
from smallage.worker.finish import GivenUp, Patience
from smallage.worker.limits import Limits
from smallage.worker.line import Line, Word
from smallage.worker.logs import configure, settle
from smallage.worker.options import PoolName, WorkerOptions, file_name, node_name
from smallage.worker.panel import Panel
from smallage.worker.plan import Plan, plan_for
from smallage.worker.pools import make_pool
from smallage.worker.rates import tell_rates
from smallage.worker.redirected import redirect
from smallage.worker.slot import Slot
from smallage.worker.tasklog import TaskLog
from smallage.worker.witness import Witness

if TYPE_CHECKING:
    from smallage.core.message import Claim
    from smallage.worker.heralding import WorkerView
    from smallage.worker.pools.base import Pool

logger = logging.getLogger("smallage.worker")

RESHAPE = "reshape"
"""A refusal that means: start me again as the plan says."""
BEAT_LATER = 1.0
"""Seconds after which a worker whose code has no schedules looks for stored ones: its first tasks come first."""
USAGE, UNREACHABLE, BROKEN = 2, 3, 70
"""Exit codes: wrong usage, no store; and of a child that met a fault of ours."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor tells a new child."""

    options: WorkerOptions
    number: int
    session: str
    inbox: str
    host: Host
    slots: int
    """Size of the board."""
    purge: bool = False
    """Remove what waits before anything is claimed."""
    began: float
    """When the worker began, by `monotonic()`."""
    first: bool = False
    """The worker's first child: it alone repeats what the store warns of at its opening."""
    pool: PoolName | None = None
    """The pool that this process was started for; None: the app decides, and a pool that must be spawned is answered
    with a `hello` alone."""


def main(start: Start, line: Line, board: Board) -> NoReturn:
    """The life of a child process; never returns."""
    code = BROKEN
    try:
        if os.getppid() != start.host.pid:  # it has died already
            os._exit(1)
        settle_in.leave_signals_to_the_supervisor()
        if start.options.logfile:
            node = node_name(start.options.node)
            settle_in.write_to(file_name(start.options.logfile, node, start.number + 1))
        settle_in.dump_stacks_on_usr1()
        configure(start.options.log_level, start.options.log_format, f"Child-{start.number + 1}")
        code = _live(start, line, board)
    except BaseException:
        traceback.print_exc()
    _flush()
    os._exit(code)


def _live(start: Start, line: Line, board: Board) -> int:
    loaded = _load(start, line, board)
    if loaded is None:
        return 0
    app, plan, view = loaded
    hello = Word("hello", data=plan.told())
    if (plan.spawned and start.pool != plan.pool) or plan.slots > start.slots:
        line.say(hello)
        _refuse(line, board, 0, RESHAPE)
        return 0
    child = open_store(app, plan, start, line, board, hello, view)
    if child is not None:
        child.run()
    return 0


def _load(start: Start, line: Line, board: Board) -> tuple[Any, Plan, WorkerView] | None:
    """The app with its modules imported, the plan, and the worker for signals; or None after having said why not."""
    options = start.options
    launching.child = start.number
    try:
        app = find_app(options.app, options.workdir)
        if options.store_url:
            app.conf.pin("broker_url", options.store_url)
        if options.include:
            app.conf.include = (*app.conf.include, *options.include)
        app.import_default_modules()
        app.finalize()
        view = heralding.beginning(app, options)
        _settle_logs(app.conf, options, start.number)
        for text in unheeded(app.tasks.values(), app.conf.task_annotations) if start.first else ():
            logger.warning(text)
        if options.time_limit:
            app.conf.task_time_limit = options.time_limit
        if options.soft_time_limit:
            app.conf.task_soft_time_limit = options.soft_time_limit
        if schedules_here(start) and app.conf.beat_schedule:
            from smallage.schedules.ticks import of_the_code

            of_the_code(app)  # a fault in an entry is told at the start
        plan = plan_for(app, options, start.pool)
        heralding.set_up(view)
        return app, msgspec.structs.replace(plan, queues=app.selection.served(plan.queues)), view
    except ImproperlyConfigured as error:
        _refuse(line, board, USAGE, str(error))
    except BaseException as error:  # SystemExit in a module too
        traceback.print_exc()
        _refuse(line, board, USAGE, f"The app's modules cannot be imported: {type(error).__name__}: {error}")
    return None


def _settle_logs(conf: Any, options: WorkerOptions, number: int) -> None:
    taken = settle(conf, options.log_level, options.log_format, f"Child-{number + 1}")
    if not taken and conf.worker_redirect_stdouts:
        redirect(conf.worker_redirect_stdouts_level)


def schedules_here(start: Start) -> bool:
    """Whether this child runs the worker's scheduler."""
    return start.options.beat and start.number == 0


def _refuse(line: Line, board: Board, code: int, text: str) -> None:
    board.farewell = Farewell.REFUSED
    line.say(Word("refused", code=code, text=text))


def _flush() -> None:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def _purge(store: Any, queues: tuple[str, ...]) -> None:
    removed = sum(store.purge(queue) for queue in queues)
    logger.warning("Purged %d task(s) that waited in %s", removed, ", ".join(queues))


def open_store(
    app: Any, plan: Plan, start: Start, line: Line, board: Board, hello: Word, view: WorkerView
) -> Child | None:
    """The child with its store open and its session announced, or None after having said why not."""
    try:
        if not start.first:
            logging.getLogger("smallage.stores").setLevel(logging.ERROR)
        open_patiently(app, line)  # opened and set up, so that the supervisor finds it ready
        logging.getLogger("smallage.stores").setLevel(logging.NOTSET)
        if start.purge:
            _purge(app.store, plan.queues)
        line.say(hello)
        child = Child(app, plan, start, line, board, view)
        child.store.announce(start.session, child.info())
        tell_rates(app, child.store)
        return child
    except StoreUnavailable as error:
        _refuse(line, board, UNREACHABLE, f"The store cannot be reached: {error}")
    except StoreRefused as error:
        _refuse(line, board, UNREACHABLE, str(error))
    except StoreError as error:
        _refuse(line, board, UNREACHABLE, f"The store cannot be used: {error}")
    except ImproperlyConfigured as error:
        _refuse(line, board, USAGE, str(error))
    except GivenUp:
        _refuse(line, board, 0, "Told to stop before the store could be reached.")
    return None


def open_patiently(app: Any, line: Line) -> None:
    """Open the app's store; with `broker_connection_retry_on_startup` wait for one that is away, for as many tries as
    `broker_connection_max_retries` says. Raises StoreUnavailable after the last, GivenUp when told to stop."""
    tries = (app.conf.broker_connection_max_retries or math.inf) if app.conf.broker_connection_retry_on_startup else 0
    turn = 0
    while True:
        try:
            _ = app.store
            return
        except StoreUnavailable as error:
            turn += 1
            if turn > tries:
                raise
            pause = min(2 * turn, 30)
            logger.warning("The store cannot be reached, trying again in %d s: %s", pause, error)
            words = line.hear_within(pause)
            if words is None or any(word.kind == "drain" for word in words):
                raise GivenUp from None


class Child:
    """The services of one worker process, in the order of the list that `run` is."""

    def __init__(self, app: Any, plan: Plan, start: Start, line: Line, board: Board, view: WorkerView) -> None:
        self.view = view
        self._draining = False
        self.app, self.plan, self.start, self.line, self.board = app, plan, start, line, board
        self.store = app.store
        self.log = TaskLog(view, start.options.log_values)
        saying.show_values = start.options.log_values
        self.desk = Desk()
        self.limits = Limits(board, self._stuck)
        self.context = Context(plan.node, board)
        self.body = Body(app, self.context, self.log, Witness(line.fileno()))
        slots = [Slot(index) for index in range(plan.slots)]
        self.pool: Pool = make_pool(plan.pool, slots, self.desk, board, self.body, self.limits)
        self.limits.pool = self.pool
        self.engine = Engine(
            self.store,
            start.session,
            plan.queues,
            self.desk,
            self.pool,
            board,
            self.log,
            places=plan.places,
            prefetch_bound=plan.prefetch_bound,
            max_tasks=plan.max_tasks,
            spent=memory_spent(plan.max_memory) if plan.max_memory else None,
            burst=start.options.burst,
            rest=min(REST, plan.lease_us / 3e6),
            on_recycle=self._recycling,
        )
        self.panel = Panel(self, plan.node, start.host.pid, plan.pool, plan.queues, plan.places)

    def info(self) -> SessionInfo:
        """What this session announces."""
        return SessionInfo(
            host=self.start.host,
            inbox=self.start.inbox,
            node=self.plan.node,
            pool=self.plan.pool,
            concurrency=self.plan.places,
            queues=tuple(self.panel.queues),
            names=tuple(sorted(self.app.tasks)),
            lease_us=self.plan.lease_us,
            listens=self.plan.listens,
        )

    def run(self) -> None:
        """Work until told to stop. The engine's thread ends the process, for the main thread may be held by a body."""
        heralding.starting(self.view)
        self.board.seen = monotonic()
        self.pool.start()
        self.line.say(Word("announced", session=self.start.session))
        for word in self.line.hear(wait=False) or ():  # a stop that came meanwhile, before anything is claimed
            self._obey(word)
        threading.Thread(target=self._listen, name="smallage-line", daemon=True).start()
        threading.Thread(target=self._engine, name="smallage-engine", daemon=True).start()
        if self.start.number == 0:
            heralding.ready(self.view, self._is_seen)
        if schedules_here(self.start):
            threading.Thread(target=self._beat, name="smallage-beat", daemon=True).start()
        self.pool.run()
        threading.Event().wait()  # the engine ends us

    def _beat(self) -> None:
        """Fire the ticks of schedules until the process ends: a tick that was fired is in the store, and one that was
        not is fired by the next who looks."""
        try:
            if not self.app.conf.beat_schedule:
                sleep(BEAT_LATER)

            from smallage import signals
            from smallage.worker.beat import Beat

            beat = Beat(self.app, began=self.start.began)
            signals.beat_init.send(sender=beat)
            signals.beat_embedded_init.send(sender=beat)
            beat.run()
        except Exception:
            logger.exception("This worker cannot fire schedules; its tasks run on")

    def _engine(self) -> None:
        code = BROKEN
        try:
            self.engine.run()
            self.board.farewell = self.engine.farewell
            code = 0
            self._say_goodbye()
        except BaseException:
            self.board.farewell = Farewell.BROKEN
            logger.exception("The engine of this worker failed; its tasks go back to the queue")
        _flush()
        os._exit(code)

    def _say_goodbye(self) -> None:
        last = self.start.number == 0 and self.engine.farewell not in (Farewell.RECYCLED, Farewell.NONE)
        heralding.ended(self.view, os.getpid(), last)
        self.store.close()

    def _is_seen(self) -> bool:
        return monotonic() - self.board.seen < self.plan.lease_us / 1e6

    def _recycling(self) -> None:
        try:
            self.line.say(Word("recycling"))
        except OSError:  # the supervisor has died, and so shall we
            pass

    # -- orders -------------------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        """Do what the supervisor says; when it is gone, so are we."""
        settle_in.die_with(self.start.host.pid)
        while True:
            words = self.line.hear(wait=True)
            if words is None:
                os._exit(1)
            for word in words:
                try:
                    self._obey(word)
                except Exception:
                    logger.exception("The order '%s' could not be followed", word.kind)

    def _obey(self, word: Word) -> None:
        match word.kind:
            case "drain":
                if self.start.number == 0 and not self._draining:
                    heralding.stopping(self.view)
                self._draining = True  # it may be said twice
                self.engine.stop(Farewell.DRAINED, word.seconds)
                logger.info("No new claims from now on; what runs has %gs", word.seconds)
            case "recycle":
                self.engine.stop(Farewell.RECYCLED)
            case "cancel":
                self._cancel(word.id, word.tok)
            case "lost":
                self._lost(word.session)
            case "ask":
                self._answer(word)
            case "frozen":
                self.engine.drop_backlog()
                self.line.say(Word("thawed"))

    def _answer(self, word: Word) -> None:
        question = msgspec.json.decode(word.text, type=Question)
        served = list(self.panel.queues)
        value = self.panel.answer(question.method, question.arguments)
        if self.panel.queues != served:
            self.store.announce(self.engine.session, self.info())
        if word.id:
            plain = msgspec.to_builtins(value, enc_hook=repr)
            self.line.say(Word("answer", id=word.id, data={"value": plain}))

    def _cancel(self, task_id: str, tok: int) -> None:
        for slot in self.pool.slots:
            claim = slot.claim
            if claim is not None and claim.id == task_id and tok in (0, claim.tok):
                logger.warning("Terminating %s[%s]", claim.name, claim.id)
                self.limits.send(slot, claim, Terminated)
                return
        self.engine.drop(task_id, tok)

    def _lost(self, session: str) -> None:
        """The store took our work back while we were away: stop what runs, go on as a new session."""
        if self.engine.leaving:  # we have ended it ourselves
            return
        logger.error("The lease was lost: tasks of this worker run elsewhere now, so they are cancelled here")
        for slot in self.pool.slots:
            if (claim := slot.claim) is not None:
                self.limits.send(slot, claim, Terminated)
        patience = Patience(self.desk.wake, lambda: self.engine.farewell != Farewell.NONE)
        try:
            patience.call("announce", lambda: self.store.announce(session, self.info()))
        except GivenUp:
            return
        self.engine.rename(session)
        self.line.say(Word("announced", session=session))

    def _stuck(self, slot: Slot, claim: Claim) -> None:
        """A body goes on beyond its hard limit: it ends as timed out, and this process is replaced."""
        outcome = self.body.ended(claim, HardTimeout())
        self._recycling()
        self.engine.expel(claim, outcome, at_once=self.pool.stoppable)


def memory_spent(kib: int) -> Any:
    """A function that says whether this process has grown beyond `kib`; it looks at most every 20 ms."""
    limit = kib * 1024
    page = os.sysconf("SC_PAGE_SIZE")
    looked = 0.0

    def spent() -> bool:
        nonlocal looked
        now = monotonic()
        if now - looked < 0.02:
            return False
        looked = now
        return _resident(page) > limit

    return spent


def _resident(page: int) -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * page
    except OSError:  # macOS tells only the peak
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
