"""Smallage beside the application: bound to it where it is made, as docs/flask.md has it."""

from __future__ import annotations

import os

from flask import Flask

from playlist_search import errors, tasks
from playlist_search.settings import Settings


def init_app(app: Flask, settings: Settings) -> None:
    """Bind the queue to an application. Celery's spelling of the tasks sets itself up."""
    if os.environ.get(tasks.VARIABLE, "smallage") != "smallage":
        return
    from playlist_search.tasks import native
    from smallage import StoreUnavailable

    app.config["CELERY"] = native.queue_settings(settings)
    native.app.init_app(app)
    app.register_error_handler(StoreUnavailable, errors.unavailable)
