"""What a worker will be: the command line's options, else the app's settings, else the defaults, worked out once."""

from __future__ import annotations

import sys
from typing import Any, Final

import msgspec

from smallage.core.errors import ImproperlyConfigured
from smallage.core.options import seconds_us
from smallage.worker.options import PoolName, WorkerOptions, node_name, pool_named, shape

DRAIN_SECONDS: Final = 30.0
"""What running tasks have to end at a stop when nobody says otherwise."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One child's shape, and what the supervisor must know of the app without importing it."""

    store_url: str
    store_options: dict[str, Any]
    node: str
    pool: PoolName
    children: int
    places: int
    """Tasks at a time in each child."""
    queues: tuple[str, ...]
    app_name: str = ""
    max_tasks: int | None = None
    max_memory: int | None = None
    prefetch_bound: int | None = None
    lease_us: int
    drain_seconds: float = DRAIN_SECONDS
    """What running tasks have to end at a stop."""
    soft: bool = False
    """They have it at a QUIT too (`worker_soft_shutdown_timeout`)."""
    listens: bool = True
    """Hear questions and orders of `app.control` (`worker_enable_remote_control`)."""

    @property
    def slots(self) -> int:
        """Places on the board. Asyncio has threads for plain functions beside its coroutines."""
        return self.places * 2 if self.pool == "asyncio" else self.places

    @property
    def spawned(self) -> bool:
        """True if children cannot be forked: gevent must come before all else, and macOS forbids it."""
        return self.pool == "gevent" or sys.platform == "darwin"

    def told(self) -> dict[str, Any]:
        """As plain values, for the line."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def plan_for(app: Any, options: WorkerOptions, pool: PoolName | None) -> Plan:
    """The plan for `app`. Raises ImproperlyConfigured."""
    conf = app.conf
    url = app.url
    if url.startswith("memory:"):
        raise ImproperlyConfigured(
            "memory:// lives in one process, so a worker started by the command line would see nothing of it. "
            "Use sqlite:///queue.db or redis://localhost, or smallage.testing.start_worker inside your process."
        )
    wanted: PoolName = pool or options.pool or ("processes" if conf.worker_pool == "auto" else conf.worker_pool)
    configured = conf.worker_concurrency
    concurrency = options.concurrency or (None if configured == "auto" else configured)
    children, places = shape(options, wanted, concurrency)
    return Plan(
        store_url=url,
        store_options={"namespace": conf.broker_transport_options.get("global_keyprefix") or conf.namespace},
        node=node_name(options.node),
        pool=pool_named(wanted),
        children=children,
        places=places,
        queues=_queues(conf, options),
        app_name=str(app.main or options.app),
        max_tasks=options.max_tasks_per_child or conf.worker_max_tasks_per_child,
        max_memory=options.max_memory_per_child or conf.worker_max_memory_per_child,
        prefetch_bound=_prefetch_bound(conf, options, places),
        lease_us=round(options.lease * 1e6),
        drain_seconds=_drain_seconds(conf, options),
        soft=bool(conf.worker_soft_shutdown_timeout),
        listens=conf.worker_enable_remote_control,
    )


def _drain_seconds(conf: Any, options: WorkerOptions) -> float:
    if options.shutdown_timeout is not None:
        return options.shutdown_timeout
    return seconds_us(conf.worker_soft_shutdown_timeout or DRAIN_SECONDS, "worker_soft_shutdown_timeout") / 1e6


def _queues(conf: Any, options: WorkerOptions) -> tuple[str, ...]:
    queues = options.queues or tuple(map(str, conf.task_queues)) or (conf.task_default_queue,)
    served = tuple(queue for queue in queues if queue not in options.exclude)
    if not served:
        raise ImproperlyConfigured("-X leaves no queue to serve. Name those that are served instead: -Q a,b.")
    return (*served, f"{node_name(options.node)}.dq2") if conf.worker_direct else served


def _prefetch_bound(conf: Any, options: WorkerOptions, places: int) -> int | None:
    """Claims in hand at most; a multiplier of 0 or none given sets no bound beyond our own."""
    multiplier = options.prefetch_multiplier
    if multiplier is None and conf.given("worker_prefetch_multiplier"):
        multiplier = conf.worker_prefetch_multiplier
    return multiplier * places if multiplier else None
