"""What happens to analyses, as the pipeline and the web pages tell it: the only way to their rows.

Each function is one transaction. Each may be repeated: a step that is run again, or by two workers at once, tells the
same once more and changes nothing. An analysis that has ended (done, failed, refused, cancelled) stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from video_analysis import db
from video_analysis.models import ENDED, STEPS, Analysis, Charge, Segment, User, minutes_of, now


class NoSuchAnalysis(LookupError):
    """There is no analysis with this id."""


class Ended(Exception):
    """The analysis has ended, for instance because its user cancelled it: there is nothing left to do."""


class OverQuota(Ended):
    """The user's minutes do not suffice for the video; the message says so to the user."""


class KeyInUse(Exception):
    """The idempotency key was used before, to ask for something else."""


def submit(
    user_id: int, key: str, *, kind: str, source: str, title: str, fingerprint: str, seconds: float | None = None
) -> tuple[Analysis, bool]:
    """A new analysis, or the one that this user submitted with this key before; and whether it is new.

    `seconds`, where the length of the video is known already, are reserved at once. Raises OverQuota when they do not
    fit, or nothing is left, and KeyInUse when the key stands for something else.
    """
    with db.writing() as session:
        user = session.get_one(User, user_id, with_for_update=True)  # requests of one user come one after the other
        if known := session.scalar(select(Analysis).filter_by(user_id=user_id, idempotency_key=key)):
            if known.fingerprint != fingerprint:
                raise KeyInUse("This idempotency key was used for another video. Take a new key.")
            return known, False
        made = Analysis(
            user_id=user_id,
            idempotency_key=key,
            fingerprint=fingerprint,
            kind=kind,
            source=source,
            title=_clean(title)[:300],
            seconds=seconds,
            minutes_reserved=_that_fit(session, user, seconds),
        )
        session.add(made)
        return made, True


def with_key(user_id: int, key: str) -> Analysis | None:
    """What this user submitted with this key, if anything."""
    with db.reading() as session:
        return session.scalar(select(Analysis).filter_by(user_id=user_id, idempotency_key=key))


def require_room(user_id: int) -> None:
    """Raise OverQuota when the user has no minute left, so that a large upload need not be received first."""
    with db.reading() as session:
        _that_fit(session, session.get_one(User, user_id), None)


def begin(analysis_id: str) -> Analysis:
    """The pipeline has started. Raises Ended when there is nothing to do, NoSuchAnalysis."""
    with db.writing() as session:
        analysis = _under_way(session, analysis_id)
        analysis.state = "running"
        analysis.started = analysis.started or now()
        return analysis


def at_step(analysis_id: str, step: str, fraction: float = 0.0, note: str = "") -> None:
    """The pipeline is at `step` (one of STEPS), of which `fraction` (0 to 1) is done; `note` is for the user.

    A late word of an earlier step, or of this one, does not turn the bar back. Raises Ended, NoSuchAnalysis, and
    ValueError for a step that does not exist.
    """
    if step not in STEPS:
        raise ValueError(f"There is no step {step!r}; the steps are {', '.join(STEPS)}.")
    fraction = min(1.0, max(0.0, fraction))
    with db.writing() as session:
        analysis = _under_way(session, analysis_id)
        here = (STEPS.index(step), fraction)
        before = (STEPS.index(analysis.step) if analysis.step in STEPS else -1, analysis.progress)
        if here >= before:
            analysis.state = "running"
            analysis.step, analysis.progress, analysis.note = step, fraction, _clean(note)[:300]


def started_as(analysis_id: str, task_id: str) -> None:
    """The pipeline's task is `task_id`."""
    with db.writing() as session:
        _locked(session, analysis_id).task_id = task_id


def named(analysis_id: str, title: str) -> None:
    """The video has a title, which the pipeline found out."""
    with db.writing() as session:
        _under_way(session, analysis_id).title = _clean(title)[:300] or "Untitled"


def measured(analysis_id: str, seconds: float) -> int:
    """The video is `seconds` long: reserve its minutes and return how many.

    Raises OverQuota when they do not fit into what the user's other analyses leave; the analysis is refused then.
    Raises Ended, NoSuchAnalysis.
    """
    with db.writing() as session:
        user, analysis = _with_user(session, analysis_id)
        if analysis.state == "refused":
            raise OverQuota(analysis.error)
        _require_open(analysis)
        minutes, left = minutes_of(seconds), user.minutes_quota - user.minutes_used
        left -= _reserved(session, user.id, besides=analysis.id)
        analysis.seconds = seconds
        if minutes <= left:
            analysis.minutes_reserved = minutes
            return minutes
        refusal = _too_long(minutes, left)
        _end(analysis, "refused", str(refusal))
    raise refusal


def finish(analysis_id: str, transcript: Sequence[Segment], summary: str, key_phrases: Sequence[str]) -> bool:
    """Store the result and charge its minutes, both or neither, once. False when the analysis had ended before.

    Raises NoSuchAnalysis, and ValueError when nobody has said how long the video is (`measured`).
    """
    with db.writing() as session:
        user, analysis = _with_user(session, analysis_id)
        if analysis.ended:
            return False
        if analysis.seconds is None:
            raise ValueError("The length of the video is not known: call `measured` before `finish`.")
        minutes = minutes_of(analysis.seconds)
        session.add(Charge(analysis_id=analysis.id, user_id=user.id, minutes=minutes))
        user.minutes_used += minutes
        analysis.transcript = [{**segment, "text": _clean(segment["text"])} for segment in transcript]
        analysis.summary = _clean(summary)
        analysis.key_phrases = [_clean(phrase) for phrase in key_phrases]
        _end(analysis, "done")
        return True


def fail(analysis_id: str, reason: str) -> bool:
    """The pipeline gave up; `reason` is for the user. Nothing is charged. False when the analysis had ended before."""
    return _ended_as(analysis_id, "failed", _clean(reason)[:2000])


def cancel(analysis_id: str) -> bool:
    """The user does not want the analysis any more. Nothing is charged. False when it had ended before."""
    return _ended_as(analysis_id, "cancelled", None)


def load(analysis_id: str) -> Analysis:
    """The analysis as it stands. Raises NoSuchAnalysis."""
    with db.reading() as session:
        if found := session.get(Analysis, analysis_id):
            return found
    raise NoSuchAnalysis(analysis_id)


def of_user(user_id: int, limit: int = 100) -> list[Analysis]:
    """A user's analyses, the newest first."""
    newest = select(Analysis).filter_by(user_id=user_id).order_by(Analysis.created.desc(), Analysis.id).limit(limit)
    with db.reading() as session:
        return list(session.scalars(newest))


def needs_upload(name: str) -> bool:
    """Is there an analysis under way that is made of the stored file `name`?"""
    open_ones = select(Analysis.id).where(
        Analysis.kind == "file", Analysis.source == name, Analysis.state.not_in(ENDED)
    )
    with db.reading() as session:
        return session.scalar(open_ones.limit(1)) is not None


def minutes_reserved(user_id: int) -> int:
    """Minutes of a user's analyses that are under way."""
    with db.reading() as session:
        return _reserved(session, user_id)


def _that_fit(session: Session, user: User, seconds: float | None) -> int:
    """The minutes to reserve for a new video, the least there is while its length is not known. Raises OverQuota."""
    left = user.minutes_quota - user.minutes_used - _reserved(session, user.id)
    minutes = 1 if seconds is None else minutes_of(seconds)
    if minutes > left:
        raise _too_long(minutes, left)
    return minutes


def _too_long(minutes: int, left: int) -> OverQuota:
    if left <= 0:
        return OverQuota("Your minutes are used up, or reserved by analyses that are under way.")
    return OverQuota(f"This video takes {_minutes(minutes)}, and you have {_minutes(left)} left.")


def _minutes(number: int) -> str:
    return "1 minute" if number == 1 else f"{number} minutes"


def _reserved(session: Session, user_id: int, besides: str = "") -> int:
    kept = select(func.coalesce(func.sum(Analysis.minutes_reserved), 0))
    return int(session.scalar(kept.where(Analysis.user_id == user_id, Analysis.id != besides)) or 0)


def _ended_as(analysis_id: str, state: str, error: str | None) -> bool:
    with db.writing() as session:
        analysis = _locked(session, analysis_id)
        if analysis.ended:
            return False
        _end(analysis, state, error)
        return True


def _end(analysis: Analysis, state: str, error: str | None = None) -> None:
    analysis.state, analysis.error = state, error
    analysis.minutes_reserved = 0
    analysis.finished = now()


def _with_user(session: Session, analysis_id: str) -> tuple[User, Analysis]:
    """Both rows locked, always the user's first, so that two of these never wait for each other."""
    user_id = session.scalar(select(Analysis.user_id).filter_by(id=analysis_id))
    if user_id is None:
        raise NoSuchAnalysis(analysis_id)
    user = session.get_one(User, user_id, with_for_update=True)
    return user, _locked(session, analysis_id)


def _locked(session: Session, analysis_id: str) -> Analysis:
    found = session.get(Analysis, analysis_id, with_for_update=True)
    if found is None:
        raise NoSuchAnalysis(analysis_id)
    return found


def _under_way(session: Session, analysis_id: str) -> Analysis:
    analysis = _locked(session, analysis_id)
    _require_open(analysis)
    return analysis


def _require_open(analysis: Analysis) -> None:
    if analysis.ended:
        raise Ended(f"The analysis has ended: {analysis.state}.")


def _clean(text: str) -> str:
    """`text` without NUL, which PostgreSQL does not take, and without halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
