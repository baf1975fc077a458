"""What follows a task: the messages and ends that go into the act of its own end. Nothing is sent from here.

A chain's first task is one message that carries the rest; a fan is opened in batches. What follows a task is therefore
at most a few messages: a fan behind a task travels as one message of the built-in task `EXPAND`, which opens it when it
is run, however large it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from smallage.core import codec, trees
from smallage.core.message import DAY_US, End, Message, opener_id
from smallage.core.trees import EXPAND, Chain, Fan, Step

BATCH: Final = 500
"""Members that go into one batch of a fan."""
BATCH_BYTES: Final = 4 * 2**20


class Origin(msgspec.Struct, frozen=True):
    """Where a task comes from: the first task of its tree, and the one that led to it. None: itself, none."""

    root: str | None = None
    parent: str | None = None


class Make(Protocol):
    """Makes the message of a step; given by whoever knows the tasks' options."""

    def __call__(self, step: Step, args: Sequence[Any], extras: dict[str, Any], origin: Origin, whole: bool) -> Message:
        """`whole`: these are all its arguments, so they can be checked."""
        ...

    def check(self, step: Step, args: Sequence[Any]) -> None:
        """Raise TypeError if these arguments do not fit the step's task."""
        ...

    def seat(self, step: Step) -> Message:
        """The message that keeps the place of a step in a group until its turn has come."""
        ...


class Batch(msgspec.Struct, frozen=True):
    """Members of a fan, in order of their places. Like ones: `template` and `rows`; others: `members`."""

    fan: str
    offset: int
    template: Message | None = None
    rows: tuple[bytes, ...] = ()
    members: tuple[Message, ...] = ()
    also: tuple[Message, ...] = ()
    seal: bool = False
    body: Message | None = None


# -- chains -------------------------------------------------------------------------------------------------------
def first(
    chain: Chain, args: Sequence[Any], origin: Origin, make: Make, flags: dict[str, Any] | None = None
) -> Message:
    """The message that sets a frozen chain going, with `args` before its own arguments. `flags` are further extras."""
    head = chain[0]
    if isinstance(head, Step):
        return _step(head, args, chain[1:], origin, make, flags)
    return _expander(chain, args, origin, make, flags)


def _step(
    step: Step, args: Sequence[Any], rest: Chain, origin: Origin, make: Make, flags: dict[str, Any] | None
) -> Message:
    extras = dict(flags or {})
    if rest:
        extras["n"] = trees.pack(rest)
    for name, key in (("link", "k"), ("link_error", "e")):
        if step.options.get(name):
            extras[key] = trees.pack_links(step.options[name])
    whole = flags is None
    if step.immutable:
        if not whole:
            extras["i"] = 1  # a body that takes no outcomes
        return make(step, step.args, extras, origin, whole)
    return make(step, (*args, *step.args), extras, origin, whole)


def _expander(chain: Chain, args: Sequence[Any], origin: Origin, make: Make, flags: dict[str, Any] | None) -> Message:
    fan = chain[0]
    assert isinstance(fan, Fan)
    assert fan.id is not None
    extras = {**(flags or {}), "n": trees.pack(chain)}
    options = {"task_id": opener_id(fan.id), "beside": _some_step(chain)}
    return make(Step(EXPAND, (), {}, options), args, extras, origin, False)


def _some_step(chain: Chain) -> Step | None:
    """A task of the chain: where it goes, what opens the chain is sure to be run. None: there is none in it."""
    for one in chain:
        if isinstance(one, Step):
            return one
        for inner in (*one.members, one.body or []):
            found = _some_step(inner)
            if found is not None:
                return found
    return None


# -- fans ---------------------------------------------------------------------------------------------------------
def batches(fan: Fan, args: Sequence[Any], origin: Origin, make: Make) -> Iterator[Batch]:
    """What opens a frozen fan, in order; each batch is safe to repeat. Fans inside members come after their seats."""
    body = None if fan.body is None else first(fan.body, (), origin, make, {"c": 1})
    if fan.like():
        yield from _like(fan, args, origin, make, body)
    else:
        yield from _unlike(fan, args, origin, make, body)


def _like(fan: Fan, args: Sequence[Any], origin: Origin, make: Make, body: Message | None) -> Iterator[Batch]:
    assert fan.id is not None
    one = fan.members[0][0]
    assert isinstance(one, Step)
    flags = {"f": list(args)} if args and not one.immutable else None
    shared = Step(one.task, (), {}, {**one.options, "task_id": fan.id})
    template = _step(shared, (), [], origin, make, flags or {})
    rows: list[bytes] = []
    size, offset = 0, 0
    for (step,) in fan.members:
        assert isinstance(step, Step)
        make.check(step, step.args if step.immutable else (*args, *step.args))
        row = codec.encode_row(step.args, step.kwargs)
        if rows and (len(rows) >= BATCH or size + len(row) > BATCH_BYTES):
            yield Batch(fan.id, offset, template, tuple(rows))
            offset, rows, size = offset + len(rows), [], 0
        rows.append(row)
        size += len(row)
    yield Batch(fan.id, offset, template, tuple(rows), seal=True, body=body)


def _unlike(fan: Fan, args: Sequence[Any], origin: Origin, make: Make, body: Message | None) -> Iterator[Batch]:
    assert fan.id is not None
    members: list[Message] = []
    also: list[Message] = []
    inner: list[Chain] = []
    size, offset = 0, 0
    for member in fan.members:
        if members and (len(members) + len(also) >= BATCH or size > BATCH_BYTES):
            yield Batch(fan.id, offset, members=tuple(members), also=tuple(also))
            for chain in inner:
                yield from _inner(chain, args, origin, make)
            offset, size = offset + len(members), 0
            members, also, inner = [], [], []
        message = _member(member, args, origin, make)
        members.append(message)
        size += len(message.payload)
        if message.waits and isinstance(member[0], Step):
            also.append(first(member, args, origin, make))
            size += len(also[-1].payload)
        elif message.waits:
            inner.append(member)
    if not inner:
        yield Batch(fan.id, offset, members=tuple(members), also=tuple(also), seal=True, body=body)
        return
    yield Batch(fan.id, offset, members=tuple(members), also=tuple(also))
    for chain in inner:
        yield from _inner(chain, args, origin, make)
    yield Batch(fan.id, offset + len(members), seal=True, body=body)


def _member(member: Chain, args: Sequence[Any], origin: Origin, make: Make) -> Message:
    """A member that is one task, or the seat of the last task of one that is more."""
    if len(member) == 1 and isinstance(member[0], Step):
        return _step(member[0], args, [], origin, make, None)
    end = trees.last_step(member)
    assert end is not None
    return make.seat(end)


def _inner(chain: Chain, args: Sequence[Any], origin: Origin, make: Make) -> Iterator[Batch]:
    fan = chain[0]
    assert isinstance(fan, Fan)
    yield from batches(fan, args, origin, make)


# -- after an end -------------------------------------------------------------------------------------------------
def after_success(
    rest: Chain,
    links: Sequence[Chain],
    value: Any,
    origin: Origin,
    make: Make,
    ids: Callable[[str], str],
) -> tuple[Message, ...]:
    """What follows a task that ended with `value`: its links, then the next step."""
    then: list[Message] = []
    for place, link in enumerate(links):
        if link:
            trees.freeze(link, ids, f"k{place}.")
            then.append(first(link, (value,), origin, make))
    if rest:
        then.append(first(rest, (value,), origin, make))
    return tuple(then)


def upstream(
    rest: Chain,
    state: Literal["done", "dead", "cancelled"],
    result: bytes | None,
    reason: str | None,
    keep_us: int = DAY_US,
) -> tuple[End, ...]:
    """The ends of the later steps when a chain does not go on, and of the tasks that would open its fans: by those
    everybody sees that a group does not come any more."""
    if state == "dead":
        reason = reason or "upstream"
    return tuple(
        End(task_id, state, name, result=result, reason=reason, keep_us=keep_us) for task_id, name in _later(rest)
    )


def _later(chain: Chain) -> Iterator[tuple[str, str]]:
    """(id, name) of the tasks that a chain still has before it; not of its fans' members."""
    for one in chain:
        if isinstance(one, Step):
            yield one.id, one.task
        else:
            assert one.id is not None
            yield opener_id(one.id), EXPAND
            yield from _later(one.body or [])


def errback_messages(
    errbacks: Sequence[Chain], task_id: str, origin: Origin, make: Make, ids: Callable[[str], str]
) -> tuple[Message, ...]:
    """Error callbacks that are sent: each gets the failed task's id before its own arguments."""
    then: list[Message] = []
    for place, errback in enumerate(errbacks):
        if errback:
            trees.freeze(errback, ids, f"e{place}.")
            then.append(first(errback, (task_id,), origin, make))
    return tuple(then)
