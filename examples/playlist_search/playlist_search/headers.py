"""Headers that keep a page to itself: nothing inline, nothing from elsewhere but pictures, no frames."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request

from playlist_search.settings import YOUTUBE_WATCH_URL, Settings

PICTURES = "https://i.ytimg.com https://*.googleusercontent.com"
"""Where YouTube's thumbnails are."""


def policy(settings: Settings) -> str:
    """The Content-Security-Policy. A stand-in for YouTube may show pictures too."""
    pictures = f"'self' {PICTURES}"
    if settings.youtube_watch_url != YOUTUBE_WATCH_URL:
        parts = urlsplit(settings.youtube_watch_url)
        pictures += f" {parts.scheme}://{parts.netloc}"
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {pictures}",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )


def init_app(app: Flask, settings: Settings) -> None:
    """Give each response of an application its headers."""
    content_policy = policy(settings)
    https = settings.public_url.startswith("https://")

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = content_policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        if https:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"  # pages show what belongs to one person
        return response
