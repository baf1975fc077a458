"""Search what was said in your playlists: a Flask application whose slow work is done by Smallage's tasks."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from flask import Flask

    from playlist_search.settings import Settings

STREAMS = 24
"""Open live bars in one web process; below its threads, so that pages are served beside them."""


def create_app(settings: Settings | None = None) -> Flask:
    """The application, set up by these settings or by the environment's."""
    # Here and not above, so that workers and scripts which import this package load nothing of the web part.
    from flask import Flask
    from flask_wtf import CSRFProtect

    from playlist_search import accounts, errors, headers, live, pages, queueing, services

    if settings is not None:
        services.use(services.Services(settings))
    settings = services.current().settings
    https = settings.public_url.startswith("https://")
    app = Flask(__name__)
    if settings.public_url:
        # No other name is answered to; the loopback's are for whoever watches over the process.
        app.config["TRUSTED_HOSTS"] = [urlsplit(settings.public_url).hostname or "", "127.0.0.1", "localhost"]
    app.config.update(
        SECRET_KEY=settings.secret(),
        SESSION_COOKIE_NAME="__Host-playlist_search" if https else "playlist_search",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=dt.timedelta(days=14),
        MAX_CONTENT_LENGTH=64 * 1024,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a page may stay open over night
        STREAMS=int(os.environ.get("STREAMS") or STREAMS),
    )
    CSRFProtect(app)
    headers.init_app(app, settings)
    errors.init_app(app)
    accounts.init_app(app, settings)
    live.init_app(app)
    pages.init_app(app)
    queueing.init_app(app, settings)
    return app
