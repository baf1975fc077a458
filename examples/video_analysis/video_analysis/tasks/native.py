"""The pipeline in Smallage's own spelling.

    download → split → transcribe, once for each piece, side by side → join → analyse → store

A chain, whose second task finds out how many pieces there are and then gives its place to the group of them
(`replace`). So the fan-out stays a part of the chain: `join` comes when all pieces have ended well, and a piece that
fails fails the chain. `fan_out(then=…)` would begin a second workflow beside the first, which is the better choice when
the end should be reached whatever became of the members.

The tasks carry ids and numbers only; sound and words are files in the workspace. They wait on two queues: `net` for
what waits for others (threads, gevent or asyncio), `cpu` for what keeps a processor busy (processes). Later steps have
a higher priority (a lower number): what was begun is finished before more is begun, so under load first results come
early, and few videos lie on the disk.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flask import current_app

from smallage import AsyncResult, GroupResult, Ignore, Signature, Smallage, StoreUnavailable, chain, group
from video_analysis.pipeline import OVER, PASSING, Pipeline
from video_analysis.steps import analyse as analysts
from video_analysis.steps import engines
from video_analysis.steps.errors import StepFailed

if TYPE_CHECKING:
    from flask import Flask

    from video_analysis.settings import Settings

T = TypeVar("T")

NET: Final = "net"
CPU: Final = "cpu"
STEPS: Final = ("download", "split", "join", "analyse", "store")
"""The tasks of the chain; `transcribe` is in the place of `split` for a while."""

Unavailable = StoreUnavailable
"""What `start` raises when the queue cannot be reached."""

smallage = Smallage("video_analysis")


def step(name: str, queue: str, seconds: float) -> dict[str, Any]:
    """Options of a task that may take `seconds`; half a minute later its process is ended. What it raises for the user
    is no fault of the program, so the log has no traceback of it."""
    return {
        "name": f"video_analysis.{name}",
        "queue": queue,
        "max_retries": 4,
        "soft_time_limit": seconds,
        "time_limit": seconds + 30,
        "throws": (StepFailed, *PASSING),
    }


def init_app(app: Flask, settings: Settings) -> None:
    """Bind the tasks to the application: its store, and its context around each task."""
    app.config["CELERY"] = {
        "broker_url": settings.smallage_url,
        "task_default_queue": NET,
        "result_expires": settings.result_expires,
        "beat_schedule": {
            "sweep": {"task": "video_analysis.sweep", "schedule": 900.0, "options": {"expires": 800, "queue": NET}},
        },
    }
    smallage.init_app(app)


def start(analysis_id: str) -> str:
    """Send the chain. Its tasks have fixed ids, so that sending it again changes nothing."""
    workflow = chain(
        download.si(analysis_id).set(task_id=task_id(analysis_id, "download")),
        split.si(analysis_id).set(task_id=task_id(analysis_id, "split")),
        join.si(analysis_id).set(task_id=task_id(analysis_id, "join")),
        analyse.si(analysis_id).set(task_id=task_id(analysis_id, "analyse"), queue=_queue_of_analysis()),
        store.si(analysis_id).set(task_id=task_id(analysis_id, "store")),
    )
    return str(workflow.apply_async(link_error=failed.s(analysis_id)).id)


def cancel(analysis_id: str) -> None:
    """Revoke the tasks in their order: one that has ended by then has its successor in the queue already, whose turn is
    next; and with the one that has not ended, all later ones end."""
    for name in STEPS:
        AsyncResult(task_id(analysis_id, name), app=smallage).revoke(terminate=True)
    GroupResult(pieces_id(analysis_id), app=smallage).cancel(terminate=True)
    pipeline().clean(analysis_id)


def task_id(analysis_id: str, name: str) -> str:
    return f"{analysis_id}-{name}"


def pieces_id(analysis_id: str) -> str:
    """The id of the group of pieces: a UUID made of the analysis's."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"pieces of {analysis_id}"))


def pipeline() -> Pipeline:
    """The steps, for the settings of the application in whose context this runs."""
    return Pipeline(current_app.extensions["settings"])


@smallage.task(bind=True, priority=9, **step("download", NET, 1800))
def download(self: Any, analysis_id: str) -> None:
    attempt(self, analysis_id, lambda: pipeline().download(analysis_id))


@smallage.task(bind=True, priority=6, **step("split", CPU, 1000))
def split(self: Any, analysis_id: str) -> None:
    """Cut the sound into pieces, and let them take this task's place."""
    count = attempt(self, analysis_id, lambda: pipeline().split(analysis_id))
    queue = NET if engines.is_remote(pipeline().transcriber) else CPU
    pieces = [_piece(analysis_id, number).set(queue=queue) for number in range(count)]
    self.replace(group(pieces).set(task_id=pieces_id(analysis_id)))


@smallage.task(bind=True, priority=3, **step("transcribe", CPU, 600))
def transcribe(self: Any, analysis_id: str, number: int) -> None:
    attempt(self, analysis_id, lambda: pipeline().transcribe(analysis_id, number))


@smallage.task(bind=True, **step("join", NET, 60))
def join(self: Any, analysis_id: str) -> None:
    attempt(self, analysis_id, lambda: pipeline().join(analysis_id))


@smallage.task(bind=True, **step("analyse", CPU, 300))
def analyse(self: Any, analysis_id: str) -> None:
    attempt(self, analysis_id, lambda: pipeline().analyse(analysis_id))


@smallage.task(bind=True, **step("store", NET, 60))
def store(self: Any, analysis_id: str) -> None:
    attempt(self, analysis_id, lambda: pipeline().store(analysis_id))


@smallage.task(bind=True, **step("failed", NET, 60) | {"max_retries": 20})
def failed(self: Any, failed_id: str, analysis_id: str) -> None:
    """The error callback of every task: sent by the store in the act that ends the task which failed. It has more tries
    than they, some two hours: nothing else would tell the user while the database is away."""
    error = AsyncResult(failed_id, app=smallage).result
    attempt(self, analysis_id, lambda: pipeline().give_up(analysis_id, error))


@smallage.task(name="video_analysis.sweep", queue=NET, ignore_result=True, soft_time_limit=300, time_limit=330)
def sweep() -> int:
    """Delete what was left over; sent by the schedule."""
    return pipeline().sweep()


def attempt(task: Any, analysis_id: str, work: Callable[[], T]) -> T:
    """Do a step's work. What may pass is tried again later, and later each time; once nobody waits for the analysis any
    more the task ends without a result, and the chain with it."""
    try:
        return work()
    except OVER:
        pipeline().clean(analysis_id)
        raise Ignore from None
    except PASSING as error:
        raise task.retry(exc=error, countdown=pipeline().pause(task.request.retries, error)) from error


def _piece(analysis_id: str, number: int) -> Signature:
    """A piece that fails tells at once, and does not wait for the others: they end when they see it in the records."""
    piece: Signature = transcribe.si(analysis_id, number)
    return piece.set(link_error=failed.s(analysis_id))


def _queue_of_analysis() -> str:
    return NET if analysts.is_remote(pipeline().analyser) else CPU
