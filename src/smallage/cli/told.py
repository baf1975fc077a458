"""What the command line said ahead of the command, as commands find it at `ctx.obj`."""

from __future__ import annotations

from typing import Any

import click


class Told(dict[str, Any]):
    """By name; as attributes what commands written for Celery look for: `app` is the app itself."""

    _app: Any = None

    @property
    def app(self) -> Any:
        """The app that the command is about; if it is not found, the command ends and says so."""
        if self._app is None:
            from smallage.cli.target import exit_codes, open_app

            with exit_codes():
                self._app = open_app()
        return self._app

    @property
    def quiet(self) -> bool:
        return bool(self.get("quiet"))

    @property
    def no_color(self) -> bool:
        return bool(self.get("no_color"))

    @property
    def workdir(self) -> Any:
        return self.get("workdir")

    def style(self, message: Any = None, **how: Any) -> Any:
        """The text in colours, unless none are wanted."""
        return message if self.no_color else click.style(message, **how)

    def echo(self, message: Any = None, **how: Any) -> None:
        """Print a line."""
        click.echo(message, **({**how, "color": False} if self.no_color else how))

    def secho(self, message: Any = None, **how: Any) -> None:
        """Print a line in colours, unless none are wanted."""
        click.secho(message, **({**how, "color": False} if self.no_color else how))

    def error(self, message: Any = None, **how: Any) -> None:
        """Print a line to stderr."""
        self.secho(message, **{**how, "err": True})
