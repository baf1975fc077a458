"""Apps for tests: `celery.contrib.testing.app`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from smallage.app import Smallage
from smallage.as_celery.absent import attribute
from smallage.testing.apps import DEFAULT_TEST_CONFIG, current, make_app


def TestApp(
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    enable_logging: bool = False,
    set_as_current: bool = False,
    log: Any = None,
    backend: str | None = None,
    broker: str | None = None,
    **kwargs: Any,
) -> Smallage:
    """An app for one test, with an empty store in memory unless `config` or `broker` name another."""
    given = {"main": name or "celery.tests", "set_as_current": set_as_current, "backend": backend, "broker": broker}
    return make_app(config, **{**given, **kwargs})


@contextmanager
def setup_default_app(app: Smallage, use_trap: bool = False) -> Iterator[None]:
    """Make `app` the current app within the block; with `use_trap` nobody is, and asking for it raises."""
    with current(app, trap=use_trap):
        yield


__all__ = ["DEFAULT_TEST_CONFIG", "TestApp", "setup_default_app"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
