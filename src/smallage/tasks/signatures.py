"""What signatures need of the client: sending, running here, handles, ids, the app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smallage.core.canvas import Signature
from smallage.result import AsyncResult


def _send(sig: Signature, args: Any, kwargs: Any, given: dict[str, Any]) -> Any:
    from smallage.workflows.sending import send

    return send(sig, args, kwargs, given)


def _find(sig: Signature) -> Any:
    from smallage.app import current_app

    return (sig.app or current_app()).tasks[sig.task]


def _here(sig: Signature, args: Any, kwargs: Any, given: dict[str, Any]) -> Any:
    from smallage.workflows.sending import here

    return here(sig, args, kwargs, given)


def _handle(sig: Signature, task_id: str, parent: Any, members: Sequence[Any] | None) -> Any:
    if members is not None:
        from smallage.groups import GroupResult

        return GroupResult(task_id, members, parent=parent, app=sig.app)
    return AsyncResult(task_id, sig.app, sig.app.tasks.get(sig.task), parent=parent)


def _new_id() -> str:
    from smallage.app import new_id

    return new_id()


def _own_app() -> Any:
    from smallage.app import current_app

    return current_app()


def install() -> None:
    """Give the class `Signature` what it needs."""
    Signature.send = _send
    Signature.find = _find
    Signature.here = _here
    Signature.handle = _handle
    Signature.new_id = _new_id
    Signature.current = _own_app
