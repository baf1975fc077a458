"""`app.control`: orders about tasks, queues and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from smallage.control.asking import Question, ask, chosen, send
from smallage.control.inspecting import Inspect
from smallage.core.limits import parse_rate
from smallage.stores.base import LimitSpec

if TYPE_CHECKING:
    from smallage.app import Smallage

Replies = list[dict[str, Any]]


class Control:
    """Orders. With `reply=True` they return a list of {worker: answer}, else None; `destination` names the workers
    meant, else all; `timeout` (seconds) is how long answers are waited for at most."""

    def __init__(self, app: Smallage) -> None:
        self.app = app

    # -- asking in general ----------------------------------------------------------------------------------------
    def broadcast(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        destination: str | Iterable[str] | None = None,
        connection: Any = None,
        reply: bool = False,
        timeout: float = 1.0,
        limit: int | None = None,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        channel: Any = None,
        pattern: str | None = None,
        matcher: str | None = None,
        **more: Any,
    ) -> Replies | None:
        """Have workers carry out a command by its name: one of Celery's, or one of the application's own."""
        given = {**(arguments or {}), **more}
        to = chosen(self.app, destination, pattern, matcher)
        act = getattr(self, f"_stored_{command}", None)
        if act is not None:
            answers = {node: act(views=views, **given) for node, views in to.items()} if to else act(views=[], **given)
            return [{node: answer} for node, answer in answers.items()] if reply and to else None
        question = Question(command, given)
        if not reply:
            send(self.app, question, to)
            return None
        return [{node: value} for node, value in ask(self.app, question, to, timeout, limit, callback).items()]

    def inspect(
        self, destination: str | Iterable[str] | None = None, timeout: float = 1.0, callback: Any = None, **more: Any
    ) -> Inspect:
        """Questions about the workers."""
        return Inspect(self.app, destination, timeout, callback, **more)

    def ping(self, destination: str | Iterable[str] | None = None, timeout: float = 1.0, **more: Any) -> Replies:
        """[{worker: {"ok": "pong"}}] of those that are there."""
        return self.broadcast("ping", destination=destination, reply=True, timeout=timeout, **more) or []

    # -- tasks ----------------------------------------------------------------------------------------------------
    def revoke(
        self,
        task_id: str | Iterable[str],
        destination: Any = None,
        terminate: bool = False,
        signal: Any = "SIGTERM",
        reply: bool = False,
        **more: Any,
    ) -> Replies | None:
        """Cancel tasks that have not started; with `terminate` also those that run. It is an act of the store and holds
        without any worker; `destination` and `signal` are Celery's and change nothing."""
        self._revoke(task_id, terminate)
        if not reply:
            return None
        text = _revoked_text(task_id, terminate)
        return [{node: {"ok": text}} for node in chosen(self.app, destination)]

    def terminate(
        self, task_id: str | Iterable[str], destination: Any = None, signal: Any = "SIGTERM", **more: Any
    ) -> Replies | None:
        """Cancel tasks even while they run."""
        return self.revoke(task_id, destination, True, signal, **more)

    def _revoke(self, task_id: str | Iterable[str], terminate: bool) -> None:
        ids = _ids(task_id)
        for at in range(0, len(ids), 1000):
            self.app.store.revoke(ids[at : at + 1000], terminate=terminate)

    def _stored_revoke(self, views: Any, task_id: Any, terminate: bool = False, signal: Any = None) -> dict[str, str]:
        self._revoke(task_id, terminate)
        return {"ok": _revoked_text(task_id, terminate)}

    def _stored_terminate(self, views: Any, task_id: Any, signal: Any = None) -> dict[str, str]:
        return self._stored_revoke(views, task_id, True)

    def revoke_by_stamped_headers(self, headers: Any, *rest: Any, **more: Any) -> None:
        """Celery's; stamping is not offered."""
        raise NotImplementedError(
            "Tasks are not stamped here, so they cannot be revoked by stamps; give control.revoke() their ids, or send "
            "them as a group and cancel that: result.cancel()."
        )

    def rate_limit(
        self,
        task_name: str,
        rate_limit: Any,
        destination: Any = None,
        reply: bool = False,
        **more: Any,
    ) -> Replies | None:
        """Change how often tasks of this name may start, over all workers: "10/m", a number a second, 0 or None for no
        limit. It is kept in the store, also over restarts, until it is changed again. Raises ImproperlyConfigured for
        what is no rate."""
        return self.broadcast(
            "rate_limit", {"task_name": task_name, "rate_limit": rate_limit}, destination, reply=reply
        )

    def _stored_rate_limit(self, views: Any, task_name: str, rate_limit: Any) -> dict[str, str]:
        rate = parse_rate(rate_limit)
        spec = LimitSpec(0) if rate is None else LimitSpec(rate.tokens, rate.per_us)
        known = not views or any(task_name in view.info.names for view in views)
        if not known:
            return {"error": "unknown task"}
        self.app.store.limit(f"task:{task_name}", spec)
        return {"ok": "rate limit disabled successfully" if rate is None else "new rate limit set successfully"}

    def time_limit(
        self, task_name: str, soft: float | None = None, hard: float | None = None, **more: Any
    ) -> Replies | None:
        """Change a task's time limits in the workers, in seconds."""
        return self.broadcast("time_limit", {"task_name": task_name, "soft": soft, "hard": hard}, **more)

    # -- queues ---------------------------------------------------------------------------------------------------
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

    def _queues(self) -> list[str]:
        return [queue for queue in self.app.store.counts() if queue]

    def add_consumer(
        self,
        queue: str,
        exchange: Any = None,
        exchange_type: Any = "direct",
        routing_key: Any = None,
        options: Any = None,
        destination: Any = None,
        **more: Any,
    ) -> Replies | None:
        """Have workers serve this queue too."""
        return self.broadcast("add_consumer", {"queue": str(queue)}, destination, **more)

    def cancel_consumer(self, queue: str, destination: Any = None, **more: Any) -> Replies | None:
        """Have workers serve this queue no longer."""
        return self.broadcast("cancel_consumer", {"queue": str(queue)}, destination, **more)

    # -- workers --------------------------------------------------------------------------------------------------
    def pool_grow(self, n: int = 1, destination: Any = None, **more: Any) -> Replies | None:
        """Have workers start `n` more processes; for the pool of processes."""
        return self.broadcast("pool_grow", {"n": n}, destination, **more)

    def pool_shrink(self, n: int = 1, destination: Any = None, **more: Any) -> Replies | None:
        """Have workers end `n` processes, which finish what they run."""
        return self.broadcast("pool_shrink", {"n": n}, destination, **more)

    def autoscale(self, max: int, min: int, destination: Any = None, **more: Any) -> Replies | None:
        """Have workers keep between `min` and `max` processes."""
        return self.broadcast("autoscale", {"max": max, "min": min}, destination, **more)

    def pool_restart(
        self, modules: Any = None, reload: bool = False, reloader: Any = None, destination: Any = None, **more: Any
    ) -> Replies | None:
        """Have workers replace all their processes, one life after the other; each imports the app anew."""
        return self.broadcast("pool_restart", {}, destination, **more)

    def shutdown(self, destination: Any = None, **more: Any) -> Replies | None:
        """Have workers finish what runs and end."""
        return self.broadcast("shutdown", {}, destination, **more)

    def heartbeat(self, destination: Any = None, **more: Any) -> Replies | None:
        """Celery's; workers here are known to live by their leases."""
        return self.broadcast("heartbeat", {}, destination, **more)

    def enable_events(self, destination: Any = None, **more: Any) -> Replies | None:
        """Celery's; answered, and nothing changes: what happens is read from the store."""
        return self.broadcast("enable_events", {}, destination, **more)

    def disable_events(self, destination: Any = None, **more: Any) -> Replies | None:
        """Celery's; see `enable_events`."""
        return self.broadcast("disable_events", {}, destination, **more)

    def election(self, *rest: Any, **more: Any) -> None:
        """Celery's; not offered."""
        raise NotImplementedError("Workers elect nobody here; use a task with an idempotency key, or a schedule.")


def _ids(task_id: str | Iterable[str]) -> list[str]:
    return [task_id] if isinstance(task_id, str) else [str(one) for one in task_id]


def _revoked_text(task_id: str | Iterable[str], terminate: bool) -> str:
    ids = _ids(task_id)
    return f"terminate: {', '.join(ids)}" if terminate else f"tasks {set(ids)} flagged as revoked"
