"""Workflows in the form in which they are carried out: every canvas tree comes down to chains of steps and fans.

A *chain* is a list of `Step`s, each of which is a task, and perhaps a `Fan` at its end: members that run side by side,
and what follows when all have ended, again a chain. So a chord is a fan with a body, a group one without, and what
stands behind a group in a chain belongs to its body. A chain travels in messages as bytes, each nested one as bytes of
its own, so that nesting costs no depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from smallage.core import codec
from smallage.core.errors import DecodeError, ImproperlyConfigured
from smallage.core.message import member_id

COLLECT: Final = "smallage.collect"
"""Built-in task: the values of a group as a list, where a group stands for one value."""
EXPAND: Final = "smallage.expand"
"""Built-in task: sends the fan that follows an ended task."""
UPSTREAM: Final = "smallage.upstream"
"""Built-in task: ends the steps of a long chain that do not come any more, some at a time."""
MAP: Final = "celery.map"
STARMAP: Final = "celery.starmap"
"""Built-in tasks by Celery's names: they call a task here for every item of a list."""

PLACE: Final = frozenset(
    {"nesting", "link", "link_error", "group_id", "group_index", "chord", "task_id", "root_id", "parent_id"}
)
"""Options of a frozen step that are no options of its call."""


class Step(msgspec.Struct):
    """A task in a chain."""

    task: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    options: dict[str, Any] = {}
    """Of its call: `task_id`, `link`, `link_error`, `countdown`, …; of a member `group_id` and `group_index` too."""
    immutable: bool = False

    @property
    def id(self) -> str:
        """Its id, once frozen."""
        text: str = self.options["task_id"]
        return text


class Unread(Step):
    """A step that is only passed on, as the bytes that came: a long chain costs each of its tasks little."""

    data: bytes = b""


class Fan(msgspec.Struct):
    """Chains side by side; `body` follows when all have ended."""

    id: str | None
    members: list[Chain]
    body: Chain | None = None

    def like(self) -> bool:
        """True if the members are calls of one task that differ in nothing but their arguments."""
        if not self.members:
            return False
        first = self.members[0]
        if len(first) != 1 or not isinstance(first[0], Step) or "task_id" in first[0].options:
            return False
        one = first[0]
        return all(
            len(other) == 1
            and isinstance(other[0], Step)
            and other[0].task == one.task
            and other[0].immutable == one.immutable
            and other[0].options == one.options
            for other in self.members
        )


Chain: TypeAlias = "list[Step | Fan]"


# -- from signatures ----------------------------------------------------------------------------------------------
def chain_of(sig: Any) -> Chain:
    """The chain that a signature of any kind comes down to. Raises ImproperlyConfigured for what is none."""
    if not isinstance(sig, Mapping):
        raise ImproperlyConfigured(f"A callback or step is a signature such as task.s(1), not <{type(sig).__name__}>.")
    make = _CONTAINERS.get(sig.get("subtask_type") or sig.get("task"))
    if make is not None:
        return make(sig)
    if not isinstance(sig.get("task"), str):
        raise ImproperlyConfigured("This dict is not a signature: it names no task.")
    options = {name: value for name, value in (sig.get("options") or {}).items() if value is not None}
    return [
        Step(
            sig["task"],
            tuple(sig.get("args") or ()),
            dict(sig.get("kwargs") or {}),
            options,
            bool(sig.get("immutable", False)),
        )
    ]


def _of_chain(sig: Mapping[str, Any]) -> Chain:
    made: Chain = []
    for one in sig["kwargs"].get("tasks", ()):
        join(made, _unrolled(chain_of(one)))
    options = dict(sig.get("options") or {})
    for errback in as_list(options.pop("link_error", None)):
        link_error(made, errback)
    last = {name: options.pop(name) for name in _OF_THE_LAST if options.get(name) is not None}
    for callback in as_list(options.pop("link", None)):
        link(made, callback)
    if sig.get("args"):
        give(made, sig["args"], {})
    if made and options:
        set_options(made[:1], options)
    if last:
        name_last(made, last)
    return made


def _unrolled(chain: Chain) -> Chain:
    """In a chain, a group of one member is taken for the member."""
    if len(chain) == 1 and isinstance(chain[0], Fan) and chain[0].body is None and len(chain[0].members) == 1:
        return chain[0].members[0]
    return chain


_OF_THE_LAST: Final = ("task_id", "group_id", "group_index")
_OF_A_GROUP: Final = frozenset(
    {"task_id", "link", "link_error", "group_id", "group_index", "chord", "root_id", "parent_id"}
)
_OF_A_HEADER: Final = frozenset({"countdown", "eta"})


def _of_group(sig: Mapping[str, Any]) -> Chain:
    options = {name: value for name, value in (sig.get("options") or {}).items() if value is not None}
    common = {name: value for name, value in options.items() if name not in _OF_A_GROUP}
    members: list[Chain] = []
    for one in sig["kwargs"].get("tasks", ()):
        made = chain_of(one)
        if len(made) == 1 and isinstance(made[0], Fan) and made[0].body is None:
            members.extend(made[0].members)  # a group in a group: its members stand in its place
        elif made:
            members.append(made)
    fan = Fan(options.get("task_id"), members)
    for member in members:
        if common:
            set_options(member, common)
        for errback in as_list(options.get("link_error")):
            link_error(member, errback)
        for callback in as_list(options.get("link")):
            link(member, callback)
    if sig.get("args") and not sig.get("immutable"):
        give([fan], sig["args"], {})
    return [fan]


def _of_chord(sig: Mapping[str, Any]) -> Chain:
    inner = sig["kwargs"]
    header, body = inner.get("header"), inner.get("body")
    if not isinstance(header, Mapping):
        header = {"subtask_type": "group", "kwargs": {"tasks": list(header or ())}, "options": {}}
    if header.get("subtask_type") != "group":
        header = {"subtask_type": "group", "kwargs": {"tasks": [header]}, "options": {}}
    if body is None:
        raise ImproperlyConfigured("This chord has no body; give it one: chord(header)(body).")
    made = chain_of(header)
    fan = made[0]
    assert isinstance(fan, Fan)
    options = {name: value for name, value in (sig.get("options") or {}).items() if value is not None}
    common = {name: value for name, value in options.items() if name not in _OF_A_GROUP}
    follow = chain_of(body)
    if common:
        for member in fan.members:
            set_options(member, common)
        set_options(follow[:1], {name: value for name, value in common.items() if name not in _OF_A_HEADER})
    for callback in as_list(options.get("link")):
        link(follow, callback)
    for errback in as_list(options.get("link_error")):
        link_error(follow, errback)
    last = {name: options[name] for name in ("group_id", "group_index") if name in options}
    if last:
        name_last(follow, last)
    if fan.id is None:
        fan.id = options.get("task_id")  # a frozen chord bears its header's id
    given = (tuple(sig.get("args") or ()), dict(inner.get("kwargs") or {}))
    if any(given):
        give(made, *given)
    fan.body = follow
    return made


def _of_chunks(sig: Mapping[str, Any]) -> Chain:
    inner = sig["kwargs"]
    items, size = list(inner["it"]), inner["n"]
    task = inner["task"]
    parts = [items[at : at + size] for at in range(0, len(items), size)]
    options = {name: value for name, value in (sig.get("options") or {}).items() if value is not None}
    common = {name: value for name, value in options.items() if name not in _OF_A_GROUP}
    return [
        Fan(
            options.get("task_id"),
            [[Step(STARMAP, (), {"task": task, "it": part}, dict(common), True)] for part in parts],
        )
    ]


_CONTAINERS: Final[dict[Any, Callable[[Mapping[str, Any]], Chain]]] = {
    "chain": _of_chain,
    "group": _of_group,
    "chord": _of_chord,
    "celery.chunks": _of_chunks,
}


# -- building -----------------------------------------------------------------------------------------------------
def join(chain: Chain, more: Chain) -> Chain:
    """Put `more` behind `chain`, in place: behind a fan it becomes what follows all members."""
    if not more:
        return chain
    head = more[0]
    if chain and isinstance(head, Fan) and not head.members and head.body is None:
        return chain  # an empty group in a chain is skipped
    if chain and isinstance(chain[-1], Fan):
        fan = chain[-1]
        if not fan.members and fan.body is None and len(chain) > 1:
            chain.pop()
            return join(chain, more)
        fan.body = join(fan.body if fan.body is not None else [], more)
    else:
        chain.extend(more)
    return chain


def last_step(chain: Chain) -> Step | None:
    """The step whose end is the chain's end; None if that is a group's."""
    if not chain:
        return None
    end = chain[-1]
    if isinstance(end, Fan):
        return last_step(end.body) if end.body else None
    return end


def last_fan(chain: Chain) -> Fan | None:
    """The group that a chain ends with, if it ends with one."""
    if not chain or not isinstance(chain[-1], Fan):
        return None
    fan = chain[-1]
    return last_fan(fan.body) if fan.body else fan


def steps_of(chain: Chain) -> Iterable[Step]:
    """The steps one after the other: tasks and the bodies of fans, not the fans' members."""
    for one in chain:
        if isinstance(one, Step):
            yield one
        elif one.body:
            yield from steps_of(one.body)


def link(chain: Chain, callback: Any) -> None:
    """Have `callback` follow the chain's last task; of a group, each member."""
    end = last_step(chain)
    if end is not None:
        _append(end, "link", callback)
        return
    fan = last_fan(chain)
    for member in fan.members if fan is not None else ():
        link(member, callback)


def link_error(chain: Chain, errback: Any) -> None:
    """Have `errback` called once if any step fails; of a group at the end, by each member."""
    for step in steps_of(chain):
        _append(step, "link_error", errback)
    fan = last_fan(chain)
    for member in fan.members if fan is not None else ():
        link_error(member, errback)


def _append(step: Step, name: str, one: Any) -> None:
    there = as_list(step.options.get(name))
    if one not in there:
        step.options = {**step.options, name: [*there, one]}


def set_options(chain: Chain, options: Mapping[str, Any]) -> None:
    """Options of a call for the first step; of a fan, for each member's."""
    if not chain:
        return
    first = chain[0]
    if isinstance(first, Step):
        first.options = {**first.options, **options}
        return
    for member in first.members:
        set_options(member, options)


def name_last(chain: Chain, options: Mapping[str, Any]) -> None:
    """`task_id` and the place in a group for the step whose end is the chain's."""
    end = last_step(chain)
    if end is not None:
        end.options = {**end.options, **options}
        return
    fan = last_fan(chain)
    if fan is not None and "task_id" in options:
        fan.id = options["task_id"]


def give(chain: Chain, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Arguments of a call for the first step (a fan's members'), before its own; immutable ones take none."""
    if not chain:
        return
    first = chain[0]
    if isinstance(first, Fan):
        for member in first.members:
            give(member, args, kwargs)
    elif not first.immutable:
        first.args = (*args, *first.args)
        first.kwargs = {**first.kwargs, **kwargs}


def collected(chain: Chain) -> Chain:
    """The chain, made to end in one value: the list of its last group's, if it ends in a group."""
    if last_step(chain) is None:
        join(chain, [Step(COLLECT)])
    return chain


# -- ids ----------------------------------------------------------------------------------------------------------
def freeze(chain: Chain, ids: Callable[[str], str], path: str = "") -> None:
    """Give every step and fan that has none an id; `ids` makes one for a place in the tree. Members that are no single
    tasks get a last step with the member's place; those of a fan of like tasks get no ids, they have the store's."""
    for place, one in enumerate(chain):
        here = f"{path}{place}"
        if isinstance(one, Step):
            if "task_id" not in one.options:
                one.options = {**one.options, "task_id": ids(here)}
        else:
            _freeze_fan(one, ids, here)


def _freeze_fan(fan: Fan, ids: Callable[[str], str], path: str) -> None:
    if fan.id is None:
        fan.id = ids(path)
    if not fan.like():
        for index, member in enumerate(fan.members):
            end = last_step(collected(member))
            assert end is not None
            end.options = {**end.options, "group_id": fan.id, "group_index": index}
            freeze(member, ids, f"{path}.{index}.")
    if fan.body is not None:
        freeze(fan.body, ids, f"{path}>")


def member_ids(fan: Fan) -> list[str]:
    """The ids of a frozen fan's members in order."""
    assert fan.id is not None
    if fan.like():
        return [member_id(fan.id, index) for index in range(len(fan.members))]
    ends = (last_step(member) for member in fan.members)
    return [end.id for end in ends if end is not None]


# -- bytes --------------------------------------------------------------------------------------------------------
def pack(chain: Chain) -> bytes:
    """A chain as bytes, each of its parts bytes of its own. Raises EncodeError for arguments that cannot travel."""
    parts = [
        one.data if isinstance(one, Unread) else codec.encode_value(_packed(one), "a workflow's argument")
        for one in chain
    ]
    return codec.encode_value(parts, "a workflow's argument")


def _packed(one: Step | Fan) -> list[Any]:
    if isinstance(one, Step):
        return [one.task, list(one.args), one.kwargs, packed_options(one.options), one.immutable]
    body = None if one.body is None else pack(one.body)
    if one.like():
        first = one.members[0][0]
        assert isinstance(first, Step)
        rows = [codec.encode_row(step.args, step.kwargs) for (step,) in one.members if isinstance(step, Step)]
        return [one.id, body, rows, first.task, packed_options(first.options), first.immutable]
    return [one.id, body, [pack(member) for member in one.members]]


_LINKS: Final = ("link", "link_error")


def packed_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with their links as bytes."""
    if not any(name in options for name in _LINKS):
        return dict(options)
    return {name: pack_links(value) if name in _LINKS else value for name, value in options.items()}


def pack_links(links: Any) -> list[bytes]:
    """Callbacks as bytes, each a chain."""
    return [one if isinstance(one, bytes) else pack(chain_of(one)) for one in as_list(links)]


def as_list(value: Any) -> list[Any]:
    """One, several or none, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def unpack(data: bytes) -> Chain:
    """The chain in `data`. Raises DecodeError."""
    return _read(data, None)


def unpack_next(data: bytes) -> Chain:
    """The chain in `data`, of which only the first part is read. Raises DecodeError."""
    return _read(data, 1)


def _read(data: bytes, most: int | None) -> Chain:
    try:
        parts = codec.decode_value(data)
        chain = [_unpacked(codec.decode_value(one)) for one in parts[:most]]
        return chain if most is None else [*chain, *(Unread("", data=one) for one in parts[most:])]
    except (TypeError, ValueError, KeyError, IndexError):
        raise DecodeError("not a workflow of ours") from None


def _unpacked(one: list[Any]) -> Step | Fan:
    if len(one) == 5:
        task, args, kwargs, options, immutable = one
        return Step(task, tuple(args), kwargs, options, immutable)
    body = None if one[1] is None else unpack(one[1])
    if len(one) == 3:
        return Fan(one[0], [unpack(member) for member in one[2]], body)
    name, _, rows, task, options, immutable = one
    members: list[Chain] = []
    for row in rows:
        args, kwargs = codec.decode_row(row)
        members.append([Step(task, tuple(args), kwargs, options, immutable)])
    return Fan(name, members, body)


# -- back to signatures -------------------------------------------------------------------------------------------
def as_signature(chain: Chain) -> dict[str, Any]:
    """A chain as the plain dict of a signature, as `self.request` shows it."""
    parts = [_part(one) for one in chain]
    if len(parts) == 1:
        return parts[0]
    return _container("celery.chain", {"tasks": parts}, {}, "chain")


def _part(one: Step | Fan) -> dict[str, Any]:
    if isinstance(one, Step):
        options = {
            name: [as_signature(unpack(link)) if isinstance(link, bytes) else link for link in as_list(value)]
            if name in _LINKS
            else value
            for name, value in one.options.items()
        }
        return {
            "task": one.task,
            "args": one.args,
            "kwargs": one.kwargs,
            "options": options,
            "subtask_type": None,
            "immutable": one.immutable,
        }
    group = _container("celery.group", {"tasks": [as_signature(member) for member in one.members]}, {}, "group")
    if one.id is not None:
        group["options"]["task_id"] = one.id
    if one.body is None:
        return group
    inner = {"kwargs": {}, "header": group, "body": as_signature(one.body)}
    return _container("celery.chord", inner, {}, "chord")


def _container(name: str, kwargs: dict[str, Any], options: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"task": name, "args": (), "kwargs": kwargs, "options": options, "subtask_type": kind, "immutable": False}
