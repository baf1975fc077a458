"""The built-in task that opens a fan behind a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smallage.core import trees
from smallage.core.errors import StoreFull, StoreUnavailable
from smallage.core.trees import Fan
from smallage.request import Request
from smallage.workflows.following import origin_of_fan
from smallage.workflows.making import Maker
from smallage.workflows.sending import give_up, push_fan


def expand(request: Request, args: Sequence[Any]) -> None:
    """Open the fan that a run's message carries."""
    chain = trees.unpack(request.extras["n"])
    fan = chain[0]
    assert isinstance(fan, Fan)
    try:
        push_fan(request.app, fan, args, origin_of_fan(request), Maker(request.app), {})
    except (StoreUnavailable, StoreFull):
        raise  # tried again
    except Exception:
        give_up(request.app, fan)
        raise
