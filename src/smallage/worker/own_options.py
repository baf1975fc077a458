"""Options that an app adds to the command line: Celery's `app.user_options`, sets of click options by command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smallage.core.errors import ImproperlyConfigured


def declared(app: Any, command: str) -> list[Any]:
    """The click options of the app for a command; those for all commands ("preload") come first."""
    options = getattr(app, "user_options", None) or {}
    found = [*options.get("preload", ()), *options.get(command, ())]
    return sorted(dict.fromkeys(found), key=lambda one: str(one.name))  # sets have no order


def read(app: Any, command: str, words: Sequence[str]) -> dict[str, Any]:
    """The values of all those options, defaults included, in `words` of the command line. Raises ImproperlyConfigured
    for words that are none of them."""
    options = declared(app, command)
    if not options:
        if words:
            raise ImproperlyConfigured(f"No such option: {words[0]}; app.user_options[{command!r}] has none.")
        return {}
    import click  # not loaded by a worker that has no need of it

    parser = click.Command(command, params=options, add_help_option=False)
    try:
        values: dict[str, Any] = parser.make_context(command, list(words)).params
    except click.ClickException as error:
        raise ImproperlyConfigured(error.format_message()) from None
    return values


def tell(app: Any, command: str, values: dict[str, Any]) -> None:
    """Send `user_preload_options` with the values of the options for all commands, if the app has any."""
    names = {one.name for one in getattr(app, "user_options", {}).get("preload", ())}
    if names:
        from smallage import signals

        given = {name: value for name, value in values.items() if name in names}
        signals.user_preload_options.send(sender=command, app=app, options=given)
