"""`smallage worker playlist_search.worker`: a worker that needs nothing of the web part."""

from __future__ import annotations

from playlist_search.tasks import native

app = native.configure()
