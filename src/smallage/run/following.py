"""A task that the store itself has ended is followed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.builtin_tasks import unknown_task
from smallage.core import codec
from smallage.core.errors import StoreError
from smallage.core.message import Claim, Failed, Outcome, Snooze
from smallage.log import ShelteredLogger
from smallage.request import Request, running
from smallage.run.context import STORE_AWAY_US, WorkerContext
from smallage.run.saying import traceback_text
from smallage.tasks.telling import signal_internal_error

if TYPE_CHECKING:
    from smallage.app import Smallage

logger = ShelteredLogger("smallage.task")


def follow_end_by_store(
    app: Smallage, task: Any, claim: Claim, args: Any, kwargs: Any, extras: dict[str, Any], worker: WorkerContext
) -> Outcome:
    """What follows a task that the store itself has ended. No body runs."""
    from smallage.workflows.following import follow_up

    request = Request(app, task or unknown_task(app, claim.name), claim, args, kwargs, extras, worker.hostname)
    token = running.set(request)
    try:
        return follow_up(request)
    except StoreError as error:
        logger.warning("What follows %s[%s] waits for the store: %s", claim.name, claim.after, error)
        return Snooze(STORE_AWAY_US)
    except Exception as error:
        logger.exception("What follows %s[%s] cannot be sent", claim.name, claim.after)
        signal_internal_error(request, error)
        return Failed(codec.encode_error(error, traceback_text(error)))
    finally:
        running.reset(token)
