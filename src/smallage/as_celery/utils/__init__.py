"""Small helpers that programs import: `celery.utils`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache as memoize
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from smallage.app.sending import new_id
from smallage.as_celery.absent import attribute
from smallage.as_celery.utils.imports import gen_task_name, import_from_cwd, instantiate, qualname, symbol_by_name
from smallage.as_celery.utils.log import LOG_LEVELS
from smallage.as_celery.utils.nodenames import nodename, nodesplit, worker_direct

uuid = gen_unique_id = new_id
get_full_cls_name = qualname
get_cls_by_name = symbol_by_name


def chunks(it: Iterable[Any], n: int) -> Iterator[list[Any]]:
    """Lists of at most `n` items each."""
    items = iter(it)
    while chunk := list(islice(items, n)):
        yield chunk


def noop(*_: Any, **__: Any) -> None:
    """Nothing."""


__all__ = [
    "LOG_LEVELS",
    "cached_property",
    "chunks",
    "gen_task_name",
    "gen_unique_id",
    "get_cls_by_name",
    "get_full_cls_name",
    "import_from_cwd",
    "instantiate",
    "memoize",
    "nodename",
    "nodesplit",
    "noop",
    "uuid",
    "worker_direct",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
