"""Taking a video in: from a form or from the API, with the same rules and the same words."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from werkzeug.datastructures import FileStorage

from video_analysis import records, tasks
from video_analysis.accounts import settings
from video_analysis.models import Analysis, User, now
from video_analysis.problems import Problem
from video_analysis.uploads import Upload

KEY = re.compile(r"[\x21-\x7e]{1,200}")
LONGEST_URL = 2000
LATE_SECONDS = 10
"""An analysis that has no task after this long is started by whoever looks at it."""


def submitted(user: User, key: str | None, url: str, file: FileStorage | None) -> tuple[Analysis, bool]:
    """The analysis that `user` asks for, under way; and whether it is new. `file` goes before `url`.

    With the key of an earlier request it is that request's analysis. Raises Problem: 402 over quota, 409 the key was
    used for another video, 415 and 422 for what is no video, and StoreUnavailable.
    """
    key = checked_key(key)
    if file is not None and file.filename:
        analysis, new = _of_file(user, key, file)
    elif url.strip():
        analysis, new = _of_url(user, key, url.strip())
    else:
        raise Problem(422, "Give the address of a video, or choose a file.")
    start(analysis)
    return analysis, new


def require_room(user: User, key: str) -> None:
    """Raise Problem 402 when nothing is left, before a large file is received; not for a request that is repeated."""
    try:
        if records.with_key(user.id, key) is None:
            records.require_room(user.id)
    except records.OverQuota as error:
        raise Problem(402, str(error)) from None


def start(analysis: Analysis) -> None:
    """Give `analysis` to the workers, unless they have it already."""
    if analysis.state == "queued" and analysis.task_id is None:
        analysis.task_id = tasks.start(analysis.id)
        records.started_as(analysis.id, analysis.task_id)


def start_if_late(analysis: Analysis) -> Analysis:
    """Start an analysis whose web process died, or whose queue was away, between its row and its task."""
    if analysis.task_id is None and (now() - analysis.created).total_seconds() > LATE_SECONDS:
        start(analysis)
    return analysis


def cancelled(analysis: Analysis) -> Analysis:
    """End `analysis` at its user's wish. Raises Problem 409 when it has ended otherwise."""
    if records.cancel(analysis.id):
        tasks.cancel(analysis.id)
    after = records.load(analysis.id)
    if after.state != "cancelled":
        raise Problem(409, f"This analysis has ended already: {after.state}.")
    return after


def checked_key(key: str | None) -> str:
    """The idempotency key of a request, or a new one. Raises Problem 400."""
    if not key:
        return secrets.token_urlsafe(16)
    if not KEY.fullmatch(key):
        raise Problem(400, "An Idempotency-Key has 1 to 200 visible ASCII characters.")
    return key


def _of_url(user: User, key: str, url: str) -> tuple[Analysis, bool]:
    parts = _parts(url)
    title = unquote(f"{parts.hostname}{parts.path}".rstrip("/"), errors="replace")
    fingerprint = hashlib.sha256(f"url {url}".encode()).hexdigest()
    return _recorded(user, key, kind="url", source=url, title=title, fingerprint=fingerprint)


def _of_file(user: User, key: str, file: FileStorage) -> tuple[Analysis, bool]:
    upload = Upload.keep(file, settings().uploads)
    new = False
    try:
        known = records.with_key(user.id, key)
        seconds = None if known else upload.seconds()  # a repeated request need not be looked into again
        analysis, new = _recorded(
            user, key, kind="file", source=upload.name, title=upload.title, fingerprint=upload.digest, seconds=seconds
        )
        return analysis, new
    finally:
        if not new:
            upload.discard()


def _recorded(user: User, key: str, **asked: Any) -> tuple[Analysis, bool]:
    try:
        return records.submit(user.id, key, **asked)
    except records.OverQuota as error:
        raise Problem(402, str(error)) from None
    except records.KeyInUse as error:
        raise Problem(409, str(error)) from None


def _parts(url: str) -> SplitResult:
    wrong = Problem(422, "That is not the address of a video: it begins with https:// or http://.")
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        raise wrong
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise wrong from None
    if not usable:
        raise wrong
    return parts
