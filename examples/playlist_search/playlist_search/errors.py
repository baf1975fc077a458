"""What a request that cannot be served is answered: a page for people, JSON of one shape for scripts."""

from __future__ import annotations

from flask import Flask, current_app, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, SecurityError

from playlist_search.failures import Denied, Later, RateLimited
from playlist_search.vault import Sealed

TITLES = {
    400: "This request cannot be understood",
    401: "Log in first",
    403: "This is not for you",
    404: "There is nothing here",
    409: "Not now",
    429: "Too much at once",
    500: "Something broke",
    503: "Not available just now",
}
MESSAGES = {
    401: "Your session has ended, or there was none.",
    404: "The address is wrong, or what was here belongs to somebody else.",
    405: "This address wants another method.",
    500: "It is our fault, and it has been written down. Try again.",
}


class LoginFailed(Exception):
    """A login that did not come to its end; the text says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Conflict(Exception):
    """What was asked does not go with the state things are in; the text says why."""


def wants_page() -> bool:
    """Whether a person's browser asks for a page, rather than a script for data."""
    accepted = request.accept_mimetypes
    return "X-Requested-With" not in request.headers and (
        accepted.quality("text/html") >= accepted.quality("application/json")
    )


def answer(status: int, message: str = "", headers: dict[str, str] | None = None) -> ResponseReturnValue:
    """The error as a page or as {"error", "message"}."""
    if status >= 500:
        g.setdefault("user", None)  # the page is to come out even if nobody can be asked who this is
    title = TITLES.get(status, "This did not work")
    message = message or MESSAGES.get(status, title + ".")
    if not wants_page():
        return jsonify(error=title.lower().replace(" ", "_"), message=message), status, headers or {}
    return render_template("error.html", title=title, message=message), status, headers or {}


def init_app(app: Flask) -> None:
    """Bind the answers to an application."""

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> ResponseReturnValue:
        if isinstance(error, SecurityError):  # a Host that is not ours: no page can be made that leads back to us
            return "This server has another name.\n", 400, {"Content-Type": "text/plain"}
        if isinstance(error, CSRFError):
            return answer(400, "The page was too old, or the request came from elsewhere. Load the page again.")
        known = error.response if error.response is not None else None
        return known if known is not None else answer(error.code or 500)

    @app.errorhandler(LoginFailed)
    def login_failed(error: LoginFailed) -> ResponseReturnValue:
        app.logger.warning("login failed: %s (%s)", error.message, type(error.__cause__).__name__)
        return answer(error.status, error.message)

    @app.errorhandler(Conflict)
    def conflict(error: Conflict) -> ResponseReturnValue:
        return answer(409, str(error))

    @app.errorhandler(Denied)
    @app.errorhandler(Sealed)
    def denied(error: Exception) -> ResponseReturnValue:
        return answer(403, "Google no longer lets us see your playlists. Log out, then log in again.")

    @app.errorhandler(RateLimited)
    def limited(error: RateLimited) -> ResponseReturnValue:
        wait = max(1, round(error.retry_after))
        return answer(503, "YouTube asks us to slow down. Try again a little later.", {"Retry-After": str(wait)})

    @app.errorhandler(Later)
    @app.errorhandler(OperationalError)
    def later(error: Exception) -> ResponseReturnValue:
        return unavailable(error)


def unavailable(error: Exception) -> ResponseReturnValue:
    """The answer when YouTube, the database or the task store cannot be reached."""
    current_app.logger.warning("not available: %s", type(error).__name__)
    return answer(503, "A service that is needed for this does not answer. Try again in a minute.")
