"""Verbs that bring tasks in."""

from __future__ import annotations

from collections.abc import Sequence

from smallage.core.message import Message, digest
from smallage.stores.base import MAX_PUSH, GroupBatch, PushVerdict
from smallage.stores.redis import sending
from smallage.stores.redis.keys import encode_id
from smallage.stores.redis.partition import Partition

_VERDICTS: dict[int, PushVerdict] = {ord("o"): "ok", ord("d"): "dup", ord("c"): "conflict", ord("f"): "full"}


class Producing(Partition):
    """push and group_push."""

    def push(self, messages: Sequence[Message]) -> list[PushVerdict]:
        """See `Store.push`."""
        if len(messages) > MAX_PUSH:
            raise ValueError(f"push takes at most {MAX_PUSH} messages a call; split the batch")
        if len(messages) == 1 and self._push_one(messages[0]):
            return ["ok"]
        if not messages:
            return []
        words = sending.runs(messages)
        distinct = len(messages) == 1 or len({message.id for message in messages}) == len(messages)
        letters = self._grow("push", 1 if distinct else 0, *words)[0]
        return [_VERDICTS[letter] for letter in letters] if letters else ["ok"] * len(messages)

    def _push_one(self, message: Message) -> bool:
        """The short way of most single pushes; False if nothing has happened and the long one must be taken."""
        envelope = message.envelope
        plain = not (
            message.waits or envelope.delay_us or envelope.due_us or envelope.expires_us or envelope.expires_in_us
        )
        if not plain or envelope.priority or not self.epoch or len(message.id) > 36:
            return False
        answer: int = self._link.run(
            "push_one", self.epoch, envelope.name, envelope.queue, sending.kept(envelope.keep_us),
            sending.budgets(envelope), encode_id(message.id), message.payload, digest(message),
            envelope.follow or "",
        )  # fmt: skip
        return answer == 1

    def group_push(self, batch: GroupBatch) -> PushVerdict:
        """See `Store.group_push`."""
        if len(batch.rows) + len(batch.members) + len(batch.also) > MAX_PUSH:
            raise ValueError(f"group_push takes at most {MAX_PUSH} rows or members a call; split the batch")
        if batch.late and (batch.template or batch.rows or batch.seal or batch.body):
            raise ValueError("a late batch takes members, and messages that go along, but nothing else")
        return _VERDICTS[self._grow("group_push", *sending.group_batch(batch))[0][0]]
