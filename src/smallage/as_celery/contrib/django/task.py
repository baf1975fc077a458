"""Tasks sent when a transaction of Django's commits: `celery.contrib.django.task`."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from smallage.task import Task


class DjangoTask(Task[Any, Any]):
    """Base of tasks with `delay_on_commit` and `apply_async_on_commit`. Without a transaction they send at once."""

    abstract = True

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> None:
        """`delay`, once the open transaction has committed."""
        _on_commit(partial(self.delay, *args, **kwargs))

    def apply_async_on_commit(self, *args: Any, **kwargs: Any) -> None:
        """`apply_async`, once the open transaction has committed."""
        _on_commit(partial(self.apply_async, *args, **kwargs))


def _on_commit(send: Any) -> None:
    import_module("django.db.transaction").on_commit(send)


__all__ = ["DjangoTask"]
