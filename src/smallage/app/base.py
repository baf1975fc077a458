"""The app: a name, settings, tasks, and the store that they go to."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from smallage.app import current
from smallage.app.bound import Bound
from smallage.app.discovering import Discovering
from smallage.app.refused import WithoutParts
from smallage.app.sending import new_id
from smallage.core.canvas import Signature
from smallage.core.errors import ImproperlyConfigured, SmallageWarning
from smallage.result import AsyncResult

if TYPE_CHECKING:
    from smallage.app.amqp import Amqp, Selection
    from smallage.app.backend import Backend
    from smallage.app.connection import Connection
    from smallage.app.insides import Loader, Log
    from smallage.app.programs import Beat as BeatProgram
    from smallage.app.programs import Worker as WorkerProgram
    from smallage.app.registering import TaskClass
    from smallage.control import Control
    from smallage.groups import GroupResult
    from smallage.results.sets import ResultSet
    from smallage.schedules.keeper import Schedules


class Smallage(Discovering, WithoutParts):
    """An application's tasks and where they go.

    `main` names tasks of a script; `broker` is the store's URL, such as `redis://localhost`; further keywords are
    settings by Celery's names. `namespace` keeps apps in one store apart; in capitals, or with `config_source`, it is
    Celery's: the prefix of the settings' names in configuration objects. Without a URL the store is
    `.smallage/queue.db` beside the nearest pyproject.toml of the file that makes the app. Raises ImproperlyConfigured
    for settings that cannot work.
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
        task_cls: TaskClass | str | None = None,
        autofinalize: bool = True,
        namespace: str | None = None,
        strict_typing: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(task_cls, strict_typing, autofinalize)
        self.main = main
        self.user_options: dict[str, set[Any]] = defaultdict(set)
        """Further options of commands, by the command's name."""
        _warn_of_parts(loader=loader, amqp=amqp, events=events, log=log, control=control, fixups=fixups)
        if namespace is not None and (config_source is not None or namespace.isupper()):
            self.namespace = namespace
        elif namespace is not None:
            self.conf.namespace = namespace
        if config_source is not None:
            self.config_from_object(config_source)
        given = {"broker_url": broker, "result_backend": backend, "include": include}
        for name, value in {**given, **(changes or {}), **settings}.items():
            if value is not None:
                setattr(self.conf, name, value)
        for task in tasks.values() if isinstance(tasks, Mapping) else ():
            self.register_task(task)
        current.welcome(self)
        if set_as_current:
            self.set_current()

    def set_current(self) -> None:
        """Make this the app of tasks and results that name none."""
        current.set_current(self)

    set_default = set_current

    @cached_property
    def oid(self) -> str:
        """An id of this app in this process."""
        return new_id()

    # -- schedules ------------------------------------------------------------------------------------------------
    @property
    def schedules(self) -> Schedules:
        """The stored schedules: list, set, pause, remove, run now, without a restart."""
        from smallage.schedules.keeper import Schedules

        return Schedules(self)

    def add_periodic_task(
        self, schedule: Any, sig: Any, args: Any = (), kwargs: Any = None, name: str | None = None, **options: Any
    ) -> str:
        """Send a signature again and again: every so many seconds, or as a `crontab` says. Returns the entry's key:
        `name`, else what the signature looks like. Raises ImproperlyConfigured for what is no schedule."""
        from smallage.app.periodic import add_entry, new_entry

        key, given = new_entry(self, schedule, sig, args, kwargs, name, options)
        self._when_configured(lambda: add_entry(self, key, given))
        return key

    # -- commands -------------------------------------------------------------------------------------------------
    def start(self, argv: Sequence[str] | None = None) -> int:
        """Run a command of `smallage` with this app, such as `["status"]` (without: that of the process); returns its
        exit code."""
        from smallage.app.launching import start

        return start(self, argv)

    def worker_main(self, argv: Sequence[str] | None = None) -> int:
        """The same for a worker: `["worker", "-c", "4"]`. Raises ValueError if no worker is asked for."""
        if "worker" not in (sys.argv if argv is None else argv):
            raise ValueError("worker_main starts a worker: its arguments are to hold 'worker'. Others go to app.start.")
        return self.start(argv)

    def Worker(self, **options: Any) -> WorkerProgram:
        """A worker to be started by `.start()`, with Celery's keywords: `pool`, `concurrency`, `queues`, `loglevel`."""
        from smallage.app.programs import Worker

        return Worker(self, **options)

    WorkController = Worker

    def Beat(self, **options: Any) -> BeatProgram:
        """What sends the schedules, to be started by `.run()`; workers do it, too."""
        from smallage.app.programs import Beat

        return Beat(self, **options)

    def bugreport(self) -> str:
        """Versions, the store, and the settings without secrets."""
        from smallage.app.launching import bugreport

        return bugreport(self)

    # -- the store, as Celery's programs see it -------------------------------------------------------------------
    def connection(self, *_: Any, **__: Any) -> Connection:
        """Something that asks the store whether it is there."""
        from smallage.app.connection import Connection

        return Connection(self)

    connection_for_read = connection_for_write = connection_or_acquire = connection

    @property
    def amqp(self) -> Amqp:
        """Which queues there are, and where a task goes."""
        from smallage.app.amqp import Amqp

        return Amqp(self)

    @cached_property
    def selection(self) -> Selection:
        """What receivers of signals say of the queues that their worker is to serve."""
        from smallage.app.amqp import Selection

        return Selection()

    @property
    def backend(self) -> Backend:
        """Results by id."""
        from smallage.app.backend import Backend

        return Backend(self)

    def select_queues(self, queues: Sequence[str]) -> None:
        """Let workers of this app serve these queues."""
        self.conf.task_queues = [queue for queue in (self.conf.task_queues or queues) if queue in set(queues)]

    def setup_security(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: raises ImproperlyConfigured."""
        raise ImproperlyConfigured(
            "setup_security is not offered: messages are not signed. JSON types only travel, so none can run code."
        )

    def init_app(self, app: Any, **options: Any) -> None:
        """Bind to a Flask application: its settings, and its context around each task."""
        import_module("smallage.contrib.flask").init_app(self, app, **options)  # a floor above; only Flask's users ask

    # -- results --------------------------------------------------------------------------------------------------
    @cached_property
    def AsyncResult(self) -> Bound[AsyncResult[Any]]:
        """The handle of a task's result: `app.AsyncResult(id)`."""
        return Bound(AsyncResult, self)

    @cached_property
    def GroupResult(self) -> Bound[GroupResult[Any]]:
        """The handle of a group: `app.GroupResult(id)`, or of any results: `app.GroupResult(id, [result, …])`; of a
        group that was sent elsewhere: `app.GroupResult.restore(id)`."""
        from smallage.groups import GroupResult

        return Bound(GroupResult, self)

    @cached_property
    def ResultSet(self) -> Bound[ResultSet]:
        """Several results as one: `app.ResultSet([result, …])`."""
        from smallage.results.sets import ResultSet

        return Bound(ResultSet, self)

    @property
    def loader(self) -> Loader:
        """Loads the modules with the app's tasks."""
        from smallage.app.insides import Loader

        return Loader(self)

    @property
    def log(self) -> Log:
        """Sets up logging as a worker does."""
        from smallage.app.insides import Log

        return Log(self)

    def __enter__(self) -> Smallage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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


def _warn_of_parts(**parts: Any) -> None:
    """Parts of Celery's app that a program brings along."""
    given = [name for name, value in parts.items() if value]
    if given:
        import warnings

        warnings.warn(
            f"{', '.join(given)} of Smallage(...) {'has' if len(given) == 1 else 'have'} no effect: the app's parts "
            "cannot be exchanged.",
            SmallageWarning,
            stacklevel=3,
        )


Celery = Smallage
