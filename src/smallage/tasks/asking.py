"""A task's calls for asyncio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from smallage.core.canvas import Signature
    from smallage.groups import GroupResult
    from smallage.result import AsyncResult

P = ParamSpec("P")
R = TypeVar("R")


class AsyncCalls(Generic[P, R]):
    """The calls of a task, made in threads of their own."""

    if TYPE_CHECKING:

        def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]: ...

        def apply_async(
            self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **call: Any
        ) -> AsyncResult[R]: ...

        def delay_many(self, rows: Iterable[Any], **call: Any) -> list[AsyncResult[R]]: ...

        def fan_out(self, rows: Iterable[Any], then: Signature | None = None, **call: Any) -> GroupResult[R]: ...

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """`delay` without blocking the event loop."""
        from smallage.aio import in_thread

        return await in_thread(self.delay, *args, **kwargs)

    async def aapply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **call: Any
    ) -> AsyncResult[R]:
        """`apply_async` without blocking the event loop."""
        from smallage.aio import in_thread

        return await in_thread(self.apply_async, args, kwargs, **call)

    async def adelay_many(self, rows: Iterable[Any], **call: Any) -> list[AsyncResult[R]]:
        """`delay_many` without blocking the event loop."""
        from smallage.aio import in_thread

        return await in_thread(self.delay_many, rows, **call)

    async def afan_out(self, rows: Iterable[Any], then: Signature | None = None, **call: Any) -> GroupResult[R]:
        """`fan_out` without blocking the event loop; `rows` is iterated in a thread."""
        from smallage.aio import in_thread

        return await in_thread(self.fan_out, rows, then, **call)
