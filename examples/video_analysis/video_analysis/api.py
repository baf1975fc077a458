"""The JSON API under /api. README.md lists its addresses; `problems` has the shape of its errors."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from video_analysis import events, passwords, records, shown, submitting
from video_analysis.accounts import credentials_of, this_user
from video_analysis.models import Analysis
from video_analysis.problems import Problem

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.post("/tokens")
def make_token() -> ResponseReturnValue:
    """A token for a program, for an e-mail address and a password."""
    given = _json()
    user = credentials_of(_text(given, "email"), _text(given, "password"))
    return jsonify(token=passwords.new_token(user.id)), 201


@blueprint.get("/account")
def account() -> ResponseReturnValue:
    user = this_user()
    return jsonify(shown.account(user, records.minutes_reserved(user.id)))


@blueprint.post("/analyses")
def submit() -> ResponseReturnValue:
    """Take a video: JSON with its `url`, or a form with it as `file`. Answers 202 before anything is done with it."""
    user, key = this_user(), submitting.checked_key(request.headers.get("Idempotency-Key"))
    if request.mimetype == "multipart/form-data":
        submitting.require_room(user, key)
        analysis, new = submitting.submitted(user, key, request.form.get("url", ""), request.files.get("file"))
    else:
        analysis, new = submitting.submitted(user, key, _text(_json(), "url"), None)
    answer = jsonify(shown.summary(analysis))
    answer.headers["Location"] = url_for("api.one", analysis_id=analysis.id)
    if not new:
        answer.headers["Idempotency-Replayed"] = "true"
    return answer, 202


@blueprint.get("/analyses")
def several() -> ResponseReturnValue:
    """The newest hundred, without their results."""
    return jsonify(analyses=[shown.summary(one) for one in records.of_user(this_user().id)])


@blueprint.get("/analyses/<analysis_id>")
def one(analysis_id: str) -> ResponseReturnValue:
    return jsonify(shown.whole(submitting.start_if_late(theirs(analysis_id))))


@blueprint.get("/analyses/<analysis_id>/progress")
def progress(analysis_id: str) -> ResponseReturnValue:
    return jsonify(shown.progress(submitting.start_if_late(theirs(analysis_id))))


@blueprint.get("/analyses/<analysis_id>/events")
def follow(analysis_id: str) -> ResponseReturnValue:
    """The progress as server-sent events."""
    analysis = submitting.start_if_late(theirs(analysis_id))
    streams: events.Streams = current_app.extensions["streams"]
    if not streams.enter(analysis.user_id):
        raise Problem(429, "Too many streams are open. Ask for the progress now and then instead.", retry_after=5)
    headers = {"X-Accel-Buffering": "no"}  # nginx passes each event on at once
    answer = Response(events.stream(analysis.id), mimetype="text/event-stream", headers=headers)
    answer.call_on_close(lambda: streams.leave(analysis.user_id))
    return answer


@blueprint.delete("/analyses/<analysis_id>")
def cancel(analysis_id: str) -> ResponseReturnValue:
    return jsonify(shown.summary(submitting.cancelled(theirs(analysis_id))))


def theirs(analysis_id: str) -> Analysis:
    """The analysis, if it is of whoever asks. Raises Problem 404: nobody learns of others' analyses."""
    user = this_user()
    try:
        analysis = records.load(analysis_id)
    except records.NoSuchAnalysis:
        analysis = None
    if analysis is None or analysis.user_id != user.id:
        raise Problem(404, "There is no such analysis, or it is not yours.")
    return analysis


def _json() -> dict[str, object]:
    if not request.is_json:
        raise Problem(415, 'Send JSON such as {"url": "https://…"}, or the file as multipart/form-data.')
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise Problem(400, 'That is no JSON object, such as {"url": "https://…"}.')
    return given


def _text(given: dict[str, object], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise Problem(422, f"{name} is to be a text.")
    return value
