"""Results: `celery.result`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute
from smallage.groups import GroupResult
from smallage.result import AsyncResult, EagerResult, allow_join_result, check_may_wait, denied_join_result
from smallage.results.sets import ResultSet
from smallage.results.tree import Node as ResultBase
from smallage.results.tree import result_from_tuple

assert_will_not_block = check_may_wait

__all__ = [
    "AsyncResult",
    "EagerResult",
    "GroupResult",
    "ResultBase",
    "ResultSet",
    "allow_join_result",
    "assert_will_not_block",
    "denied_join_result",
    "result_from_tuple",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
