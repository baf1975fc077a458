"""The part of an app that makes messages and pushes them: the short way of every call."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from smallage import announce, signals
from smallage.app.patience import Patient
from smallage.app.warning import warn
from smallage.core import codec
from smallage.core.errors import PayloadTooLarge, PushConflict, StoreFull, StoreUnavailable
from smallage.core.ids import check_task_id, random_uuid_text
from smallage.core.message import Envelope, Message, digest
from smallage.request import running

_ids: list[str] = []


def new_id() -> str:
    """A random UUID. Made 256 at a time; a fork's child starts a stock of its own."""
    try:
        return _ids.pop()
    except IndexError:
        digits = os.urandom(16 * 256).hex()
        _ids.extend(random_uuid_text(digits[at : at + 32]) for at in range(32, len(digits), 32))
        return random_uuid_text(digits[:32])


os.register_at_fork(after_in_child=_ids.clear)


def refuse(verdict: str, task_id: str) -> None:
    """Raise what a refusing verdict means."""
    if verdict == "full":
        raise StoreFull("The store has no room for new tasks; nothing was written. Drain or purge queues, then repeat.")
    raise PushConflict(
        f"The id {task_id} is taken by a task with another name, queue, priority or other arguments; nothing was "
        "written. Choose another task_id, or none."
    )


def _is_again(verdict: str, message: Message) -> bool:
    """True of a push by a repeated run whose id is made of what it is: it differs in what receivers changed alone."""
    request = running.get()
    return verdict == "conflict" and request is not None and message.id in request.retold


class Sending(Patient):
    """Messages out of calls, and their way into the store."""

    tasks: dict[str, Any]

    def message(
        self,
        envelope: Envelope,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        extras: dict[str, Any] | None,
        names: Sequence[str],
        warn_over: int,
        call: Mapping[str, Any] | None = None,
        fixed: str | None = None,
        alone: bool = True,
    ) -> Message:
        """The message of a call. Inside a task it knows its parent, and its id is the same if the run is repeated.
        `fixed` is an id that a workflow gave it. `alone`: it is pushed by itself or goes with the end of a run, so that
        what receivers of `before_task_publish` change may stay also inside a task."""
        request = running.get()
        if (request is not None and request.claim is not None) or (call and ("root_id" in call or "parent_id" in call)):
            extras = self.family(extras, call)
        payload = codec.encode_payload(args, kwargs, extras, names)
        if len(payload) > warn_over:
            own = len(payload) - len((extras or {}).get("n", b""))  # the rest of a chain is nobody's argument
            if own > warn_over:
                self.check_size(envelope.name, own)
        chosen = None if call is None else call.get("task_id")
        inside = request is not None and request.claim is not None
        if fixed is not None:
            message = Message(fixed, payload, envelope)
        elif chosen is not None:
            message = Message(check_task_id(chosen), payload, envelope)
        elif request is None or not inside:
            message = Message(new_id(), payload, envelope)
        else:
            message = Message(request.next_child(digest(Message("", payload, envelope))), payload, envelope)
        if signals.before_task_publish.receivers:
            stays = not inside or (alone and chosen is None)
            told = announce.before(message, args, kwargs, extras, names, stays)
            if inside and told is not message and request is not None:
                request.retold.add(message.id)
            message = told
        if len(payload) >= codec.WORTH and (how := self._compression(envelope.name, call)):
            message = structs.replace(message, payload=codec.squeeze_payload(message.payload, how))
        return message

    def _compression(self, name: str, call: Mapping[str, Any] | None) -> int | None:
        """How the arguments of a call are compressed: as the call says, else its task, else the settings."""
        task = dict.get(self.tasks, name)
        chosen = (call or {}).get("compression") or getattr(task, "compression", None) or self.conf.task_compression
        if chosen is None:
            return None
        from smallage.core.compression import method

        return method(chosen)

    def squeezed(self, result: bytes) -> bytes:
        """A result as `result_compression` wants it."""
        chosen = self.conf.result_compression
        if chosen is None:
            return result
        from smallage.core.compression import method

        how = method(chosen)
        return result if how is None else codec.squeeze_result(result, how)

    def family(self, extras: dict[str, Any] | None, call: Mapping[str, Any] | None) -> dict[str, Any]:
        """The extras of a call, with the parent and the root that it is given, else those of the task that makes it."""
        request, given = running.get(), call or {}
        if "parent_id" in given and given["parent_id"] is None:
            return extras or {}  # a workflow knows its origin
        inside = request is not None and request.claim is not None
        parent = given.get("parent_id") or (request.id if request is not None and inside else None)
        root = given.get("root_id") or (request.root_id if request is not None and inside else None)
        made = dict(extras or {})
        if parent is not None:
            made["p"] = parent
        if root is not None and root != parent:
            made["o"] = root
        return made

    def check_size(self, name: str, size: int, what: str = "arguments") -> None:
        """Raise PayloadTooLarge above the limit; warn in the log above the warning's threshold."""
        conf = self.conf
        if conf.task_payload_limit and size > conf.task_payload_limit:
            raise PayloadTooLarge(
                f"The {what} of {name} are {size:,} bytes; the limit is {conf.task_payload_limit:,}. Store the data "
                "(file, object store, database) and pass its key; or raise task_payload_limit."
            )
        warn("The %s of %s are %d bytes; large ones slow the store down. Pass a key instead.", what, name, size)

    def publish(
        self, messages: Sequence[Message], retry: bool | None = None, policy: Mapping[str, Any] | None = None
    ) -> None:
        """Push messages, all or none, trying again while the store is away. Raises StoreUnavailable, StoreFull or
        PushConflict."""
        store = self._store
        if store is None:
            store = self.patiently(lambda: self.store, retry, policy)
        began = time.monotonic()
        try:
            verdicts = store.push(messages)
        except StoreUnavailable as error:
            verdicts = self.patiently(lambda: store.push(messages), retry, policy, error, began)
        for verdict, message in zip(verdicts, messages, strict=True):
            if verdict != "ok" and verdict != "dup" and not _is_again(verdict, message):
                refuse(verdict, message.id)
        if signals.after_task_publish.receivers:
            announce.after(messages)
