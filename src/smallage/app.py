"""The app: a name, settings, tasks, and the store that they go to."""

from __future__ import annotations

import datetime as dt
import importlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, overload

from smallage import announce, signals
from smallage.core import calls, codec, options
from smallage.core.binding import is_coroutine
from smallage.core.canvas import Signature
from smallage.core.errors import (
    AlreadyRegistered,
    NotRegistered,
    PayloadTooLarge,
    PushConflict,
    QueueNotFound,
    StoreFull,
    StoreUnavailable,
)
from smallage.core.ids import can_be_name, check_name, check_task_id, random_uuid_text
from smallage.core.message import Envelope, Message, digest
from smallage.core.settings import Settings, settings_of
from smallage.places import caller_folder, store_url
from smallage.request import running
from smallage.result import AsyncResult
from smallage.task import Task, arguments, check_options, keywords, make_task

if TYPE_CHECKING:
    from smallage.control import Control
    from smallage.groups import GroupResult
    from smallage.stores.base import Store
    from smallage.task import AsyncTask
    from smallage.watching import Hub

P = ParamSpec("P")
R = TypeVar("R")
AnyTask: TypeAlias = Task[Any, Any]
TaskClass: TypeAlias = type[AnyTask]


# -- ids ----------------------------------------------------------------------------------------------------------
_ids: list[str] = []


def new_id() -> str:
    """A random UUID. Made 256 at a time; a fork's child starts a stock of its own."""
    try:
        return _ids.pop()
    except IndexError:
        digits = os.urandom(16 * 256).hex()
        _ids.extend(random_uuid_text(digits[at : at + 32]) for at in range(32, len(digits), 32))
        return random_uuid_text(digits[:32])


# -- the decorator's types ----------------------------------------------------------------------------------------
class Decorator(Protocol):
    """`@app.task(...)` on a function whose parameters are the task's."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


class BoundDecorator(Protocol):
    """`@app.task(bind=True)`: the first parameter is the task and no parameter of `delay`."""

    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> Task[P, R]: ...


class Registry(dict[str, Task[Any, Any]]):
    """Tasks by name."""

    def __missing__(self, name: str) -> Task[Any, Any]:
        known = options.nearest(name, self)
        raise NotRegistered(f"No task '{name}' is registered here{known or '; import the module that defines it.'}")


# -- the app ------------------------------------------------------------------------------------------------------
class Smallage:
    """An application's tasks and where they go.

    `main` names tasks of a script; `broker` is the store's URL, such as `redis://localhost`; `namespace` keeps apps in
    one store apart (with `config_source` it is Celery's: the prefix of its names there); further keywords are settings
    by Celery's names. Without a URL the store is `.smallage/queue.db` beside the nearest pyproject.toml of
    the file that makes the app. Raises ImproperlyConfigured for settings that cannot work.
    """

    def __init__(
        self,
        main: str | None = None,
        loader: Any = None,
        backend: str | None = None,
        amqp: Any = None,
        events: Any = None,
        log: Any = None,
        control: Any = None,
        set_as_current: bool = True,
        tasks: Any = None,
        broker: str | None = None,
        include: Sequence[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        config_source: Any = None,
        fixups: Any = None,
        task_cls: type[Task[Any, Any]] | str | None = None,
        autofinalize: bool = True,
        namespace: str | None = None,
        strict_typing: bool = True,
        **settings: Any,
    ) -> None:
        self.main = main
        self.conf = Settings()
        self.tasks = Registry()
        self.strict_typing = strict_typing
        self.task_cls: Any = task_cls or Task
        self._home = caller_folder()
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._hub: Hub | None = None
        self._zone: tuple[int, dt.tzinfo] | None = None
        self._noted = 0
        if config_source is not None:
            self.config_from_object(config_source, namespace=namespace)
        elif namespace is not None:
            self.conf.namespace = namespace
        given = {"broker_url": broker, "result_backend": backend, "include": include}
        for name, value in {**given, **(changes or {}), **settings}.items():
            if value is not None:
                setattr(self.conf, name, value)
        _apps.add(self)
        for register in _shared:
            register(self)
        if set_as_current:
            self.set_current()

    # -- settings -------------------------------------------------------------------------------------------------
    def config_from_object(
        self, obj: Any, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> None:
        """Take settings from a module or object, its dotted name ("package.module" or "module:name"), or a dict."""
        if isinstance(obj, str):
            try:
                obj = _named(obj)
            except (ImportError, AttributeError):
                if silent:
                    return
                raise
        source = obj if isinstance(obj, Mapping) else {name: getattr(obj, name) for name in dir(obj)}
        for name, value in settings_of(source, namespace).items():
            setattr(self.conf, name, value)

    def zone(self) -> dt.tzinfo:
        """The zone that naive datetimes are in."""
        if self._zone is None or self._zone[0] != self.conf.version:
            self._zone = (self.conf.version, _zone(self.conf.timezone, self.conf.enable_utc))
        return self._zone[1]

    def now(self) -> dt.datetime:
        """The time in the app's zone."""
        return dt.datetime.now(self.zone())

    # -- the store ------------------------------------------------------------------------------------------------
    @property
    def url(self) -> str:
        """The store's URL, secrets and all: what the code says, else SMALLAGE_URL or CELERY_BROKER_URL, else `url`
        under `[tool.smallage]` in the nearest pyproject.toml, else REDIS_URL, else the file `.smallage/queue.db`."""
        return str(self.conf.broker_url) if self.conf.broker_url else store_url(self._home)

    @property
    def store(self) -> Store:
        """The store, opened at first use. Raises ImproperlyConfigured, StoreRefused or StoreUnavailable."""
        store = self._store
        if store is None:
            with self._lock:
                store = self._store
                if store is None:
                    self._note_settings()
                    store = _open(self.url, self.conf)
                    self._store = store
        return store

    def use_store(self, store: Store) -> None:
        """Work with this store object from now on; it is set up already. For tests and workers."""
        with self._lock:
            self._forget_hub()
            self._store = store

    @property
    def hub(self) -> Hub:
        """Where threads and coroutines wait for the store's notices."""
        hub = self._hub
        if hub is None:
            from smallage.watching import Hub

            store = self.store
            with self._lock:
                if self._hub is None:
                    self._hub = Hub(store)
                hub = self._hub
        return hub

    def close(self) -> None:
        """Let go of the store; the next use opens it again."""
        with self._lock:
            self._forget_hub()
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def _forget_hub(self) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.close()

    def _after_fork(self) -> None:
        """In a fork's child: nothing of the parent's connections, threads and locks may be used."""
        self._lock = threading.RLock()
        self._hub = None
        if self._store is not None:
            self._store.after_fork()

    def _note_settings(self) -> None:
        for note in self.conf.notes[self._noted :]:
            _warn("%s", note)
        self._noted = len(self.conf.notes)

    # -- tasks ----------------------------------------------------------------------------------------------------
    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, /, *, bind: Literal[True], **options: Any) -> BoundDecorator: ...
    @overload
    def task(self, /, *, bind: Literal[False] = False, **options: Any) -> Decorator: ...
    def task(self, function: Any = None, /, **options: Any) -> Any:
        """Make a function, sync or async, a task. Bare (`@app.task`) or with options (`@app.task(max_retries=5)`).

        Options are the attributes of `Task`, besides `name`, `bind` (the function gets the task as its first
        argument) and `base` (a Task class). Unknown ones become attributes too.
        """
        if function is not None:
            return self._register(function, {})
        return lambda function: self._register(function, options)

    def _register(self, function: Any, given: Mapping[str, Any]) -> Task[Any, Any]:
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"@app.task makes a task of a function, not of {function!r}. Name it with @app.task(name=...); a Task "
                "class goes to app.register_task."
            )
        values = dict(given)
        bind = bool(values.pop("bind", False))
        base = values.pop("base", None) or self._task_class()
        if not (isinstance(base, type) and issubclass(base, Task)):
            raise TypeError(f"base must be a class made from smallage.Task, not {base!r}.")
        name = values.pop("name", None) or self.gen_task_name(function.__name__, function.__module__)
        values.setdefault("typing", self.strict_typing)
        check_options(values)
        known = self.tasks.get(check_name(name))
        if known is not None:
            return self._again(known, function)
        task = make_task(self, function, name, base, bind, values)
        self.tasks[name] = task
        return task

    def _again(self, known: Task[Any, Any], function: Any) -> Task[Any, Any]:
        """A second function under a taken name: the first stays, unless it is the same source read again."""
        import warnings

        from smallage.core.errors import DuplicateTaskNameWarning

        before = known.function()
        same = getattr(before, "__qualname__", 1) == getattr(function, "__qualname__", 2) and getattr(
            before, "__module__", 1
        ) == getattr(function, "__module__", 2)
        if not same:
            warnings.warn(
                f"Two functions are registered as the task '{known.name}'; the first stays. Give the second a name of "
                "its own: @app.task(name=...).",
                DuplicateTaskNameWarning,
                stacklevel=4,
            )
        return known

    def register_task(self, task: AnyTask | TaskClass) -> AnyTask:
        """Register an instance of a Task class; raises AlreadyRegistered for a taken name."""
        made = task() if isinstance(task, type) else task
        if not made.name:
            made.name = self.gen_task_name(type(made).__name__, type(made).__module__)
        if check_name(made.name) in self.tasks:
            raise AlreadyRegistered(f"A task '{made.name}' is registered already.")
        made.app = self
        made.is_async = is_coroutine(made.function())
        self.tasks[made.name] = made
        return made

    def _task_class(self) -> type[Task[Any, Any]]:
        if isinstance(self.task_cls, str):
            self.task_cls = _named(self.task_cls)
        found: type[Task[Any, Any]] = self.task_cls
        return found

    @property
    def Task(self) -> TaskClass:
        """The class under the app's tasks, to be subclassed."""
        return self._task_class()

    def gen_task_name(self, name: str, module: str) -> str:
        """`module.name`; a script's `__main__` becomes the app's name or the script's."""
        if module == "__main__":
            script = getattr(sys.modules.get("__main__"), "__file__", None) or ""
            stem = os.path.splitext(os.path.basename(script))[0]
            module = self.main or (stem if can_be_name(stem) else "__main__")  # typed in, it is "<stdin>"
        return ".".join(part for part in (module, name) if part)

    def set_current(self) -> None:
        """Make this the app of tasks and results that name none."""
        global _current
        _current = self

    set_default = set_current

    @property
    def current_task(self) -> AnyTask | None:
        """The task that runs here."""
        request = running.get()
        return None if request is None else request.task_object

    # -- sending --------------------------------------------------------------------------------------------------
    def send_task(
        self, name: str, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **call: Any
    ) -> AsyncResult[Any]:
        """Push a task by name, registered here or not. Options as for `Task.apply_async`; those of a task registered
        here are the defaults."""
        task = self.tasks.get(name)
        calls.check(call)
        args, kwargs = arguments(name, args), keywords(name, kwargs)
        if task is not None:
            prepared = task.current()
            envelope, extras = task.call(prepared, args, kwargs, call)
        else:
            base = self.base_envelope(check_name(name))
            answer = options.route(self.conf.task_routes, name, args, kwargs, call)
            call = {**{key: answer[key] for key in ("queue", "priority") if key in answer}, **call}
            envelope, extras = self.call(base, call, (None, None))
        message = self.message(envelope, args, kwargs, extras, (), self.conf.task_payload_warning or 2**53, call)
        self.publish((message,), call.get("retry"), call.get("retry_policy"))
        return AsyncResult(message.id, self, task)

    def base_envelope(self, name: str) -> Envelope:
        """What the settings alone say about a task."""
        conf = self.conf
        once = conf.task_acks_late is False or conf.task_reject_on_worker_lost is False
        return Envelope(
            name=name,
            queue=conf.task_default_queue,
            priority=conf.task_default_priority,
            keep_us=options.keep_us(conf.result_expires, conf.task_ignore_result),
            max_crashes=0 if once else conf.task_max_crashes,
            max_lost=0 if once else conf.task_max_lost,
        )

    def known_queue(self, queue: str) -> str:
        """`queue`, unless the settings list the queues and forbid others (QueueNotFound)."""
        conf = self.conf
        if not conf.task_create_missing_queues and queue not in (*conf.task_queues, conf.task_default_queue):
            raise QueueNotFound(f"The queue '{queue}' is not in task_queues, and task_create_missing_queues is off.")
        return queue

    def call(
        self, base: Envelope, call: Mapping[str, Any], limits: tuple[float | None, float | None]
    ) -> tuple[Envelope, dict[str, Any] | None]:
        """Envelope and extras of a call with options over a task's own."""
        if not call:
            return base, None
        envelope = calls.call_envelope(base, call, self.conf.result_expires, time.time_ns() // 1000, self.zone())
        if envelope.queue != base.queue:
            self.known_queue(envelope.queue)
        return envelope, calls.call_extras(call, limits, envelope.due_us)

    def message(
        self,
        envelope: Envelope,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        extras: dict[str, Any] | None,
        names: Sequence[str],
        warn_over: int,
        call: Mapping[str, Any] | None = None,
    ) -> Message:
        """The message of a call. Inside a task it knows its parent, and its id is the same if the run is repeated."""
        request = running.get()
        if request is not None and request.claim is not None:
            extras = self._family(extras, call)
        payload = codec.encode_payload(args, kwargs, extras, names)
        if len(payload) > warn_over:
            self.check_size(envelope.name, len(payload))
        chosen = None if call is None else call.get("task_id")
        inside = request is not None and request.claim is not None
        if chosen is not None:
            message = Message(check_task_id(chosen), payload, envelope)
        elif request is None or not inside:
            message = Message(new_id(), payload, envelope)
        else:
            message = Message(request.next_child(digest(Message("", payload, envelope))), payload, envelope)
        if signals.before_task_publish.receivers:
            message = announce.before(message, args, kwargs, extras, names, inside)
        return message

    def _family(self, extras: dict[str, Any] | None, call: Mapping[str, Any] | None) -> dict[str, Any]:
        request = running.get()
        assert request is not None
        given = call or {}
        parent, root = given.get("parent_id") or request.id, given.get("root_id") or request.root_id
        return {**(extras or {}), "p": parent, **({} if root == parent else {"o": root})}

    def check_size(self, name: str, size: int, what: str = "arguments") -> None:
        """Raise PayloadTooLarge above the limit; warn in the log above the warning's threshold."""
        conf = self.conf
        if conf.task_payload_limit and size > conf.task_payload_limit:
            raise PayloadTooLarge(
                f"The {what} of {name} are {size:,} bytes; the limit is {conf.task_payload_limit:,}. Store the data "
                "(file, object store, database) and pass its key; or raise task_payload_limit."
            )
        _warn("The %s of %s are %d bytes; large ones slow the store down. Pass a key instead.", what, name, size)

    def publish(
        self, messages: Sequence[Message], retry: bool | None = None, policy: Mapping[str, Any] | None = None
    ) -> None:
        """Push messages, all or none, trying again while the store is away. Raises StoreUnavailable, StoreFull or
        PushConflict."""
        store = self._store
        if store is None:
            store = self.patiently(lambda: self.store, retry, policy)
        try:
            verdicts = store.push(messages)
        except StoreUnavailable as error:
            verdicts = self.patiently(lambda: store.push(messages), retry, policy, error)
        for verdict, message in zip(verdicts, messages, strict=True):
            if verdict != "ok" and verdict != "dup":
                refuse(verdict, message.id)
        if signals.after_task_publish.receivers:
            announce.after(messages)

    def patiently(
        self,
        act: Callable[[], R],
        retry: bool | None = None,
        policy: Mapping[str, Any] | None = None,
        failed: StoreUnavailable | None = None,
    ) -> R:
        """`act()`, tried again as `task_publish_retry_policy` says while it raises StoreUnavailable. `failed` is the
        first attempt's error if it was made already. Every act of a store may be repeated."""
        pauses = self._pauses(retry, policy)
        while True:
            if failed is not None:
                if not pauses:
                    said = str(failed)
                    raise StoreUnavailable(
                        f"{said}{'' if said.endswith(('.', '?', '!')) else '.'} Check that it runs and that its URL is "
                        "right; repeat the call with the same task_id if the task must not be doubled."
                    ) from failed
                time.sleep(pauses.pop(0))
            try:
                return act()
            except StoreUnavailable as error:
                failed = error

    def _pauses(self, retry: bool | None, policy: Mapping[str, Any] | None) -> list[float]:
        """Seconds to wait before each further try."""
        if retry is False or (retry is None and not self.conf.task_publish_retry):
            return []
        rule = {**self.conf.task_publish_retry_policy, **(policy or {})}
        start, step, most = rule.get("interval_start", 0), rule.get("interval_step", 0.2), rule.get("interval_max", 1)
        times = rule.get("max_retries", 3)
        times = 100 if times is None else min(int(times), 100)
        return [float(min(start + step * turn, most)) for turn in range(times)]

    # -- results --------------------------------------------------------------------------------------------------
    def AsyncResult(self, task_id: str, parent: Any = None) -> AsyncResult[Any]:
        """The handle of a task's result."""
        return AsyncResult(task_id, self, parent=parent)

    def GroupResult(self, group_id: str) -> GroupResult[Any]:
        """The handle of a group."""
        from smallage.groups import GroupResult

        return GroupResult(group_id, self)

    @property
    def control(self) -> Control:
        """Orders about many tasks, and questions about workers."""
        from smallage.control import Control

        return Control(self)

    def signature(self, task: Any, *args: Any, **kwargs: Any) -> Signature:
        """A signature sent by this app."""
        from smallage.core.canvas import signature

        made = signature(task, *args, **kwargs)
        made._app = self
        return made

    def __repr__(self) -> str:
        return f"<Smallage {self.main or '__main__'}>"


Celery = Smallage


# -- around it ----------------------------------------------------------------------------------------------------
_apps: weakref.WeakSet[Smallage] = weakref.WeakSet()
_current: Smallage | None = None
_shared: list[Callable[[Smallage], None]] = []


def share(register: Callable[[Smallage], None]) -> None:
    """Call `register` with every app there is and with each that is made later."""
    _shared.append(register)
    for app in list(_apps):
        register(app)


def current_task() -> AnyTask | None:
    """The task that a worker runs here, if any."""
    request = running.get()
    return None if request is None else request.task_object


def current_app() -> Smallage:
    """The app that was made (or `set_current`) last; a nameless one if there is none."""
    return _current if _current is not None else Smallage()


def _warn(text: str, *values: object) -> None:
    import logging  # costs a program that only pushes more than this file does

    logging.getLogger("smallage.app").warning(text, *values)


def _after_fork() -> None:
    _ids.clear()
    for app in list(_apps):
        app._after_fork()


os.register_at_fork(after_in_child=_after_fork)


def refuse(verdict: str, task_id: str) -> None:
    """Raise what a refusing verdict means."""
    if verdict == "full":
        raise StoreFull("The store has no room for new tasks; nothing was written. Drain or purge queues, then repeat.")
    raise PushConflict(
        f"The id {task_id} is taken by a task with another name, queue, priority or other arguments; nothing was "
        "written. Choose another task_id, or none."
    )


def _open(url: str, conf: Settings) -> Store:
    from smallage.stores import base

    transport = conf.broker_transport_options
    namespace = transport.get("global_keyprefix") or conf.namespace
    store = base.open(url, namespace=namespace)
    store.setup()
    return store


def _zone(zone: Any, utc: bool) -> dt.tzinfo:
    if isinstance(zone, dt.tzinfo):
        return zone
    if zone:
        from zoneinfo import ZoneInfo

        return ZoneInfo(zone)
    local = None if utc else dt.datetime.now().astimezone().tzinfo
    return local or dt.UTC


def _named(path: str) -> Any:
    """The object at "package.module:name" or "package.module.name", or a module."""
    module, colon, name = path.partition(":")
    if colon:
        return getattr(importlib.import_module(module), name)
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        if not module:
            raise
        return getattr(importlib.import_module(module), name)
