"""From a tree as it was written to what runs: a chain's steps in order.

The same meaning in fewer forms, so that what sends and what follows need to know tasks, chords and groups only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from smallage.core.canvas.chain import chain
from smallage.core.canvas.chord import chord
from smallage.core.canvas.group import OWN, given_to, group, handed_on
from smallage.core.canvas.mapping import chunks
from smallage.core.canvas.signature import Signature, as_list

_OF_THE_LAST: Final = ("task_id", "group_id", "group_index", "chord")
"""Options of a chain that are its last step's."""


def is_empty_group(one: Any) -> bool:
    """True for a group without members."""
    return isinstance(one, group) and not one.tasks


def is_empty(one: Signature) -> bool:
    """True for what does nothing as a step: an empty group or chain, or a chain of such."""
    if isinstance(one, chain):
        return all(is_empty(inner) for inner in one.tasks)
    return is_empty_group(one)


def unrolled(one: Signature) -> Signature:
    """The member of a group that has one, else `one` itself."""
    return one.tasks[0] if isinstance(one, group) and len(one.tasks) == 1 else one


def with_arguments(steps: list[Signature], args: Any, kwargs: Any) -> list[Signature]:
    """The steps, these arguments merged into the first."""
    if steps and (args or kwargs):
        steps[0] = steps[0].clone(args, kwargs)
    return steps


def steps_of(tasks: Iterable[Signature], in_place: bool = False) -> list[Signature]:
    """The steps of a chain of these; see `chain.steps`. With `in_place` the signatures themselves, not copies."""
    flat: list[Signature] = []
    empty: Signature | None = None
    seen: set[int] = set()
    for one in tasks:
        step = one if in_place and id(one) not in seen else one.clone()
        seen.add(id(one))
        for part in _flat(step, in_place):
            if is_empty_group(part):
                empty = part
            else:
                flat.append(part)
    if not flat:
        return [] if empty is None else [empty]
    return _chorded(flat)


def _flat(step: Signature, in_place: bool) -> list[Signature]:
    """A step without nested chains and groups of one, chords with the tail of their body behind them."""
    if isinstance(step, chunks):
        step = step.group()
    if isinstance(step, chain):
        return _spliced(step, in_place)
    if isinstance(step, group) and len(step.tasks) == 1:
        inner = step.tasks[0].clone(step.args) if step.args else step.tasks[0]
        return _flat(given_to(inner, handed_on(step.options)), in_place)
    if isinstance(step, chord) and step.body is not None:
        after = steps_of([step.body], in_place)
        if not after:
            return [step.header]
        first, *rest = after
        step["kwargs"]["body"] = first
        return [step, *rest]
    return [step]


def _spliced(inner: chain, in_place: bool) -> list[Signature]:
    """The steps of a nested chain, its options and arguments with those they belong to."""
    steps = steps_of(inner.tasks, in_place)
    if not steps:
        return []
    if inner.args:
        steps[0] = steps[0].clone(inner.args)
    options = inner.options
    given_to(steps[0], {key: value for key, value in options.items() if key not in _NOT_THE_FIRSTS})
    for errback in as_list(options.get("link_error")):
        for one in steps:
            _link_error(one, errback)
    last = steps[-1]
    for callback in as_list(options.get("link")):
        last.link(callback)
    target = last.body if isinstance(last, chord) and last.body is not None else last
    for key in _OF_THE_LAST:
        if options.get(key) is not None:
            target.options.setdefault(key, options[key])
    return steps


_NOT_THE_FIRSTS: Final = OWN | {"link", "link_error"}


def _link_error(one: Signature, errback: Any) -> None:
    """Link to a step; of a chord to its body."""
    if isinstance(one, chord) and one.body is not None:
        _link_error(one.body, errback)
    else:
        one.link_error(errback)


def _chorded(flat: list[Signature]) -> list[Signature]:
    """A group with something after it becomes a chord's header, from the end to the start."""
    backwards: list[Signature] = []
    for step in reversed(flat):
        if backwards and _ends_in_group(step):
            step = _followed(step, backwards.pop())
        backwards.append(step)
    return backwards[::-1]


def _ends_in_group(step: Signature) -> bool:
    while isinstance(step, chord) and step.body is not None:
        step = step.body
    return isinstance(step, group)


def _followed(step: Signature, after: Signature) -> Signature:
    """What ends in a group, and then `after` with the group's list."""
    if isinstance(step, chord):
        step.body = _followed(step.body, after)
        return step
    assert isinstance(step, group)
    made = chord(step, after, app=step._app)
    if step.options or step.args:
        made["kwargs"]["header"] = step  # a group of its own, with its id if that was fixed
    return made
