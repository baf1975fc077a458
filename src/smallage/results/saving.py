"""Results that are handed in from outside of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.core import codec, options
from smallage.core.errors import BackendStoreError, PushConflict
from smallage.core.message import Claim, Done, Envelope, Message, Outcome, settlement
from smallage.results import reading
from smallage.results.reading import HANDED_IN
from smallage.stores.base import ClaimRequest, SessionInfo

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.groups import GroupResult


def hand_in(app: Smallage, task_id: str, outcome: Outcome) -> None:
    """Let a task with this id, which was never sent, have ended like this. It is pushed to a queue of its own, claimed
    and settled at once. Raises BackendStoreError if the id is taken."""
    from smallage.app import new_id

    store, mark = app.store, new_id()
    session = queue = f"handed-in.{mark}"
    keep_us = options.keep_us(app.conf.result_expires, False)
    message = Message(task_id, codec.encode_payload(()), Envelope(name=HANDED_IN, queue=queue, keep_us=keep_us))
    store.announce(session, SessionInfo(queues=(queue,), names=(HANDED_IN,)))
    try:
        if store.push([message]) != ["ok"]:
            raise BackendStoreError(
                f"The id {task_id} belongs to a task that has not ended; its own run alone can say how it ends.",
                task_id=task_id,
            )
        for claim in store.claim(session, ClaimRequest((queue,), 1, mark)).claims:
            store.settle(session, [settlement(claim, outcome)])
    except PushConflict as error:
        raise BackendStoreError(str(error), task_id=task_id) from None
    finally:
        store.leave(session)


def store_result(app: Smallage, task_id: str, result: Any, state: str, traceback: str | None = None) -> None:
    """Have a task read as being in `state` with `result`. A running one shows it until it ends; one that has ended
    otherwise than well, or was never sent, has ended like this. Raises BackendStoreError for one that waits to be
    run."""
    view = app.store.state([task_id])[0]
    if view is not None and view.state == "running" and show_state(app, task_id, state, result):
        return
    if view is not None and view.state == "done" and reading.has_ended(view):
        return  # a good result is not written over
    app.store.forget([task_id])
    hand_in(app, task_id, _outcome(result, state, traceback))


def _outcome(result: Any, state: str, traceback: str | None) -> Outcome:
    if state == "SUCCESS":
        return Done(codec.encode_result(result))
    if state in ("FAILURE", "REVOKED"):
        from smallage.core.message import Cancelled, Failed

        if state == "REVOKED":
            return Cancelled()
        error = result if isinstance(result, BaseException) else Exception(result)
        return Failed(codec.encode_error(error, traceback))
    return Done(codec.encode_mark(state, result))


def show_state(app: Smallage, task_id: str, state: str, meta: Any) -> bool:
    """Show a state on a task that runs somewhere; False if it does not run (any more)."""
    view = app.store.state([task_id])[0]
    if view is None or view.state != "running" or view.session is None:
        return False
    for held in app.store.held(view.session):
        if held.id == task_id:
            claim = Claim(
                id=held.id, gen=held.gen, tok=held.tok, nonce=held.nonce, name=view.name, payload=b"", queue=view.queue
            )
            return app.store.progress(claim, codec.encode_note(state, meta)) == "ok"
    return False


# -- groups -------------------------------------------------------------------------------------------------------
def saved_id(group: str) -> str:
    """The id under which the handles of a group are kept."""
    return f"saved:{group}"


def save_group(group: GroupResult[Any]) -> None:
    """Keep the handles of a group."""
    app, name = group.app, saved_id(group.id)
    app.store.forget([name])
    hand_in(app, name, Done(codec.encode_result(group.as_tuple())))


def saved_group(app: Smallage, group: str) -> Any:
    """The handle that was saved under this id; None if there is none."""
    from smallage.results.tree import result_from_tuple

    view = app.store.state([saved_id(group)])[0]
    if view is None or view.state != "done":
        return None
    return result_from_tuple(codec.decode_result(view.result), app)
