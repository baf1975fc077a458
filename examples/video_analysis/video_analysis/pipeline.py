"""What each step of an analysis does: the functions of `steps`, told to the records. No task queue is in here.

Each may be run again at any time. They raise `records.Ended` when there is nothing left to do (the user has cancelled,
or has too few minutes), StepFailed when the video cannot be analysed, TryAgain when something passing was in the way.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from video_analysis import records, uploads
from video_analysis.models import Analysis
from video_analysis.settings import Settings
from video_analysis.steps import analyse as analysts
from video_analysis.steps import audio, download, engines, join, transcribe
from video_analysis.steps.errors import StepFailed, TryAgain
from video_analysis.steps.guard import Guard
from video_analysis.steps.report import Report, at_most_every
from video_analysis.steps.workspace import Workspace, left_overs

QUIET = 3600.0
"""Seconds without a change after which the files of an analysis that has ended are left over."""
STALE = 24 * 3600.0
"""Seconds without a change after which an analysis has got stuck, whatever the records say."""

PASSING = (TryAgain, OperationalError)
"""What a step raises that may succeed later. A database that is away, or busy for too long, is among it."""
OVER = (records.Ended, records.NoSuchAnalysis)
"""What a step raises when nobody waits for the analysis any more."""

_WORDS = {
    "SoftTimeLimitExceeded": "This video took longer than a step of the analysis may take, so it was given up.",
    "TimeLimitExceeded": "This video took longer than a step of the analysis may take, so it was given up.",
    "WorkerLostError": "The program that worked on this video ended unexpectedly several times, so it was given up.",
    "OperationalError": "Our database could not be reached for some time. Please submit the video again.",
}
"""Names of exceptions → what they mean to the user."""


@dataclass(frozen=True)
class Pipeline:
    """The steps, for one set of settings."""

    settings: Settings

    # -- the steps, in their order --------------------------------------------------------------------------------
    def download(self, analysis_id: str) -> None:
        """Fetch the video, or take it from the uploads."""
        analysis = records.begin(analysis_id)
        report = _reporting(analysis_id, "download")
        limits = download.Limits(bytes=self.settings.upload_limit, seconds=self.settings.longest_minutes * 60)
        space = self.space(analysis_id)
        if analysis.kind == "file":
            download.take_upload(self.settings.uploads, analysis.source, space, limits)
        else:
            guard = Guard(allow_private=self.settings.allow_private_urls)
            found = download.fetch(analysis.source, space, guard, limits, report)
            if found.title:
                records.named(analysis_id, found.title)
        report(1.0, "")

    def split(self, analysis_id: str) -> int:
        """Cut the sound into pieces, and reserve the user's minutes before anything is spent on them. How many
        pieces."""
        made = audio.split(
            self.space(analysis_id),
            wished=self.settings.piece_seconds,
            longest=self.settings.longest_minutes * 60,
            report=_reporting(analysis_id, "split"),
        )
        records.measured(analysis_id, made.seconds)
        return len(made.pieces)

    def transcribe(self, analysis_id: str, number: int) -> None:
        """Hear one piece."""
        space = self.space(analysis_id)
        _tell_pieces(analysis_id, space)
        transcribe.transcribe(space, number, engines.engine(self.transcriber))
        _tell_pieces(analysis_id, space)

    def join(self, analysis_id: str) -> None:
        """Put the words of all pieces together."""
        _reporting(analysis_id, "join")
        join.join(self.space(analysis_id))

    def analyse(self, analysis_id: str) -> None:
        """Find out what it is about."""
        _reporting(analysis_id, "analyse")
        analysts.analyse(self.space(analysis_id), analysts.analyst(self.analyser))

    def store(self, analysis_id: str) -> None:
        """Write the result and the charge into the database, in one transaction, and delete the files."""
        try:
            _reporting(analysis_id, "store")
        except records.Ended:  # also when this is run again after it had done its work
            self.clean(analysis_id)
            return
        space = self.space(analysis_id)
        found = analysts.load(space)
        records.finish(analysis_id, join.load(space), found.summary, found.key_phrases)
        self.clean(analysis_id)

    # -- other ends -----------------------------------------------------------------------------------------------
    def give_up(self, analysis_id: str, error: BaseException | None) -> None:
        """A step has failed for good: say so to the user in plain words, and delete the files."""
        with contextlib.suppress(records.NoSuchAnalysis):
            records.fail(analysis_id, in_plain_words(error))
        self.clean(analysis_id)

    def clean(self, analysis_id: str) -> None:
        """Delete the files of an analysis that has ended, its upload among them."""
        self.space(analysis_id).remove()
        with contextlib.suppress(records.NoSuchAnalysis):
            analysis = records.load(analysis_id)
            if analysis.kind == "file":
                (self.settings.uploads / analysis.source).unlink(missing_ok=True)

    def sweep(self, quiet: float = QUIET, stale: float = STALE) -> int:
        """Delete the folders and uploads that a crash or a cancel at a bad moment has left, and give up what has got
        stuck. How many were deleted."""
        stuck = set(left_overs(self.settings.work, stale))
        swept = 0
        for analysis_id in left_overs(self.settings.work, quiet):
            if analysis_id in stuck:
                self.give_up(analysis_id, StepFailed("Nothing has happened for a day, so this analysis was given up."))
            elif not _has_ended(analysis_id):
                continue
            self.clean(analysis_id)
            swept += 1
        for upload in uploads.nobodys(self.settings.uploads, quiet):
            upload.unlink(missing_ok=True)
            swept += 1
        return swept

    # -- what the settings choose ---------------------------------------------------------------------------------
    def space(self, analysis_id: str) -> Workspace:
        return Workspace(self.settings.work, analysis_id)

    @property
    def transcriber(self) -> engines.Choice:
        one = self.settings
        return engines.Choice(
            one.transcriber, one.openai_base_url, one.openai_api_key, one.openai_transcription_model, one.whisper_model
        )

    @property
    def analyser(self) -> analysts.Choice:
        one = self.settings
        return analysts.Choice(one.analyser, one.openai_base_url, one.openai_api_key, one.openai_analysis_model)

    def pause(self, retries: int, error: BaseException) -> float:
        """Seconds until the next try after `retries` retries: twice as long each time, or as the other side asks."""
        asked = getattr(error, "after", None) or 0.0
        return min(600.0, max(asked, self.settings.retry_seconds * 2.0**retries))


def in_plain_words(error: BaseException | None) -> str:
    """What to tell the user about `error`. The texts of errors that are not ours stay inside."""
    if isinstance(error, (StepFailed, TryAgain)):
        return str(error)
    return _WORDS.get(type(error).__name__, "Something went wrong on our side while this video was analysed.")


def _reporting(analysis_id: str, step: str) -> Report:
    """Say that `step` has begun; gives what says how far it is. Raises records.Ended."""

    def tell(fraction: float, note: str) -> None:
        records.at_step(analysis_id, step, fraction, note)

    tell(0.0, "")
    return at_most_every(0.5, tell)


def _tell_pieces(analysis_id: str, space: Workspace) -> None:
    done, total = transcribe.done(space)
    records.at_step(analysis_id, "transcribe", done / total, f"{done} of {total} pieces")


def _has_ended(analysis_id: str) -> bool:
    try:
        analysis: Analysis = records.load(analysis_id)
    except records.NoSuchAnalysis:
        return True
    return analysis.ended
