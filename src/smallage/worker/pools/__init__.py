"""Where bodies run: threads, the main thread of a process, one event loop, greenlets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smallage.worker.board import Board
    from smallage.worker.body import Body
    from smallage.worker.desk import Desk
    from smallage.worker.limits import Limits
    from smallage.worker.options import PoolName
    from smallage.worker.pools.base import Pool
    from smallage.worker.slot import Slot


def make_pool(name: PoolName, slots: list[Slot], desk: Desk, board: Board, body: Body, limits: Limits) -> Pool:
    """The pool of one child. Only what it needs is imported."""
    match name:
        case "asyncio":
            from smallage.worker.pools.asyncio import AsyncioPool

            return AsyncioPool(slots, desk, board, body, limits)
        case "gevent":
            from smallage.worker.pools.gevent import GeventPool

            return GeventPool(slots, desk, board, body, limits)
        case "threads":
            from smallage.worker.pools.threads import ThreadPool

            return ThreadPool(slots, desk, board, body, limits)
        case "processes" | "solo":
            from smallage.worker.pools.threads import MainThreadPool

            return MainThreadPool(slots, desk, board, body, limits)
