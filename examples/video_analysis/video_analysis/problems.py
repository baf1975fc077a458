"""What goes wrong, said in one place: to programs as RFC 9457 problem details, to people as a page."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response, current_app, g, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import AnonymousUserMixin
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError, TimeoutError
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from video_analysis import tasks


class Problem(Exception):
    """A request that cannot be done. `status` is HTTP's; `detail` says to the user what to do."""

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after


def init_app(app: Flask) -> None:
    """Answer every error in the shape that the asker reads."""
    app.register_error_handler(Problem, lambda problem: _answer(problem.status, problem.detail, problem.retry_after))
    app.register_error_handler(CSRFError, lambda _error: _answer(400, STALE))
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(tasks.unavailable(), lambda _error: _answer(503, AWAY, 5))
    for error in (OperationalError, TimeoutError):
        app.register_error_handler(error, _no_database)


STALE = "The form is too old, or comes from somewhere else. Load the page again, then send it once more."
AWAY = "The task queue cannot be reached at the moment. What you sent is kept: send it again in a few seconds."
NO_DATABASE = "Our database does not answer at the moment. Try again in a few seconds."
TOO_MUCH = "That is too much at once. Files are taken from who has logged in, as multipart/form-data."
TEXTS = {
    404: "There is nothing here, or it is not yours.",
    405: "This address does not take that method.",
    500: "Something broke on our side. It has been written down; try again later.",
}


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:  # a redirect, which Werkzeug raises too
        return error.get_response()
    if error.code == 413:
        megabytes = (request.max_content_length or 0) // 1024**2
        return _answer(413, f"The file is too large: {megabytes} MiB is the most." if megabytes else TOO_MUCH)
    return _answer(error.code, TEXTS.get(error.code, error.description or ""))


def _no_database(error: Exception) -> Response:
    current_app.logger.warning("the database does not answer: %s", type(error).__name__)
    g.setdefault("_login_user", AnonymousUserMixin())  # else Flask-Login would ask the database who this is
    return _answer(503, NO_DATABASE, 5)


def _answer(status: int, detail: str, retry_after: int | None = None) -> Response:
    title = HTTP_STATUS_CODES.get(status, "Error")
    if request.path.startswith("/api/"):
        body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        answer = Response(json.dumps(body), status, content_type="application/problem+json")
    else:
        answer = Response(render_template("error.html", title=title, detail=detail), status)
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return answer
