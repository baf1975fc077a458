"""The pipeline in Celery's spelling: one file that runs under Celery and under smallage-as-celery.

    celery -A video_analysis.tasks.in_celery worker -Q net -P threads -c 8
    celery -A video_analysis.tasks.in_celery worker -Q cpu -P prefork -c 2

The same chain as in `native.py`, with a group that takes the place of its second task. Each task runs in the context of
the Flask application, as Flask's documentation has it. What Celery leaves to the program is marked where it stands.

Later steps have a higher priority, as there: on Redis, Celery knows 0 (first), 3, 6 and 9. It sends the next task of a
chain without that task's own priority, which is 0 then: so `split` goes before the pieces of others, not after them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from celery import Celery, Task, chain, group
from celery.exceptions import Ignore, OperationalError
from celery.result import AsyncResult
from flask import Flask, current_app

from video_analysis.pipeline import OVER, PASSING, Pipeline
from video_analysis.settings import Settings
from video_analysis.steps import analyse as analysts
from video_analysis.steps import engines
from video_analysis.steps.errors import StepFailed

if TYPE_CHECKING:
    from celery.canvas import Signature

T = TypeVar("T")

NET: Final = "net"
CPU: Final = "cpu"
STEPS: Final = ("download", "split", "join", "analyse", "store")

Unavailable = OperationalError
"""What `start` raises when the queue cannot be reached."""

_flask: Flask | None = None
_making = threading.Lock()


def init_app(app: Flask, settings: Settings) -> None:
    """Run tasks in the context of this application."""
    global _flask
    _flask = app
    app.extensions["celery"] = celery


def flask_app() -> Flask:
    """The application that was bound; a worker that was started with `-A` makes its own."""
    with _making:
        if _flask is None:
            from video_analysis import create_app

            create_app()
        assert _flask is not None, "VIDEO_ANALYSIS_TASKS is to be celery"
        return _flask


class InContext(Task):  # type: ignore[type-arg]  # Celery's Task takes no types
    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with flask_app().app_context():
            return self.run(*args, **kwargs)


def make_celery(settings: Settings) -> Celery:
    made = Celery("video_analysis", task_cls=InContext, broker=settings.smallage_url, backend=settings.smallage_url)
    made.conf.update(
        task_default_queue=NET,
        result_expires=settings.result_expires,
        task_track_started=True,
        # A task is given back when its worker dies. On Redis Celery does that an hour later: its visibility timeout.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        beat_schedule={
            "sweep": {"task": "video_analysis.sweep", "schedule": 900.0, "options": {"expires": 800, "queue": NET}},
        },
    )
    return made


celery = make_celery(Settings.read())
"""Set up by the environment alone: a worker that is started with `-A` imports nothing else."""


def step(name: str, queue: str, seconds: float) -> dict[str, Any]:
    """Options of a task that may take `seconds`; half a minute later its process is ended."""
    return {
        "name": f"video_analysis.{name}",
        "queue": queue,
        "max_retries": 4,
        "soft_time_limit": seconds,
        "time_limit": seconds + 30,
        "throws": (StepFailed, *PASSING),
    }


def start(analysis_id: str) -> str:
    """Send the chain. Sent twice Celery would run it twice, so it is sent again only while no worker has begun it."""
    last = task_id(analysis_id, "store")
    if AsyncResult(task_id(analysis_id, "download"), app=celery).state != "PENDING":
        return last
    workflow = chain(
        download.si(analysis_id).set(task_id=task_id(analysis_id, "download")),
        split.si(analysis_id).set(task_id=task_id(analysis_id, "split")),
        join.si(analysis_id).set(task_id=task_id(analysis_id, "join")),
        analyse.si(analysis_id).set(task_id=task_id(analysis_id, "analyse"), queue=_queue_of_analysis()),
        store.si(analysis_id).set(task_id=last),
    )
    workflow.apply_async(link_error=failed.s(analysis_id))
    return last


def cancel(analysis_id: str) -> None:
    """Revoke the tasks. Pieces see in the records that nobody waits for them."""
    for name in STEPS:
        AsyncResult(task_id(analysis_id, name), app=celery).revoke(terminate=True)
    pipeline().clean(analysis_id)


def task_id(analysis_id: str, name: str) -> str:
    return f"{analysis_id}-{name}"


def pipeline() -> Pipeline:
    return Pipeline(current_app.extensions["settings"])


@celery.task(bind=True, priority=9, **step("download", NET, 1800))
def download(self: Any, analysis_id: str) -> None:
    attempt(self, analysis_id, lambda: pipeline().download(analysis_id))


@celery.task(bind=True, priority=6, **step("split", CPU, 1000))
def split(self: Any, analysis_id: str) -> None:
    """Cut the sound into pieces, and let them take this task's place."""
    count = attempt(self, analysis_id, lambda: pipeline().split(analysis_id))
    queue = NET if engines.is_remote(pipeline().transcriber) else CPU
    pieces = [_piece(analysis_id, number).set(queue=queue) for number in range(count)]
    self.replace(group(pieces))


@celery.task(bind=True, priority=3, **step("transcribe", CPU, 600))
def transcribe(self: Any, analysis_id: str, number: int) -> None:
    attempt(self, analysis_id, lambda: pipeline().transcribe(analysis_id, number))


@celery.task(bind=True, **step("join", NET, 60))
def join(self: Any, analysis_id: str) -> None:
    attempt(self, analysis_id, lambda: pipeline().join(analysis_id))


@celery.task(bind=True, **step("analyse", CPU, 300))
def analyse(self: Any, analysis_id: str) -> None:
    attempt(self, analysis_id, lambda: pipeline().analyse(analysis_id))


@celery.task(bind=True, **step("store", NET, 60))
def store(self: Any, analysis_id: str) -> None:
    attempt(self, analysis_id, lambda: pipeline().store(analysis_id))


@celery.task(bind=True, **step("failed", NET, 60) | {"max_retries": 20})
def failed(self: Any, failed_id: str, analysis_id: str) -> None:
    """The error callback. Bound, so that it is sent as a task of its own and gets the id of the one that failed."""
    error = AsyncResult(failed_id, app=celery).result
    attempt(self, analysis_id, lambda: pipeline().give_up(analysis_id, error))


@celery.task(name="video_analysis.sweep", queue=NET, ignore_result=True, soft_time_limit=300, time_limit=330)
def sweep() -> int:
    """Delete what was left over; sent by `celery beat`."""
    return pipeline().sweep()


def attempt(task: Any, analysis_id: str, work: Callable[[], T]) -> T:
    """Do a step's work; what may pass is tried again later, and what nobody waits for ends the chain."""
    try:
        return work()
    except OVER:
        pipeline().clean(analysis_id)
        raise Ignore from None
    except PASSING as error:
        raise task.retry(exc=error, countdown=pipeline().pause(task.request.retries, error)) from error


def _piece(analysis_id: str, number: int) -> Signature:
    piece: Signature = transcribe.si(analysis_id, number)
    return piece.set(link_error=[failed.s(analysis_id)])


def _queue_of_analysis() -> str:
    return NET if analysts.is_remote(pipeline().analyser) else CPU
