"""`app.control`: orders to the store about many tasks, and questions about workers.

Orders are acts of the store: they hold whether workers are up or not, and need no answer from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.stores.base import SessionView, TaskView


class Control:
    """Revoke, purge, pause; `inspect()` asks what workers do."""

    def __init__(self, app: Smallage) -> None:
        self.app = app

    def revoke(
        self,
        task_id: str | Iterable[str],
        destination: Any = None,
        terminate: bool = False,
        signal: Any = None,
        **_: Any,
    ) -> None:
        """Cancel tasks that have not started; with `terminate` also those that run. `destination` and `signal` are
        Celery's and change nothing."""
        ids = [task_id] if isinstance(task_id, str) else [str(one) for one in task_id]
        for at in range(0, len(ids), 1000):
            self.app.store.revoke(ids[at : at + 1000], terminate=terminate)

    def terminate(self, task_id: str | Iterable[str], destination: Any = None, signal: Any = None, **_: Any) -> None:
        """Cancel tasks even while they run."""
        self.revoke(task_id, terminate=True)

    def purge(self, connection: Any = None) -> int:
        """Remove all tasks that wait, in every queue. Returns how many."""
        return sum(self.app.store.purge(queue) for queue in self._queues())

    discard_all = purge

    def pause(self, queue: str) -> None:
        """No task of this queue is started until `resume`."""
        self.app.store.pause(queue)

    def resume(self, queue: str) -> None:
        """Tasks of this queue are started again."""
        self.app.store.resume(queue)

    def ping(self, destination: Iterable[str] | None = None, timeout: float = 1.0, **_: Any) -> list[dict[str, Any]]:
        """[{node: {"ok": "pong"}}] of the workers whose lease runs."""
        return [{node: {"ok": "pong"}} for node in (self.inspect(destination).ping() or {})]

    def inspect(self, destination: Iterable[str] | None = None, timeout: float = 1.0, **_: Any) -> Inspect:
        """Questions about the workers, or those of `destination`."""
        return Inspect(self.app, destination)

    def _queues(self) -> list[str]:
        return [queue for queue in self.app.store.counts() if queue]


class Inspect:
    """What the store knows about workers. Each answer is {node: value}, None if there is no worker."""

    def __init__(self, app: Smallage, destination: Iterable[str] | None = None) -> None:
        self.app = app
        wanted = [destination] if isinstance(destination, str) else destination
        self._wanted = None if wanted is None else frozenset(wanted)

    def _nodes(self) -> dict[str, list[SessionView]]:
        nodes: dict[str, list[SessionView]] = {}
        for view in self.app.store.workers():
            node = view.info.node or view.session
            if self._wanted is None or node in self._wanted:
                nodes.setdefault(node, []).append(view)
        return nodes

    def ping(self) -> dict[str, Any] | None:
        """{"ok": "pong"} of each worker whose lease runs."""
        return {node: {"ok": "pong"} for node in self._nodes()} or None

    def registered(self, *attributes: str) -> dict[str, list[str]] | None:
        """The names of the tasks that each worker knows."""
        known = {
            node: sorted({name for one in views for name in one.info.names}) for node, views in self._nodes().items()
        }
        return known or None

    def active_queues(self) -> dict[str, list[dict[str, Any]]] | None:
        """The queues that each worker serves."""
        made = {}
        for node, views in self._nodes().items():
            names = dict.fromkeys(name for one in views for name in one.info.queues)
            made[node] = [{"name": name, "routing_key": name, "durable": True} for name in names]
        return made or None

    def active(self, safe: Any = None) -> dict[str, list[dict[str, Any]]] | None:
        """The tasks that each worker holds."""
        made = {}
        for node, views in self._nodes().items():
            held = [one.id for view in views for one in self.app.store.held(view.session)]
            tasks = self.app.store.state(held) if held else []
            made[node] = [_shown(task, node) for task in tasks if task is not None and task.state == "running"]
        return made or None

    def stats(self) -> dict[str, dict[str, Any]] | None:
        """Pool, size and processes of each worker."""
        made: dict[str, dict[str, Any]] = {}
        for node, views in self._nodes().items():
            first = views[0].info
            made[node] = {
                "pid": first.host.pid,
                "pool": {
                    "implementation": first.pool,
                    "max-concurrency": sum(one.info.concurrency for one in views),
                    "processes": sorted({one.info.host.pid for one in views}),
                },
                "held": sum(one.held for one in views),
            }
        return made or None


def _shown(task: TaskView, node: str) -> dict[str, Any]:
    """A running task without its arguments, which are nobody's business here."""
    return {
        "id": task.id,
        "name": task.name,
        "hostname": node,
        "time_start": task.started_us / 1e6,
        "acknowledged": False,
        "delivery_info": {
            "exchange": "",
            "routing_key": task.queue,
            "priority": task.priority,
            "redelivered": task.crashes + task.lost > 0,
        },
    }
