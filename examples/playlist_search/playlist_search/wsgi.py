"""For a web server: `gunicorn playlist_search.wsgi:app`."""

from __future__ import annotations

from playlist_search import create_app

app = create_app()
