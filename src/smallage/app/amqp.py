"""`app.amqp`: which queues there are and where a task goes, as programs and their tests ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from smallage.app.destinations import Exchange, Queue
from smallage.app.refused import NotOffered
from smallage.core import options

if TYPE_CHECKING:
    from smallage.app.base import Smallage


class Queues(dict[str, Queue]):
    """The queues that a worker of this app serves, by their names. Any other name is a queue too, once it is asked for,
    unless `task_create_missing_queues` is off (KeyError)."""

    def __init__(self, app: Smallage) -> None:
        self.app = app
        conf = app.conf
        names = tuple(map(str, conf.task_queues)) or (conf.task_default_queue,)
        super().__init__({name: destination(app, name) for name in names})

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
