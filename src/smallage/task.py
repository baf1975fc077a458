"""A task: a function with a name, options, and ways to have it run by a worker."""

from __future__ import annotations

import sys
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar

from smallage.core import calls, codec, declared, options, retry
from smallage.core.binding import Binding, is_coroutine
from smallage.core.canvas import Signature
from smallage.core.errors import MaxRetriesExceededError, Retry
from smallage.core.message import Envelope
from smallage.request import Request, direct, running
from smallage.result import AsyncResult, EagerResult

if TYPE_CHECKING:
    import datetime as dt

    from smallage.app import Smallage
    from smallage.groups import GroupResult

P = ParamSpec("P")
R = TypeVar("R")


_NO_OPTIONS: Mapping[str, Any] = {}


class Prepared:
    """What a task's options and the app's settings amount to, worked out once."""

    __slots__ = (
        "ack",
        "binding",
        "convert",
        "entry",
        "envelope",
        "extended",
        "fewest",
        "hooked",
        "limits",
        "most",
        "names",
        "pages",
        "straight",
        "version",
        "warn_over",
    )

    def __init__(self, task: Task[Any, Any]) -> None:
        conf = task.app.conf
        self.version: int = conf.version
        declared.check({name: getattr(task, name) for name in declared.CHECKED})  # a class's own, or changed since
        self.envelope = task_envelope(task)
        self.limits = task.own_limits()
        self.ack = options.ack_mode(task.ack, conf.task_acks_late if task.acks_late is None else task.acks_late)
        self.binding = Binding(task.function(), bound=task.takes_self())
        typed = task.typing
        self.fewest = self.binding.fewest if typed else 0
        self.most = self.binding.most if typed else sys.maxsize
        self.names = self.binding.names
        self.warn_over: int = min(conf.task_payload_warning or sys.maxsize, conf.task_payload_limit or sys.maxsize)
        plain = not conf.task_always_eager and not conf.task_inherit_parent_priority
        self.straight = plain and options.is_static(conf.task_routes)
        """`delay` needs neither the eager mode nor a routing function, nor the priority of who calls."""
        kind = type(task)
        self.entry: Any = task.run if kind.__call__ is Task.__call__ else task
        """What a worker calls: the body, or a subclass's own `__call__`."""
        self.hooked = any(getattr(kind, hook) is not getattr(Task, hook) for hook in _HOOKS)
        self.convert = _argument_converter(task.function(), self.names)
        self.extended: bool = conf.result_extended
        """The call is kept with the result."""
        self.pages = _takes_pages(task.function(), self.names)
        """As the body of a chord it reads the header's values in pages, instead of getting a list."""


def _argument_converter(function: Any, names: Sequence[str]) -> Any:
    if not getattr(function, "__annotations__", None):
        return None
    from smallage.core.convert import argument_converter

    return argument_converter(function, names)


_PAGED = frozenset(("Iterable", "Iterator", "Collection", "Sequence"))


def _takes_pages(function: Any, names: Sequence[str]) -> bool:
    """True if the first parameter is annotated as something to be iterated over, not as a list."""
    annotation = getattr(function, "__annotations__", {}).get(names[0]) if names else None
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return text.partition("[")[0].rpartition(".")[2] in _PAGED


_HOOKS = ("before_start", "on_success", "after_return")


def task_envelope(task: Task[Any, Any]) -> Envelope:
    """Settings, then the task's own options, then its route."""
    conf = task.app.conf
    route = options.route(conf.task_routes, task.name) if options.is_static(conf.task_routes) else {}
    base = task.app.base_envelope(task.name)
    ignore = conf.task_ignore_result if task.ignore_result is None else task.ignore_result
    expires = None if task.expires is None else options.seconds_us(task.expires, "expires")
    lost_is_final = (
        conf.task_reject_on_worker_lost if task.reject_on_worker_lost is None else task.reject_on_worker_lost
    )
    once = options.ack_mode(task.ack, conf.task_acks_late if task.acks_late is None else task.acks_late) == "early"
    budgets = (0, 0) if once or lost_is_final is False else (task.max_crashes, task.max_lost)
    queue = route.get("queue") or getattr(task.queue, "name", task.queue) or base.queue
    rank = route.get("priority", task.priority)
    return Envelope(
        name=task.name,
        queue=task.app.known_queue(queue),
        priority=base.priority if rank is None else options.priority(rank),
        expires_in_us=expires,
        keep_us=options.keep_us(conf.result_expires, bool(ignore)),
        max_crashes=conf.task_max_crashes if budgets[0] is None else budgets[0],
        max_lost=conf.task_max_lost if budgets[1] is None else budgets[1],
    )


class Task(Generic[P, R]):
    """A function that workers can run. Made by `@app.task`; subclass it (`base=`) to share behaviour.

    Attributes are the options; None takes the app's setting. They may be changed at any time and hold for later calls.

    The hooks `on_success`, `on_failure`, `on_retry` and `after_return`, and the signals of a run, are called in the
    worker before the end is written to the store. So they may be called for an end that the store then refuses,
    because the run had lost its claim, or that is lost with the worker: the task runs again, and its hooks with it.
    What must happen exactly once belongs into a task of its own that the body pushes, or behind `request.token`.
    """

    app: Smallage
    name: str = ""
    bind: bool = False
    typing: bool = True
    """Check arguments against the signature when a call is made."""
    is_async: bool = False
    # where and when
    queue: str | None = None
    priority: int | None = None
    expires: float | dt.timedelta | None = None
    ignore_result: bool | None = None
    serializer: str | None = None
    compression: str | None = None
    """"gzip", "zlib" or "zstd": how large arguments are compressed."""
    # how often
    max_retries: int | None = 3
    default_retry_delay: float = 180
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    retry_backoff: bool | float = False
    retry_backoff_max: float = 600
    retry_jitter: bool = True
    retry_kwargs: Mapping[str, Any] = {}
    throws: tuple[type[BaseException], ...] = ()
    # how safely
    acks_late: bool | None = None
    ack: str | None = None
    """"late": at least once (the default): a run that is lost with its worker is repeated. "early" (or an explicit
    `acks_late=False`): at most once: such a run fails with WorkerLostError. Result, failure and retries that the task
    asks for itself are the same for both."""
    reject_on_worker_lost: bool | None = None
    max_crashes: int | None = None
    max_lost: int | None = None
    # how long
    time_limit: float | None = None
    soft_time_limit: float | None = None
    # Celery's, kept for reading
    rate_limit: Any = None
    track_started: bool | None = None
    trail: bool = True
    shared: bool = True
    abstract: bool = True

    MaxRetriesExceededError = MaxRetriesExceededError

    _prepared: Prepared | None = None
    _convert_result: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if not name.startswith("_"):
            object.__setattr__(self, "_prepared", None)

    # -- the function ---------------------------------------------------------------------------------------------
    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The body: the decorated function, or what a subclass defines."""
        raise NotImplementedError("Tasks must define the run method.")

    def function(self) -> Any:
        """The function behind `run`, without `self` bound."""
        found = self._found_run()
        return found.__func__ if isinstance(found, staticmethod) else found

    def takes_self(self) -> bool:
        """True if the function's first parameter is the task itself."""
        return not isinstance(self._found_run(), staticmethod)

    def _found_run(self) -> Any:
        """`run` as it stands in the class, a staticmethod for functions that do not take the task."""
        return next(vars(kind)["run"] for kind in type(self).__mro__ if "run" in vars(kind))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the body here and now, as a plain function call."""
        request = running.get()
        if request is not None and request.task_object is self and "entered" not in request.__dict__:
            request.__dict__["entered"] = True  # a subclass's __call__ that the worker entered calls super()
            return self.run(*args, **kwargs)  # type: ignore[no-any-return]
        token = direct.set(Request.outside(self.app, self, args, kwargs))
        try:
            return self.run(*args, **kwargs)  # type: ignore[no-any-return]
        finally:
            direct.reset(token)

    @property
    def request(self) -> Request:
        """The run of this task that goes on here; an empty one with `called_directly` outside of a run."""
        called = direct.get()
        if called is not None and called.task_object is self:
            return called
        current = running.get()
        if current is not None and current.task_object is self:
            return current
        return Request.outside(self.app, self)

    # -- calls ----------------------------------------------------------------------------------------------------
    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Have a worker run the task with these arguments.

        Raises TypeError if they do not fit the function, EncodeError if they cannot travel, StoreUnavailable if the
        store stays away, StoreFull if it has no room.
        """
        prepared = self._prepared
        if prepared is None or prepared.version != self.app.conf.version:
            prepared = self.prepare()
        if not prepared.straight:
            return self.apply_async(args, kwargs)
        if kwargs or not prepared.fewest <= len(args) <= prepared.most:
            self._check(prepared, args, kwargs)
        message = self.app.message(prepared.envelope, args, kwargs, None, prepared.names, prepared.warn_over)
        self.app.publish((message,))
        result = AsyncResult(message.id, self.app, self)
        if prepared.envelope.keep_us == 0:
            result.unkept = True
        request = running.get()
        if request is not None:
            request.add_child(result, _NO_OPTIONS)
        return result

    def apply_async(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        **call: Any,
    ) -> AsyncResult[R]:
        """Have a worker run the task, with options for this call.

        `countdown` (seconds) or `eta` (datetime): not before. `expires` (seconds or datetime): not started after.
        `queue`, `priority` (0 first … 9), `task_id`, `headers` (dict), `ignore_result`, `time_limit` and
        `soft_time_limit` (seconds), `shadow`, `retry` and `retry_policy` (of the sending). Raises as `delay` does,
        and ValueError or TypeError for options out of bounds.
        """
        args = arguments(self.name, args)
        kwargs = keywords(self.name, kwargs)
        prepared = self.current()
        if task_id is not None:
            call["task_id"] = task_id
        calls.check(call)
        self._check(prepared, args, kwargs)
        if self.app.conf.task_always_eager:
            return self.apply(args, kwargs, **call)
        envelope, extras = self.call(prepared, args, kwargs, call)
        message = self.app.message(envelope, args, kwargs, extras, prepared.names, prepared.warn_over, call)
        self.app.publish((message,), call.get("retry"), call.get("retry_policy"))
        result = AsyncResult(message.id, self.app, self)
        result.unkept = envelope.keep_us == 0
        request = running.get()
        if request is not None:
            request.add_child(result, call)
        return result

    def call(
        self, prepared: Prepared, args: Any, kwargs: Any, call: dict[str, Any]
    ) -> tuple[Envelope, dict[str, Any] | None]:
        """Envelope and extras of a call with these options."""
        app = self.app
        if not options.is_static(app.conf.task_routes):
            answer = options.route(app.conf.task_routes, self.name, args, kwargs, call, self)
            call = {**{name: answer[name] for name in ("queue", "priority") if name in answer}, **call}
        return app.call(prepared.envelope, call, prepared.limits)

    def delay_many(self, rows: Iterable[Any], **call: Any) -> list[AsyncResult[R]]:
        """Push one independent task per row, 1,000 in a round trip. A row is a tuple or list of positional arguments,
        or a mapping of keyword arguments. All of a step are accepted or none; the error names the row."""
        from smallage.pushing import push_many

        return push_many(self, rows, call)

    def fan_out(self, rows: Iterable[Any], then: Signature | None = None, **call: Any) -> GroupResult[R]:
        """Push one task per row as a group that is counted, followed, cancelled and retried as one.

        `rows` may be any iterable, of 100,000 and more; a row as for `delay_many`. `then`, a signature, is run once
        when all have ended, however they ended; its first argument is an `Outcomes`.
        """
        from smallage.pushing import fan_out

        return fan_out(self, rows, then, call)

    def apply(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **call: Any
    ) -> EagerResult[R]:
        """Run the task here, retries included, without a store; `throw=True` raises what it raises."""
        from smallage.eager import apply

        return apply(self, arguments(self.name, args), keywords(self.name, kwargs), call)

    # -- calls from asyncio ---------------------------------------------------------------------------------------
    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """`delay` without blocking the event loop."""
        from smallage.aio import in_thread

        return await in_thread(self.delay, *args, **kwargs)

    async def aapply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **call: Any
    ) -> AsyncResult[R]:
        """`apply_async` without blocking the event loop."""
        from smallage.aio import in_thread

        return await in_thread(self.apply_async, args, kwargs, **call)

    async def adelay_many(self, rows: Iterable[Any], **call: Any) -> list[AsyncResult[R]]:
        """`delay_many` without blocking the event loop."""
        from smallage.aio import in_thread

        return await in_thread(self.delay_many, rows, **call)

    async def afan_out(self, rows: Iterable[Any], then: Signature | None = None, **call: Any) -> GroupResult[R]:
        """`fan_out` without blocking the event loop; `rows` is iterated in a thread."""
        from smallage.aio import in_thread

        return await in_thread(self.fan_out, rows, then, **call)

    # -- calls as data --------------------------------------------------------------------------------------------
    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """A signature of this task with these arguments."""
        return Signature(self, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """As `s`, but arguments of a later merge are ignored."""
        return Signature(self, args, kwargs, immutable=True)

    def signature(self, args: Any = None, kwargs: Any = None, *rest: Any, **more: Any) -> Signature:
        """A signature, with options: `signature((2, 2), countdown=10)`."""
        return Signature(self, args, kwargs, *rest, **more)

    subtask = signature

    def map(self, it: Iterable[Any]) -> Signature:
        """A call that runs this task for each item in turn, where it runs; gives the list of results."""
        from smallage.core.canvas import xmap

        return xmap(self.s(), it, app=self.app)

    def starmap(self, it: Iterable[Iterable[Any]]) -> Signature:
        """As `map`, of rows of positional arguments."""
        from smallage.core.canvas import xstarmap

        return xstarmap(self.s(), it, app=self.app)

    def chunks(self, it: Iterable[Iterable[Any]], n: int) -> Signature:
        """A group of starmaps of `n` rows each; gives a list of lists."""
        from smallage.core.canvas import chunks

        return chunks(self.s(), it, n, app=self.app)

    def AsyncResult(self, task_id: str) -> AsyncResult[R]:
        """The handle of a task's result by id."""
        return AsyncResult(task_id, self.app, self)

    # -- for the body ---------------------------------------------------------------------------------------------
    def update_state(self, task_id: str | None = None, state: str | None = None, meta: Any = None) -> None:
        """Show a state of your own, such as "PROGRESS", with `meta` as its info. Nothing happens if the run has lost
        its claim meanwhile."""
        request = self.request
        if request.claim is None:
            raise RuntimeError("update_state() works only while the task is run by a worker.")
        if task_id is not None and task_id != request.id:
            raise ValueError(f"A run can set the state of its own task only ({request.id}), not of {task_id}.")
        state = state or "PROGRESS"
        note = codec.encode_note(state, meta)
        request.note = (state, meta)
        if not request.is_eager:
            self.app.store.progress(request.claim, note)

    def progress(self, done: int, total: int | None = None, note: str | None = None) -> None:
        """Show how far the task is: state "PROGRESS" with {done, total, note}."""
        meta: dict[str, Any] = {"done": done, "total": total}
        if note is not None:
            meta["note"] = note
        self.update_state(state="PROGRESS", meta=meta)

    def retry(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: dt.datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **call: Any,
    ) -> Retry:
        """Run the task again later: raises `Retry` (returns it with `throw=False`; it then happens at the return).

        After `countdown` seconds, at `eta`, or after `default_retry_delay`. When `max_retries` are spent it raises
        `exc`, or MaxRetriesExceededError. Called in a direct call it raises the current exception.
        """
        request = self.request
        if request.claim is None:
            _raise_current(exc)
        if max_retries is not None:
            request.limit_override = options.retry_limit(max_retries)
        limit = self.max_retries if max_retries is None else max_retries
        if retry.refused(request.retries, limit):
            self._refuse(request, exc, limit)
        if countdown is None and eta is None:
            countdown = self.default_retry_delay
        if countdown is not None:
            call["countdown"] = countdown
        else:
            call["eta"] = eta
        calls.check(call)
        calls.due(call, self.app.zone(), time.time_ns() // 1000)  # out of bounds is the caller's error, here
        new_args, new_kwargs = _inherited(self.current().names, request, args, kwargs)
        plan = Signature(self, new_args, new_kwargs, call)
        plan.changed = args is not None or kwargs is not None
        again = Retry(exc=exc or _current(), when=countdown if countdown is not None else eta, sig=plan)
        again.is_eager = request.is_eager
        if throw:
            raise again
        request.pending_retry = again
        return again

    def replace(self, sig: Any) -> Any:
        """Give this run's place to `sig`: it takes over the id, the links, the place in a group and what comes after in
        a chain; a group's list becomes the value. Raises, so nothing after it runs; under `apply()` it returns the
        value. Raises ImproperlyConfigured for an empty chain or a signature with a chord of its own."""
        from smallage.workflows.replacing import replace_running

        return replace_running(self, sig)

    def add_to_chord(self, sig: Any, lazy: bool = False) -> Any:
        """Add a member to the chord that this run is a member of; its value comes after all others. Returns its handle.
        Raises ValueError if this run is in no chord."""
        from smallage.workflows.adding import add_to_running_chord

        return add_to_running_chord(self, sig)

    def _refuse(self, request: Request, exc: BaseException | None, limit: int | None) -> NoReturn:
        if exc is not None:
            _raise_current(exc)
        raise self.MaxRetriesExceededError(
            f"Can't retry {self.name}[{request.id}]: {request.retries} of {limit} retries are used up.",
            task_args=tuple(request.args),
            task_kwargs=dict(request.kwargs),
        )

    # -- hooks for subclasses -------------------------------------------------------------------------------------
    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Called before the body; what it raises fails the task."""

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Called after the body ended well."""

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called after the task failed for good."""

    def on_retry(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called when the task is to be tried again."""

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called after success and failure."""

    # -- worked out once ------------------------------------------------------------------------------------------
    def prepare(self) -> Prepared:
        """Work out the task's options again."""
        prepared = Prepared(self)
        object.__setattr__(self, "_prepared", prepared)
        return prepared

    def current(self) -> Prepared:
        """The task's options as they stand."""
        prepared = self._prepared
        if prepared is None or prepared.version != self.app.conf.version:
            prepared = self.prepare()
        return prepared

    def own_limits(self) -> tuple[float | None, float | None]:
        """(soft, hard) time limits of the task, or of the settings."""
        conf = self.app.conf
        soft = conf.task_soft_time_limit if self.soft_time_limit is None else self.soft_time_limit
        hard = conf.task_time_limit if self.time_limit is None else self.time_limit
        return options.limits(soft, hard)

    def convert_result(self, value: Any) -> Any:
        """A decoded return value as the function's annotation has it: a data class instead of a dict, and so on."""
        convert = self._convert_result
        if convert is None:
            from smallage.core.convert import result_converter

            convert = result_converter(self.function())
            object.__setattr__(self, "_convert_result", convert)
        return convert(value)

    def _check(self, prepared: Prepared, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if self.typing:
            prepared.binding.check(self.name, args, kwargs)

    def __repr__(self) -> str:
        return f"<@task: {self.name}>"


if TYPE_CHECKING:

    class AsyncTask(Task[P, R]):
        """A task made of an `async def` function: a direct call gives a coroutine."""

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override]
            ...

else:
    AsyncTask = Task


def arguments(name: str, args: Any) -> Sequence[Any]:
    """Positional arguments as a sequence; a string or mapping is a slip."""
    if args is None:
        return ()
    if isinstance(args, (list, tuple)):
        return args
    if isinstance(args, (str, bytes, Mapping)) or not hasattr(args, "__iter__"):
        raise TypeError(f"{name}: args must be a list or tuple of positional arguments, not {type(args).__name__}.")
    return tuple(args)


def keywords(name: str, kwargs: Any) -> Mapping[str, Any]:
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"{name}: kwargs must be a dict of keyword arguments, not {type(kwargs).__name__}.")
    return kwargs


def _current() -> BaseException | None:
    return sys.exc_info()[1]


def _raise_current(exc: BaseException | None) -> NoReturn:
    """Raise `exc` (from the exception that is being handled), else that one, else Retry."""
    current = _current()
    if exc is not None:
        if current is not None and current is not exc:
            raise exc from current
        raise exc
    if current is not None:
        raise current
    raise Retry("Task can be retried")


def _inherited(names: Sequence[str], request: Request, args: Any, kwargs: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    """Arguments of the next attempt: new ones replace; what only one of the two gives is inherited, minus parameters
    that would now be passed twice."""
    if args is None and kwargs is None:
        return request.args, request.kwargs
    if kwargs is None:
        taken = frozenset(names[: len(args)])
        return tuple(args), {name: value for name, value in request.kwargs.items() if name not in taken}
    if args is not None:
        return tuple(args), dict(kwargs)
    clash = next((place for place, name in enumerate(names[: len(request.args)]) if name in kwargs), None)
    if clash is None:
        return request.args, dict(kwargs)
    later = zip(names[clash:], request.args[clash:], strict=False)
    return request.args[:clash], {**dict(later), **kwargs}


def make_task(
    app: Smallage, function: Any, name: str, base: type[Task[Any, Any]], bind: bool, values: Mapping[str, Any]
) -> Task[Any, Any]:
    """The task of a decorated function: an instance of a class of its own under `base`."""
    attributes = {
        **values,
        "app": app,
        "name": name,
        "bind": bind,
        "abstract": False,
        "run": function if bind else staticmethod(function),
        "is_async": is_coroutine(function),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__wrapped__": staticmethod(function),
    }
    made: Task[Any, Any] = type(getattr(function, "__name__", "task"), (base,), attributes)()
    return made


def check_options(values: Mapping[str, Any]) -> None:
    """Refuse, when a task is declared, option values that could only fail later."""
    declared.check(values)


def _send(sig: Signature, args: Any, kwargs: Any, given: dict[str, Any]) -> Any:
    from smallage.workflows.sending import send

    return send(sig, args, kwargs, given)


Signature.send = _send


def _find(sig: Signature) -> Any:
    from smallage.app import current_app

    return (sig.app or current_app()).tasks[sig.task]


Signature.find = _find


def _here(sig: Signature, args: Any, kwargs: Any, given: dict[str, Any]) -> Any:
    from smallage.workflows.sending import here

    return here(sig, args, kwargs, given)


Signature.here = _here


def _handle(sig: Signature, task_id: str, parent: Any, members: Sequence[Any] | None) -> Any:
    if members is not None:
        from smallage.groups import GroupResult

        return GroupResult(task_id, members, parent=parent, app=sig.app)
    return AsyncResult(task_id, sig.app, sig.app.tasks.get(sig.task), parent=parent)


Signature.handle = _handle


def _new_id() -> str:
    from smallage.app import new_id

    return new_id()


Signature.new_id = _new_id


def _own_app() -> Any:
    from smallage.app import current_app

    return current_app()


Signature.current = _own_app
