"""What chains and groups have in common: members in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from smallage.core.canvas.signature import Signature, members_of


class Membered(Signature):
    """A signature of several."""

    kind: ClassVar[str]
    """What error texts call it."""

    @classmethod
    def of(cls, tasks: Iterable[Signature], **options: Any) -> Signature:
        """One of these as they are."""
        return cls(list(tasks), **options)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], app: Any = None) -> Signature:
        made = cls.of(
            members_of(data["kwargs"].get("tasks") or (), cls.kind),
            app=app,
            options=data.get("options"),
            immutable=bool(data.get("immutable")),
        )
        made.args = data.get("args") or ()
        return made

    @property
    def tasks(self) -> list[Signature]:
        """The members, in order."""
        members: list[Signature] = self["kwargs"]["tasks"]
        return members

    @tasks.setter
    def tasks(self, tasks: Iterable[Signature]) -> None:
        self["kwargs"]["tasks"] = list(tasks)

    def own_app(self) -> Any:
        if self._app is not None:
            return self._app
        return self.tasks[0].own_app() if self.tasks else None
