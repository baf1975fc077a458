"""A task's calls as data: signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from smallage.core.canvas import Signature

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.request import Request


class CallsAsData:
    """Signatures of a task."""

    app: Smallage
    if TYPE_CHECKING:

        @property
        def request(self) -> Request: ...

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """A signature of this task with these arguments."""
        return Signature(self, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """As `s`, but arguments of a later merge are ignored."""
        return Signature(self, args, kwargs, immutable=True)

    def signature(self, args: Any = None, kwargs: Any = None, *rest: Any, **more: Any) -> Signature:
        """A signature, with options: `signature((2, 2), countdown=10)`."""
        return Signature(self, args, kwargs, *rest, **more)

    subtask = signature

    def map(self, it: Iterable[Any]) -> Signature:
        """A call that runs this task for each item in turn, where it runs; gives the list of results."""
        from smallage.core.canvas import xmap

        return xmap(self.s(), it, app=self.app)

    def starmap(self, it: Iterable[Iterable[Any]]) -> Signature:
        """As `map`, of rows of positional arguments."""
        from smallage.core.canvas import xstarmap

        return xstarmap(self.s(), it, app=self.app)

    def chunks(self, it: Iterable[Iterable[Any]], n: int) -> Signature:
        """A group of starmaps of `n` rows each; gives a list of lists."""
        from smallage.core.canvas import chunks

        return chunks(self.s(), it, n, app=self.app)

    def signature_from_request(
        self,
        request: Request | None = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        queue: str | None = None,
        **more: Any,
    ) -> Signature:
        """The signature of a run, this one if none is given, as it would be sent again."""
        request = self.request if request is None else request
        given = {**request.as_execution_options(), "priority": request.delivery_info["priority"], **more}
        given["queue"] = queue or request.delivery_info["routing_key"]
        return self.signature(
            request.args if args is None else args,
            request.kwargs if kwargs is None else kwargs,
            {name: value for name, value in given.items() if value is not None},
        )

    subtask_from_request = signature_from_request
