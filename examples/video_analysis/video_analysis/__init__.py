"""Submit a video; get its transcript, a summary, its key phrases. A Flask application whose work is done by tasks."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from video_analysis.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The web application; its settings are those of the environment unless some are given.

    Workers make one as well and run their tasks in its context. The embedded database is brought to the newest version
    here; any other by `flask --app video_analysis db upgrade`.
    """
    from flask import Flask
    from werkzeug.middleware.proxy_fix import ProxyFix

    from video_analysis import accounts, api, commands, db, events, migrations, pages, problems, security, tasks
    from video_analysis.settings import Settings

    settings = settings or Settings.read()
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.upload_limit + security.SMALL,  # the file, and the rest of its form
        SESSION_COOKIE_NAME="__Host-session" if settings.secure else "session",
        SESSION_COOKIE_SECURE=settings.secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=dt.timedelta(days=14),
        WTF_CSRF_CHECK_DEFAULT=False,  # security.py checks, unless a program shows its token
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["settings"] = settings
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    db.connect_to(settings.database_url)
    if settings.embedded:
        migrations.upgrade()
    tasks.init_app(app, settings)
    for part in (problems, commands, accounts):
        part.init_app(app)
    security.init_app(app, settings)
    app.extensions["streams"] = events.Streams(settings.streams)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(pages.blueprint)
    return app
