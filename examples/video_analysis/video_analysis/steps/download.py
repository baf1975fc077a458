"""The first step: the video becomes the file `media`. From anywhere yt-dlp can fetch from, or from the uploads."""

from __future__ import annotations

import os
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from video_analysis.steps.errors import StepFailed, TryAgain
from video_analysis.steps.fetching import guarded_downloader
from video_analysis.steps.guard import Guard
from video_analysis.steps.report import Report, silent
from video_analysis.steps.workspace import Workspace

MEDIA = "media"
MEBIBYTE = 1024 * 1024
_STORED_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses of a server that may answer better later."""


@dataclass(frozen=True)
class Limits:
    """What a download may have."""

    bytes: int = 512 * MEBIBYTE
    seconds: float = 2 * 3600
    """Of video."""
    silence: float = 20.0
    """Seconds that a server may say nothing."""


@dataclass(frozen=True)
class Fetched:
    """What is known of the video: the title may be None."""

    title: str | None = None


def take_upload(uploads: Path, stored_name: str, space: Workspace, limits: Limits = Limits()) -> None:
    """Put the uploaded file `stored_name` into the workspace. Raises StepFailed when it has gone or is too large."""
    if space.has(MEDIA):
        return
    if not _STORED_NAME.fullmatch(stored_name):
        raise ValueError("That is not the name of a stored upload.")
    source = uploads / stored_name
    space.create()
    try:
        if source.stat().st_size > limits.bytes:
            raise too_large(limits)
        with space.writing(MEDIA) as draft:
            try:
                os.link(source, draft)
            except OSError:  # on another file system
                shutil.copyfile(source, draft)
    except FileNotFoundError:
        raise StepFailed("The uploaded file has been removed. Please upload it again.") from None


def fetch(url: str, space: Workspace, guard: Guard, limits: Limits = Limits(), report: Report = silent) -> Fetched:
    """Download the video at `url`.

    Raises NotAllowed when `guard` refuses an address on the way, StepFailed when there is no such video or it is too
    long or too large, TryAgain when the network or the server is not well.
    """
    if space.has(MEDIA):
        return Fetched()
    guard.check_url(url)
    space.create()
    with space.scratch() as folder:
        try:
            found = _download(url, folder, guard, limits, report)
        except StepFailed:
            raise
        except Exception as error:  # yt-dlp and its many sites raise anything
            raise guard.refusal or explained(error, urlsplit(url).hostname or "the server") from error
        file = next(iter(sorted(folder.iterdir())), None)
        if file is None:
            raise StepFailed("There is no video at this address.")
        with space.writing(MEDIA) as draft:
            os.replace(file, draft)
    return found


def _download(url: str, folder: Path, guard: Guard, limits: Limits, report: Report) -> Fetched:
    with guarded_downloader(guard, _options(folder, limits, report)) as downloader:
        info = downloader.extract_info(url, download=False)
        if info is None or info.get("_type") in ("playlist", "multi_video"):
            raise StepFailed("This address is a list of videos, or has none. Give the address of one video.")
        if info.get("is_live") or info.get("live_status") == "is_upcoming":
            raise StepFailed("This is a live stream. It can be analysed once it has ended.")
        if (info.get("duration") or 0) > limits.seconds:
            raise too_long(limits.seconds)
        try:
            downloader.process_ie_result(info, download=True)
        except Exception as error:  # yt-dlp does not always say what was behind it; here it is the connection
            raise ConnectionError("the download did not come to its end") from error
    title = info.get("title")
    return Fetched(title if isinstance(title, str) else None)


def _options(folder: Path, limits: Limits, report: Report) -> dict[str, Any]:
    """yt-dlp's options: one file, fetched in this process, without any configuration of this computer."""

    def hear(state: dict[str, Any]) -> None:
        done, total = state.get("downloaded_bytes") or 0, state.get("total_bytes") or state.get("total_bytes_estimate")
        if max(done, state.get("total_bytes") or 0) > limits.bytes:
            raise too_large(limits)
        report(min(1.0, done / total) if total else 0.0, f"{done / MEBIBYTE:.1f} MB")

    return {
        # Sound alone where that is offered. Of the ways to stream only those that are fetched by this process: with
        # others yt-dlp would start ffmpeg, whose connections are not guarded.
        "format": "bestaudio[protocol~='^https?$']/best[protocol~='^https?$']/worst[protocol~='^https?$']",
        "outtmpl": {"default": str(folder / "video.%(ext)s")},
        "paths": {},
        "progress_hooks": [hear],
        "external_downloader": {"default": "native"},
        "ffmpeg_location": str(folder),  # where there is none
        "noplaylist": True,
        "playlist_items": "1",
        "extract_flat": "in_playlist",
        "proxy": "",
        "cachedir": False,
        "fixup": "never",
        "updatetime": False,
        "socket_timeout": limits.silence,
        "retries": 0,  # the task is what is tried again
        "extractor_retries": 0,
        "fragment_retries": 0,
        "file_access_retries": 0,
        "logger": _Quiet(),
        "noprogress": True,
        "quiet": True,
    }


class _Quiet:
    """yt-dlp's messages go nowhere: they may hold addresses with tokens in them."""

    def debug(self, message: str) -> None: ...

    def info(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def error(self, message: str) -> None: ...


def explained(error: BaseException, host: str) -> StepFailed | TryAgain:
    """What yt-dlp raised, as an answer for the user, or as something to try again."""
    from yt_dlp.networking.exceptions import HTTPError, RequestError
    from yt_dlp.utils import UnsupportedError

    behind = causes(error)
    for cause in behind:
        if isinstance(cause, TooLarge):
            return cause
    for cause in behind:
        if isinstance(cause, HTTPError):
            return _status(cause.status, cause.response.headers.get("Retry-After"), host)
    if any(isinstance(cause, UnsupportedError) for cause in behind):
        return StepFailed("There is no video at this address.")
    if any(isinstance(cause, socket.gaierror) for cause in behind):
        return TryAgain(f"The host {host} could not be found.")
    if any(isinstance(cause, (OSError, RequestError)) for cause in behind):
        return TryAgain(f"{host} could not be reached, or broke off.")
    return StepFailed(f"No video could be fetched from {host}.")


def _status(status: int, retry_after: str | None, host: str) -> StepFailed | TryAgain:
    if status in _PASSING:
        after = float(retry_after) if retry_after and retry_after.isdecimal() else None
        return TryAgain(f"{host} is too busy, or out of order (HTTP {status}).", after)
    if status in (401, 403):
        return StepFailed(f"{host} does not give this video to us (HTTP {status}). Is it private?")
    if status in (404, 410):
        return StepFailed(f"There is nothing at this address (HTTP {status}).")
    return StepFailed(f"{host} refused to send this video (HTTP {status}).")


def causes(error: BaseException) -> list[BaseException]:
    """`error` and all that lies behind it: yt-dlp wraps errors in its own, and says which in `exc_info`, `cause` and
    Python's ways."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or one in found:
            continue
        found.append(one)
        behind = getattr(one, "exc_info", None) or (None, None)
        waiting += [
            one.__context__,
            one.__cause__,
            getattr(one, "cause", None),
            behind[1],
            getattr(one, "reason", None),
        ]
    return found


class TooLarge(StepFailed):
    """The file has more bytes than are allowed."""


def too_large(limits: Limits) -> TooLarge:
    return TooLarge(f"This video is too large: at most {limits.bytes // MEBIBYTE} MB are accepted.")


def too_long(seconds: float) -> StepFailed:
    return StepFailed(f"This video is too long: at most {seconds / 60:.0f} minutes are accepted.")
