"""What commands of other packages are made of: click's classes under Celery's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from smallage.as_celery.absent import attribute
from smallage.cli.told import Told as CLIContext

F = TypeVar("F", bound=Callable[..., Any])


class CeleryOption(click.Option):
    """An option; `help_group` is Celery's and changes nothing. `default_value_from_context` names a setting-like key
    of `ctx.obj` that is its default."""

    def __init__(
        self, *args: Any, help_group: str | None = None, default_value_from_context: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.help_group = help_group
        self.default_value_from_context = default_value_from_context

    def get_default(self, ctx: click.Context, *args: Any, **kwargs: Any) -> Any:
        if self.default_value_from_context is not None:
            self.default = (ctx.obj or {}).get(self.default_value_from_context)
        return super().get_default(ctx, *args, **kwargs)


class CeleryCommand(click.Command):
    """A command."""


def handle_preload_options(f: F) -> F:
    """Celery's mark of commands that take the options of `app.user_options["preload"]`; here all do."""
    return f


__all__ = ["CLIContext", "CeleryCommand", "CeleryOption", "handle_preload_options"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
