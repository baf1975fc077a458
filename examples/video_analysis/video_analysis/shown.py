"""Analyses as the API and the live page tell of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from video_analysis.models import Analysis, User

STEP_NAMES = {
    "download": "Fetch the video",
    "split": "Take the sound and cut it",
    "transcribe": "Write down what is said",
    "join": "Put the pieces together",
    "analyse": "Summary and key phrases",
    "store": "Keep the result",
}
STATE_NAMES = {
    "queued": "Waiting",
    "running": "Under way",
    "done": "Done",
    "failed": "Failed",
    "refused": "Over your quota",
    "cancelled": "Cancelled",
}


def progress(analysis: Analysis) -> dict[str, Any]:
    """What changes while an analysis is under way: small, for those who ask often."""
    return {
        "id": analysis.id,
        "state": analysis.state,
        "step": analysis.step,
        "step_progress": round(analysis.progress, 3),
        "progress": round(analysis.fraction, 3),
        "note": analysis.note,
        "error": analysis.error,
    }


def summary(analysis: Analysis) -> dict[str, Any]:
    """One line of a list."""
    return {
        **progress(analysis),
        "title": analysis.title,
        "kind": analysis.kind,
        "source": analysis.source if analysis.kind == "url" else None,
        "seconds": analysis.seconds,
        "created": moment(analysis.created),
        "started": moment(analysis.started),
        "finished": moment(analysis.finished),
    }


def whole(analysis: Analysis) -> dict[str, Any]:
    """Everything, with the result once there is one."""
    return {
        **summary(analysis),
        "transcript": analysis.transcript,
        "summary": analysis.summary,
        "key_phrases": analysis.key_phrases,
    }


def account(user: User, reserved: int) -> dict[str, Any]:
    """A user's minutes."""
    return {
        "email": user.email,
        "minutes_quota": user.minutes_quota,
        "minutes_used": user.minutes_used,
        "minutes_reserved": reserved,
    }


def moment(at: dt.datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")


def clock(seconds: float | None) -> str:
    """A time within a video, such as 1:02:07."""
    minutes, rest = divmod(int(seconds or 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
