"""Headers and tokens that every answer has: what a browser may load and send, and from where."""

from __future__ import annotations

from flask import Flask, Response, request
from flask_login import current_user
from flask_wtf.csrf import CSRFProtect

from video_analysis.settings import Settings

csrf = CSRFProtect()

SMALL = 64 * 1024
"""Bytes of a request that brings no file."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def init_app(app: Flask, settings: Settings) -> None:
    """Set the headers, and demand a CSRF token from whoever is known by a cookie."""
    csrf.init_app(app)
    headers = dict(HEADERS)
    if settings.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"

    @app.before_request
    def limit_body() -> None:
        # Looking for the token reads a form, file and all: only who has logged in may send a large one.
        is_form = request.mimetype == "multipart/form-data"
        if request.method not in ("GET", "HEAD", "OPTIONS") and not (is_form and current_user.is_authenticated):
            request.max_content_length = SMALL

    @app.before_request
    def demand_token() -> None:
        # A browser sends cookies by itself, wherever a form comes from, but never an Authorization header.
        by_itself = not _is_for_programs() or app.config["SESSION_COOKIE_NAME"] in request.cookies
        if by_itself and not bearer():
            csrf.protect()

    @app.after_request
    def set_headers(answer: Response) -> Response:
        for name, value in headers.items():
            answer.headers.setdefault(name, value)
        if request.endpoint != "static":
            answer.headers.setdefault("Cache-Control", "no-store")
        return answer


def bearer() -> str | None:
    """The token that a program sent with this request instead of a session."""
    given = request.authorization
    return given.token if given is not None and given.type == "bearer" and _is_for_programs() else None


def _is_for_programs() -> bool:
    return request.path.startswith("/api/")
