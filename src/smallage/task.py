"""A task: a function with a name, options, and ways to have it run by a worker."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from smallage.core import calls, codec, options
from smallage.core.canvas import Signature
from smallage.core.errors import ImproperlyConfigured, MaxRetriesExceededError, OperationalError, Retry
from smallage.core.message import Envelope
from smallage.request import Context, Request, direct, running
from smallage.result import AsyncResult, EagerResult
from smallage.tasks import signatures
from smallage.tasks.asking import AsyncCalls
from smallage.tasks.data import CallsAsData
from smallage.tasks.fields import FromApp, FromSetting
from smallage.tasks.hooks import Hooks
from smallage.tasks.making import check_options, make_task
from smallage.tasks.prepared import Prepared, task_envelope
from smallage.tasks.retrying import retry_of

if TYPE_CHECKING:
    import datetime as dt

    from smallage.app import Smallage
    from smallage.groups import GroupResult

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["AsyncTask", "Prepared", "Task", "arguments", "check_options", "keywords", "make_task", "task_envelope"]

_NO_OPTIONS: Mapping[str, Any] = {}


class Task(Hooks, CallsAsData, AsyncCalls[P, R], Generic[P, R]):
    """A function that workers can run. Made by `@app.task`; subclass it (`base=`) to share behaviour.

    Attributes are the options; None takes the app's setting. They may be changed at any time and hold for later calls.

    The hooks `on_success`, `on_failure`, `on_retry` and `after_return`, and the signals of a run, are called in the
    worker before the end is written to the store. So they may be called for an end that the store then refuses,
    because the run had lost its claim, or that is lost with the worker: the task runs again, and its hooks with it.
    What must happen exactly once belongs into a task of its own that the body pushes, or behind `request.token`.
    """

    app: Smallage = FromApp()  # type: ignore[assignment]
    name: str = ""
    bind: bool = False
    typing: bool = True
    """Check arguments against the signature when a call is made."""
    is_async: bool = False
    # where and when
    queue: str | None = None
    routing_key: str | None = None
    """Celery's: the queue, where `queue` names none."""
    exchange: str | None = None
    exchange_type: str | None = None
    delivery_mode: Any = None
    priority: Any = FromSetting("task_default_priority")
    expires: float | dt.timedelta | None = None
    ignore_result: Any = FromSetting("task_ignore_result", False)
    store_errors_even_if_ignored: Any = FromSetting("task_store_errors_even_if_ignored", False)
    store_eager_result: Any = FromSetting("task_store_eager_result", False)
    serializer: Any = FromSetting("task_serializer", "json")
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
    """Errors that are no surprise: logged at INFO, without a traceback."""
    # how safely
    acks_late: Any = FromSetting("task_acks_late", False)
    ack: str | None = None
    """"late": at least once (the default): a run that is lost with its worker is repeated. "early" (or an explicit
    `acks_late=False`): at most once: such a run fails with WorkerLostError. Result, failure and retries that the task
    asks for itself are the same for both."""
    reject_on_worker_lost: Any = FromSetting("task_reject_on_worker_lost")
    """False: a run that is lost with its worker fails at once, and is not repeated."""
    retry_on_worker_lost: Any = FromSetting("task_retry_on_worker_lost", False)
    """True: `max_retries` says how often a lost run is repeated, instead of `max_crashes` and `max_lost`."""
    max_crashes: int | None = None
    max_lost: int | None = None
    acks_on_failure: Any = None
    acks_on_timeout: Any = FromSetting("task_acks_on_timeout")
    """False: a run that meets its hard time limit is repeated, within the crash budget."""
    acks_on_failure_or_timeout: Any = FromSetting("task_acks_on_failure_or_timeout", True)
    # how long
    time_limit: Any = FromSetting("task_time_limit")
    soft_time_limit: Any = FromSetting("task_soft_time_limit")
    # what is told of it
    rate_limit: Any = FromSetting("task_default_rate_limit")
    track_started: Any = FromSetting("task_track_started", False)
    trail: bool = True
    send_events: bool = True
    resultrepr_maxsize: int = 1024
    shared: bool = True
    abstract: bool = True
    autoregister: bool = True

    MaxRetriesExceededError = MaxRetriesExceededError
    OperationalError = OperationalError

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
        if type(self).__call__ is not Task.__call__ and self._enter():
            return self.run(*args, **kwargs)  # type: ignore[no-any-return]
        if self.is_async:
            return self._coroutine(args, kwargs)  # type: ignore[return-value]
        token = direct.set(Context.of(self, args, kwargs))
        try:
            return self.run(*args, **kwargs)  # type: ignore[no-any-return]
        finally:
            direct.reset(token)

    def _enter(self) -> bool:
        """True if this is the call of a subclass's `__call__`, which the worker has entered, to `super()`."""
        request = running.get()
        if request is None or request.task_object is not self or "entered" in request.__dict__:
            return False
        request.__dict__["entered"] = True
        return True

    async def _coroutine(self, args: Any, kwargs: Any) -> Any:
        """An async body that is called as a function; its request is there while it runs, wherever it is awaited."""
        token = direct.set(Context.of(self, args, kwargs))
        try:
            return await self.run(*args, **kwargs)
        finally:
            with suppress(ValueError):  # it is not awaited to its end, but closed in another context
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
        return Context.of(self)

    def push_request(self, *given: Any, **more: Any) -> None:
        """Let `request` be one with these attributes, until `pop_request`. For tests of bodies."""
        made = Context.of(self)
        made.update(*given, **more)
        made.before = direct.get()
        direct.set(made)

    def pop_request(self) -> Request | None:
        """Take back the last `push_request`; returns its request."""
        made = direct.get()
        if isinstance(made, Context):
            direct.set(made.before)
        return made

    @property
    def backend(self) -> Any:
        """Results by id."""
        return self.app.backend

    @backend.setter
    def backend(self, value: Any) -> None:
        if value is not None:
            raise ImproperlyConfigured("A task has no backend of its own: results live in the app's one store.")

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
        producer: Any = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        **call: Any,
    ) -> AsyncResult[R]:
        """Have a worker run the task, with options for this call.

        `countdown` (seconds) or `eta` (datetime): not before. `expires` (seconds or datetime): not started after.
        `queue`, `priority` (0 first … 9), `task_id`, `headers` (dict), `ignore_result`, `time_limit` and
        `soft_time_limit` (seconds), `link` and `link_error` (signatures called with the value, or when it fails),
        `shadow` (a name for logs), `retry` and `retry_policy` (of the sending). Raises as `delay` does, and ValueError
        or TypeError for options out of bounds.
        """
        args = arguments(self.name, args)
        kwargs = keywords(self.name, kwargs)
        prepared = self.current()
        if shadow is None and type(self).shadow_name is not Task.shadow_name:
            shadow = self.shadow_name(args, kwargs, call)
        for name, value in (("task_id", task_id), ("link", link), ("link_error", link_error), ("shadow", shadow)):
            if value is not None:
                call[name] = value
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
            call = options.over({name: answer[name] for name in ("queue", "priority") if name in answer}, call)
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

    def AsyncResult(self, task_id: str) -> AsyncResult[R]:
        """The handle of a task's result by id."""
        return AsyncResult(task_id, self.app, self)

    # -- for the body ---------------------------------------------------------------------------------------------
    def update_state(self, task_id: str | None = None, state: str | None = None, meta: Any = None, **_: Any) -> None:
        """Show a state of your own, such as "PROGRESS", with `meta` as its info. Nothing happens if the run has lost
        its claim meanwhile. `task_id` is this run's, or that of another task that runs, or of none that was sent; for
        one that waits to be run BackendStoreError is raised."""
        request = self.request
        if request.claim is None and task_id is None:
            raise RuntimeError("update_state() works only while the task is run by a worker, or with a task_id.")
        state = state or "PROGRESS"
        if task_id is not None and task_id != request.id:
            from smallage.results.saving import store_result

            store_result(self.app, task_id, meta, state)
            return
        assert request.claim is not None
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
        again = retry_of(self, args, kwargs, exc, eta, countdown, max_retries, call)
        if throw:
            raise again
        self.request.pending_retry = again
        return again

    def replace(self, sig: Any) -> Any:
        """Give this run's place to `sig`: it takes over the id, the links, the place in a group and what comes after in
        a chain; a group's list becomes the value. Raises, so nothing after it runs; under `apply()` it returns the
        value. Raises ImproperlyConfigured for an empty chain or a signature with a chord of its own."""
        from smallage.core.canvas import signature

        return self.on_replace(signature(sig))

    def on_replace(self, sig: Signature) -> Any:
        """What `replace` does; to be overridden."""
        from smallage.workflows.replacing import replace_running

        return replace_running(self, sig)

    def add_to_chord(self, sig: Any, lazy: bool = False) -> Any:
        """Add a member to the chord that this run is a member of; its value comes after all others. Returns its handle.
        Raises ValueError if this run is in no chord."""
        from smallage.workflows.adding import add_to_running_chord

        return add_to_running_chord(self, sig)

    def add_trail(self, result: Any) -> Any:
        """Count a result among the children of this run, unless `trail` is off; returns it."""
        self.request.add_child(result, _NO_OPTIONS)
        return result

    def send_event(self, type_: str, retry: bool = True, retry_policy: Any = None, **fields: Any) -> None:
        """Celery's: nothing happens, since this version publishes no events. `update_state` shows how far a task is."""

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
        if convert is None and getattr(self, "pydantic", False):
            return value
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


signatures.install()
