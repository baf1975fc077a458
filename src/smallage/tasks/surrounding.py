"""Bodies that run inside a context, such as a web framework's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


def surrounded(body: Any, make: Callable[[], AbstractContextManager[Any]], is_async: bool) -> Any:
    """`body`, sync or async, with a new context around each call."""
    if is_async:

        async def inside_async(*args: Any, **kwargs: Any) -> Any:
            with make():
                return await body(*args, **kwargs)

        return inside_async

    def inside(*args: Any, **kwargs: Any) -> Any:
        with make():
            return body(*args, **kwargs)

    return inside
