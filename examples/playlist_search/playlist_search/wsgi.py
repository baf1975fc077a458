"""For a web server: `gunicorn playlist_search.wsgi:app`."""

from __future__ import annotations

import uuid

from flask import Flask

from playlist_search import create_app, services, tasks


def warmed_up(app: Flask) -> Flask:
    """The application, connected to the database and to the queue, so that the first visitor need not wait for that.
    What does not answer yet is connected to later."""
    try:
        with app.app_context():
            services.current().search.find(0, "nothing")
            tasks.queue().counters(str(uuid.uuid4()))
    except Exception as error:
        app.logger.warning("not everything answers yet: %s", type(error).__name__)
    return app


app = warmed_up(create_app())
