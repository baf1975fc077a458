"""`app.control.inspect()`: questions to the workers, answered in Celery's shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from smallage.control.asking import Question, ask, chosen
from smallage.core import codec
from smallage.core.errors import DecodeError
from smallage.core.options import isoformat

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.stores.base import TaskView

MOST: Final = 1_000
"""Scheduled and revoked tasks that are told at most."""


class Inspect:
    """Questions about the workers. Each answer is {worker: value}, None if nobody answered."""

    def __init__(
        self,
        app: Smallage,
        destination: str | Iterable[str] | None = None,
        timeout: float = 1.0,
        callback: Callable[..., Any] | None = None,
        connection: Any = None,
        limit: int | None = None,
        pattern: str | None = None,
        matcher: str | None = None,
    ) -> None:
        self.app = app
        self.timeout = timeout
        self._destination, self._callback, self._limit = destination, callback, limit
        self._pattern, self._matcher = pattern, matcher

    def _chosen(self) -> dict[str, Any]:
        return chosen(self.app, self._destination, self._pattern, self._matcher)

    def _request(self, method: str, **arguments: Any) -> dict[str, Any] | None:
        question = Question(method, arguments)
        return ask(self.app, question, self._chosen(), self.timeout, self._limit, self._callback) or None

    def ping(self, destination: Any = None) -> dict[str, Any] | None:
        """{"ok": "pong"} of each worker that is there."""
        if destination is not None:
            return Inspect(self.app, destination, self.timeout).ping()
        return self._request("ping")

    def active(self, safe: Any = None) -> dict[str, list[dict[str, Any]]] | None:
        """The tasks that run."""
        return self._request("active")

    def reserved(self, safe: Any = None) -> dict[str, list[dict[str, Any]]] | None:
        """The tasks that a worker has in hand and does not run yet."""
        return self._request("reserved")

    def registered(self, *taskinfoitems: str) -> dict[str, list[str]] | None:
        """Names of tasks, each with those of the attributes asked for (`rate_limit` and the like) that are set."""
        return self._request("registered", taskinfoitems=list(taskinfoitems))

    registered_tasks = registered

    def stats(self) -> dict[str, dict[str, Any]] | None:
        """Totals, pool, processes, use of the machine."""
        return self._request("stats")

    def active_queues(self) -> dict[str, list[dict[str, Any]]] | None:
        """The queues that are served."""
        return self._request("active_queues")

    def conf(self, with_defaults: bool = False) -> dict[str, dict[str, Any]] | None:
        """Settings; secrets are hidden."""
        return self._request("conf", with_defaults=with_defaults)

    def report(self) -> dict[str, dict[str, str]] | None:
        """Versions and settings as text."""
        return self._request("report")

    def clock(self) -> dict[str, dict[str, int]] | None:
        """A count that rises; Celery's."""
        return self._request("clock")

    def hello(self, from_node: str, revoked: Any = None) -> dict[str, Any] | None:
        """Celery's greeting between workers."""
        return self._request("hello", from_node=from_node)

    def query_task(self, *ids: Any) -> dict[str, dict[str, Any]] | None:
        """What each worker knows of these tasks: {id: [how it stands there, the task]}."""
        flat = [str(one) for group in ids for one in (group if isinstance(group, (list, tuple)) else (group,))]
        return self._request("query_task", ids=flat)

    def scheduled(self, safe: Any = None) -> dict[str, list[dict[str, Any]]] | None:
        """The tasks that wait for their time. They are in the store, so one worker is named as the one that tells."""
        node = next(iter(sorted(self._chosen())), None)
        if node is None:
            return None
        waiting = self.app.store.find("scheduled", MOST)
        return {node: [self._scheduled(one, node) for one in waiting]}

    def _scheduled(self, task: TaskView, node: str) -> dict[str, Any]:
        return {"eta": isoformat(task.due_us), "priority": 6, "request": self._shown(task, node)}

    def _shown(self, task: TaskView, node: str) -> dict[str, Any]:
        args, kwargs = self._arguments(task.id)
        return {
            "id": task.id,
            "name": task.name,
            "args": args,
            "kwargs": kwargs,
            "type": task.name,
            "hostname": node,
            "time_start": None,
            "acknowledged": False,
            "delivery_info": {
                "exchange": "",
                "routing_key": task.queue,
                "priority": task.priority,
                "redelivered": task.crashes + task.lost > 0,
            },
            "worker_pid": None,
        }

    def _arguments(self, task_id: str) -> tuple[list[Any], dict[str, Any]]:
        kept = self.app.store.payload(task_id)
        if kept is None:
            return [], {}
        try:
            args, kwargs, _ = codec.decode_payload(kept[0])
            if kept[1] is not None:
                own, named = codec.decode_row(kept[1])
                return [*own, *args], {**kwargs, **named}
        except DecodeError:
            return [], {}
        return args, kwargs

    def revoked(self) -> dict[str, list[str]] | None:
        """Ids of tasks that were cancelled, as far as they are kept; the store tells them."""
        there = sorted(self._chosen())
        if not there:
            return None
        ids = [one.id for one in self.app.store.find("cancelled", MOST)]
        return dict.fromkeys(there, ids)

    def memsample(self) -> dict[str, Any] | None:
        """Memory of each worker as text."""
        return self._request("memsample")

    def memdump(self, samples: int = 10) -> dict[str, Any] | None:
        """As `memsample`, over time; here the present sample."""
        return self._request("memdump", samples=samples)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A command that the application has made with `@inspect_command`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda **arguments: self._request(name, **arguments)
