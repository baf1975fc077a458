"""`app.amqp`: which queues there are and where a task goes, as programs and their tests ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from smallage.app.destinations import Exchange, Queue
from smallage.app.refused import NotOffered
from smallage.core import options
from smallage.core.errors import ImproperlyConfigured
from smallage.core.ids import check_queue

if TYPE_CHECKING:
    from smallage.app.base import Smallage


class Selection:
    """What receivers of `celeryd_init`, `worker_init` and `celeryd_after_setup` say of the queues of their worker."""

    def __init__(self) -> None:
        self._only: tuple[str, ...] | None = None
        self._added: list[str] = []
        self._removed: set[str] = set()

    def select(self, names: Sequence[str]) -> None:
        self._only, self._added, self._removed = tuple(names), [], set()

    def add(self, name: str) -> None:
        self._added.append(name)
        self._removed.discard(name)

    def remove(self, names: Sequence[str]) -> None:
        self._removed.update(names)

    def of(self, queues: Sequence[str]) -> tuple[str, ...]:
        """The queues to serve instead of these."""
        names = queues if self._only is None else self._only
        return tuple(dict.fromkeys(name for name in (*names, *self._added) if name not in self._removed))

    def served(self, queues: Sequence[str]) -> tuple[str, ...]:
        """The same. Raises ImproperlyConfigured if none is left."""
        if not (found := self.of(queues)):
            raise ImproperlyConfigured("app.amqp.queues.deselect leaves no queue to serve; select or add one.")
        return found


class Queues(dict[str, Queue]):
    """The queues that a worker of this app serves, by their names. Any other name is a queue too, once it is asked for,
    unless `task_create_missing_queues` is off (KeyError)."""

    def __init__(self, app: Smallage) -> None:
        self.app = app
        super().__init__()
        self._read()

    def _read(self) -> None:
        conf = self.app.conf
        names = tuple(map(str, conf.task_queues)) or (conf.task_default_queue,)
        self.clear()
        self.update((name, destination(self.app, name)) for name in self.app.selection.of(names))

    def select(self, include: Sequence[str] | str) -> None:
        """Have the worker that is starting serve these alone; for receivers of `celeryd_after_setup`."""
        self.app.selection.select(_names(include))
        self._read()

    def deselect(self, exclude: Sequence[str] | str) -> None:
        """Have the worker that is starting not serve these."""
        self.app.selection.remove(_names(exclude))
        self._read()

    def select_add(self, queue: Any, **_: Any) -> Queue:
        """Have the worker that is starting serve this queue as well."""
        name = check_queue(getattr(queue, "name", queue))
        self.app.selection.add(name)
        self._read()
        return self[name]

    add = select_add

    def __missing__(self, name: str) -> Queue:
        if not self.app.conf.task_create_missing_queues:
            raise KeyError(name)
        return destination(self.app, name)

    @property
    def consume_from(self) -> dict[str, Queue]:
        """The queues that a worker serves if it is told none."""
        return dict(self)


class Router:
    """Where a task goes by the settings."""

    def __init__(self, app: Smallage) -> None:
        self.app = app

    def route(
        self,
        options: Mapping[str, Any],
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        task_type: Any = None,
    ) -> dict[str, Any]:
        """The options of a call of the task `name` with those of `task_routes` below them; `queue` is a `Queue`.
        Raises QueueNotFound for one that the settings forbid."""
        return _routed(self.app, options, name, args, kwargs, task_type)


class Amqp:
    """Answers questions about queues; there is nothing of AMQP behind it."""

    Queues: Any
    Router: Any

    def __init__(self, app: Smallage) -> None:
        self.app = app
        self.Queues, self.Router = partial(Queues, app), partial(Router, app)

    @property
    def queues(self) -> Queues:
        """The queues that a worker serves."""
        return Queues(self.app)

    @property
    def default_queue(self) -> Queue:
        """Where a task goes that nothing else is said of."""
        return destination(self.app, self.app.conf.task_default_queue)

    @property
    def router(self) -> Router:
        return Router(self.app)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotOffered(
            f"app.amqp.{name} is not offered: there is no broker with messages and exchanges. app.send_task pushes; "
            "app.amqp.queues and app.amqp.router.route(...) tell where tasks go."
        )


def _names(given: Sequence[str] | str) -> list[str]:
    return [check_queue(getattr(one, "name", one)) for one in ([given] if isinstance(given, str) else given)]


def destination(app: Smallage, name: str) -> Queue:
    """A queue by its name, as the settings describe it."""
    given = next((one for one in app.conf.task_queues if one == name), None)
    exchange = getattr(given, "exchange", None) or name
    made = exchange if isinstance(exchange, Exchange) else Exchange(getattr(exchange, "name", exchange) or name)
    return Queue(name, made, getattr(given, "routing_key", None) or name)


def _routed(app: Smallage, given: Mapping[str, Any], name: str, args: Any, kwargs: Any, task: Any) -> dict[str, Any]:
    answer = options.route(app.conf.task_routes, name, args, kwargs, given, task)
    made = options.over(answer, given)
    queue = made.get("queue") or made.get("routing_key") or app.conf.task_default_queue
    made["queue"] = destination(app, app.known_queue(getattr(queue, "name", queue)))
    return made
