"""Commands of an application's own: functions that a worker calls when it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Command(NamedTuple):
    """A command of the application's own."""

    function: Callable[..., Any]
    kind: str
    """`control` or `inspect`."""
    args: tuple[tuple[str, Any], ...] = ()
    variadic: str | None = None
    signature: str | None = None


COMMANDS: dict[str, Command] = {}


class State:
    """First argument of a command: the worker that it runs in."""

    def __init__(self, app: Any, hostname: str) -> None:
        self.app = app
        self.hostname = hostname


def _registering(kind: str) -> Callable[..., Any]:
    def decorate(*functions: F, **options: Any) -> Any:
        def register(function: F) -> F:
            name = str(options.get("name") or getattr(function, "__name__", "command"))
            COMMANDS[name] = Command(
                function, kind, tuple(options.get("args") or ()), options.get("variadic"), options.get("signature")
            )
            return function

        return register(functions[0]) if functions else register

    return decorate


control_command = _registering("control")
inspect_command = _registering("inspect")
