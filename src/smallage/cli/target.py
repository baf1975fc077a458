"""Which app or store a command speaks to, and what its failures exit with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from smallage.core.errors import ImproperlyConfigured, SmallageError, StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from smallage.stores.base import Store

FAILED, USAGE, UNREACHABLE = 1, 2, 3


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Turn our errors into a sentence on stderr and the documented exit code."""
    try:
        yield
    except (StoreUnavailable, StoreRefused) as error:
        _fail(error, _told().get("unreachable", UNREACHABLE))
    except ImproperlyConfigured as error:
        _fail(error, USAGE)
    except SmallageError as error:
        _fail(error, FAILED)


def _told() -> dict[str, Any]:
    """What the command line said before the command."""
    found: dict[str, Any] = click.get_current_context().find_root().obj or {}
    return found


def _fail(error: Exception, code: int) -> None:
    click.echo(f"{_told().get('program', 'smallage')}: {error}", err=True)
    raise click.exceptions.Exit(code)


def open_app() -> Any:
    """The app that the command is about: -A, or what lies here; with only a store named, an app without tasks."""
    context = click.get_current_context()
    found = _told()
    app = find_named(found.get("app"))
    if found.get("store"):
        app.conf.pin("broker_url", found["store"])
    _tell_of_own_options(context, app)
    context.call_on_close(app.close)
    return app


def _tell_of_own_options(context: click.Context, app: Any) -> None:
    """Send `user_preload_options` for an app with options of its own."""
    if not getattr(app, "user_options", None):
        return
    from smallage.cli.own_options import OWN
    from smallage.worker.own_options import read, tell

    name = str(context.info_name)
    tell(app, name, {**read(app, name, ()), **context.find_root().meta.get(OWN, {})})


def find_named(where: str | None) -> Any:
    """The app at `where`, or what lies here, or one without tasks."""
    from smallage.worker.discover import AppNotFound, find_app

    if where:
        return find_app(where)
    try:
        return find_app()
    except AppNotFound:
        return _nameless()


def _nameless() -> Any:
    """An app without tasks, with the settings of CELERY_CONFIG_MODULE or of a module `celeryconfig`, if there are."""
    from smallage.app import Smallage

    made = Smallage("smallage", set_as_current=False)
    made.config_from_object(os.environ.get("CELERY_CONFIG_MODULE") or "celeryconfig", silent=True)
    return made


def open_store() -> Store:
    """The store of that app."""
    store: Store = open_app().store
    return store
