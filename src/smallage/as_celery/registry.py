"""The tasks of the app that is meant: `celery.registry`."""

from __future__ import annotations

from typing import Any

from smallage.app.current import the_app
from smallage.as_celery.local import Proxy

tasks: Any = Proxy(lambda: the_app().tasks)

__all__ = ["tasks"]
