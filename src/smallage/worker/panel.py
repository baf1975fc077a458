"""What a worker process answers when it is asked: its tasks, its queues, its settings. Celery's shapes."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from smallage.control.commands import COMMANDS, State
from smallage.core import codec
from smallage.core.errors import DecodeError
from smallage.core.sentinel_url import is_sentinel, read

if TYPE_CHECKING:
    from smallage.core.message import Claim
    from smallage.worker.desk import Desk
    from smallage.worker.fetch import Engine
    from smallage.worker.pools.base import Pool

ATTRIBUTES: Final = ("exchange", "routing_key", "rate_limit")


class Asked(Protocol):
    """The worker process that is asked."""

    app: Any
    pool: Pool
    desk: Desk
    engine: Engine


class Panel:
    """Answers of one worker process."""

    def __init__(self, worker: Asked, node: str, pid: int, pool: str, queues: Iterable[str], places: int) -> None:
        self._worker, self._node, self._pid, self._pool, self._places = worker, node, pid, pool, places
        self.queues = list(queues)
        self._born = time.time()
        self._clock = 0
        self._events = False

    def answer(self, method: str, arguments: dict[str, Any]) -> Any:
        """The answer to a question; {"error": text} for what went wrong."""
        self._clock += 1
        found: Callable[..., Any] | None = getattr(self, f"_on_{method}", None)
        try:
            if found is not None:
                return found(**arguments)
            own = COMMANDS.get(method)
            if own is None:
                return {"error": f"unknown command '{method}'"}
            return own.function(State(self._worker.app, self._node), **arguments)
        except Exception as error:
            return {"error": repr(error)}

    # -- tasks ----------------------------------------------------------------------------------------------------
    def _on_active(self) -> list[dict[str, Any]]:
        shown = []
        for slot in self._worker.pool.slots:
            claim = slot.claim
            if claim is not None:
                shown.append(self._shown(claim, time.time() - (time.monotonic() - slot.started)))
        return shown

    def _on_reserved(self) -> list[dict[str, Any]]:
        return [self._shown(claim, None) for claim in tuple(self._worker.desk.backlog)]

    def _shown(self, claim: Claim, started: float | None) -> dict[str, Any]:
        args, kwargs = _arguments(claim)
        return {
            "id": claim.id,
            "name": claim.name,
            "args": args,
            "kwargs": kwargs,
            "type": claim.name,
            "hostname": self._node,
            "time_start": started,
            "acknowledged": False,
            "delivery_info": {
                "exchange": "",
                "routing_key": claim.queue,
                "priority": claim.priority,
                "redelivered": claim.crashes + claim.lost > 0,
            },
            "worker_pid": os.getpid(),
        }

    def _on_query_task(self, ids: Iterable[str]) -> dict[str, Any]:
        wanted = frozenset(ids)
        found = {one["id"]: ["reserved", one] for one in self._on_reserved() if one["id"] in wanted}
        found.update({one["id"]: ["active", one] for one in self._on_active() if one["id"] in wanted})
        return found

    def _on_registered(self, taskinfoitems: Iterable[str] = (), builtins: bool = False) -> list[str]:
        items = tuple(taskinfoitems or ()) or ATTRIBUTES
        tasks = self._worker.app.tasks
        return [
            _with_attributes(tasks[name], items)
            for name in sorted(tasks)
            if builtins or not name.startswith(("celery.", "smallage."))
        ]

    def _on_time_limit(self, task_name: str, soft: float | None = None, hard: float | None = None) -> dict[str, str]:
        task = dict.get(self._worker.app.tasks, task_name)
        if task is None:
            return {"error": "unknown task"}
        task.soft_time_limit, task.time_limit = soft, hard
        return {"ok": "time limits set successfully"}

    # -- queues ---------------------------------------------------------------------------------------------------
    def _on_active_queues(self) -> list[dict[str, Any]]:
        return [_queue(name) for name in self.queues]

    def _on_add_consumer(self, queue: str, **_: Any) -> dict[str, str]:
        if queue in self.queues:
            return {"ok": f"already consuming from {queue!r}"}
        self.queues.append(queue)
        self._worker.engine.serve(tuple(self.queues))
        return {"ok": f"add consumer {queue}"}

    def _on_cancel_consumer(self, queue: str, **_: Any) -> dict[str, str]:
        if queue in self.queues:
            self.queues.remove(queue)
            self._worker.engine.serve(tuple(self.queues))
        return {"ok": f"no longer consuming from {queue}"}

    # -- the process ----------------------------------------------------------------------------------------------
    def _on_ping(self) -> dict[str, str]:
        return {"ok": "pong"}

    def _on_stats(self) -> dict[str, Any]:
        app = self._worker.app
        use = resource.getrusage(resource.RUSAGE_SELF)
        soft, hard = app.conf.task_soft_time_limit, app.conf.task_time_limit
        return {
            "total": dict(self._worker.engine.totals),
            "pid": self._pid,
            "clock": str(self._clock),
            "uptime": int(time.time() - self._born),
            "pool": {
                "implementation": self._pool,
                "max-concurrency": self._places,
                "processes": [os.getpid()],
                "max-tasks-per-child": app.conf.worker_max_tasks_per_child or "N/A",
                "timeouts": [soft or 0, hard or 0],
            },
            "broker": _broker(app.url),
            "prefetch_count": self._places + len(self._worker.desk.backlog),
            "rusage": {name[3:]: getattr(use, name) for name in dir(use) if name.startswith("ru_")},
        }

    def _on_conf(self, with_defaults: bool = False) -> dict[str, Any]:
        table = self._worker.app.conf.table(with_defaults=with_defaults)
        return {name: _plain(value) for name, value in sorted(table.items())}

    def _on_report(self) -> dict[str, str]:
        from smallage.__about__ import __version__

        system = f"software -> smallage:{__version__} py:{platform.python_version()}"
        place = f"platform -> system:{platform.system()} arch:{platform.machine()} imp:{sys.implementation.name}"
        settings = "\n".join(f"{name}: {value!r}" for name, value in self._on_conf().items())
        return {"ok": f"{system}\n{place}\nstore -> {self._worker.app.store.url}\n\n{settings}\n"}

    def _on_clock(self) -> dict[str, int]:
        return {"clock": self._clock}

    def _on_hello(self, from_node: str = "", **_: Any) -> dict[str, Any]:
        return {"revoked": {}, "clock": self._clock}

    def _on_memsample(self) -> str:
        return f"{_resident_mb():.2f}MB"

    def _on_memdump(self, samples: int = 10) -> str:
        return f"- rss (sample): 1.\n-    > {self._on_memsample()}"

    def _on_heartbeat(self) -> dict[str, str]:
        return {"ok": "heartbeat"}

    def _on_enable_events(self) -> dict[str, str]:
        return self._turn_events(True, "enabled")

    def _on_disable_events(self) -> dict[str, str]:
        return self._turn_events(False, "disabled")

    def _turn_events(self, on: bool, word: str) -> dict[str, str]:
        """Nothing is published either way; what happens is read from the store."""
        before, self._events = self._events, on
        return {"ok": f"task events {'already ' * (before is on)}{word}"}


def _arguments(claim: Claim) -> tuple[list[Any], dict[str, Any]]:
    try:
        args, kwargs, _ = codec.decode_payload(claim.payload)
        if claim.row is not None:
            own, named = codec.decode_row(claim.row)
            return [*own, *args], {**kwargs, **named}
    except DecodeError:
        return [], {}
    return args, kwargs


def _with_attributes(task: Any, items: Iterable[str]) -> str:
    found = [f"{item}={value}" for item in items if (value := getattr(task, item, None)) is not None]
    return f"{task.name} [{' '.join(found)}]" if found else str(task.name)


def _queue(name: str) -> dict[str, Any]:
    """A queue as Celery describes one."""
    return {
        "name": name,
        "exchange": {
            "name": name,
            "type": "direct",
            "arguments": None,
            "durable": True,
            "passive": False,
            "auto_delete": False,
            "delivery_mode": None,
            "no_declare": False,
        },
        "routing_key": name,
        "queue_arguments": None,
        "binding_arguments": None,
        "consumer_arguments": None,
        "durable": True,
        "exclusive": False,
        "auto_delete": False,
        "no_ack": False,
        "alias": None,
        "bindings": [],
        "no_declare": None,
        "expires": None,
        "message_ttl": None,
        "max_length": None,
        "max_length_bytes": None,
        "max_priority": None,
    }


def _broker(url: str) -> dict[str, Any]:
    from urllib.parse import urlsplit

    if is_sentinel(url):
        sentinels = read(url)
        host, port = sentinels.hosts[0]
        database = sentinels.database or "0"
        return {"hostname": host, "port": port, "transport": sentinels.scheme, "virtual_host": database}
    parts = urlsplit(url)
    return {
        "hostname": parts.hostname or "",
        "port": parts.port,
        "transport": parts.scheme.partition("+")[0],
        "virtual_host": parts.path.lstrip("/") or "0",
    }


def _plain(value: Any) -> Any:
    """A setting as JSON has it."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def _resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
