"""The pages: submit a video, watch its analysis come about, read it."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from video_analysis import passwords, records, shown, submitting
from video_analysis.accounts import settings, this_user
from video_analysis.api import theirs
from video_analysis.models import STEPS
from video_analysis.problems import Problem

blueprint = Blueprint("pages", __name__)


@blueprint.app_context_processor
def names() -> dict[str, object]:
    return {"STATE_NAMES": shown.STATE_NAMES, "STEP_NAMES": shown.STEP_NAMES, "STEPS": STEPS, "clock": shown.clock}


@blueprint.get("/")
def home() -> ResponseReturnValue:
    if not current_user.is_authenticated:
        return render_template("welcome.html", quota=settings().minutes_quota)
    return _home()


@blueprint.post("/analyses")
@login_required  # type: ignore[untyped-decorator]
def submit() -> ResponseReturnValue:
    url = request.form.get("url", "")
    try:
        analysis, _new = submitting.submitted(this_user(), request.form.get("key"), url, request.files.get("file"))
    except Problem as problem:
        return _home(problem.detail, url), problem.status
    return redirect(url_for("pages.analysis", analysis_id=analysis.id), 303)


@blueprint.get("/analyses/<analysis_id>")
@login_required  # type: ignore[untyped-decorator]
def analysis(analysis_id: str) -> ResponseReturnValue:
    found = submitting.start_if_late(theirs(analysis_id))
    return render_template("analysis.html", analysis=found, user=this_user())


@blueprint.post("/analyses/<analysis_id>/cancel")
@login_required  # type: ignore[untyped-decorator]
def cancel(analysis_id: str) -> ResponseReturnValue:
    submitting.cancelled(theirs(analysis_id))
    return redirect(url_for("pages.analysis", analysis_id=analysis_id), 303)


def _home(problem: str | None = None, url: str = "") -> str:
    """The form with a fresh key, so that a form that is sent twice is one analysis."""
    user = passwords.user(this_user().id)
    return render_template(
        "home.html",
        user=user,
        reserved=records.minutes_reserved(user.id),
        analyses=records.of_user(user.id),
        key=submitting.checked_key(None),
        megabytes=settings().upload_limit // 1024**2,
        problem=problem,
        url=url,
    )
