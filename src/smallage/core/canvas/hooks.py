"""What the canvas cannot do itself: it neither sends nor draws ids. The client sets these when it is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Sender(Protocol):
    """Sends a signature of any kind and returns the handle of its result.

    `args` and `kwargs` are to be merged in (`Signature.merged`, `chain.steps`, `group.flat`), options that are None
    are left out already.
    """

    def __call__(self, sig: Any, args: Any, kwargs: Any, options: dict[str, Any], /) -> Any: ...


class Handles(Protocol):
    """Makes the handle of a result that does not exist yet, from the id that the call will have.

    `parent` is the handle of the step before, or None. For a group, `members` are the handles of its members in order;
    for everything else it is None.
    """

    def __call__(self, sig: Any, task_id: str, parent: Any, members: Sequence[Any] | None, /) -> Any: ...
