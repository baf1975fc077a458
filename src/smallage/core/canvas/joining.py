"""What `left | right` is, by the kinds of both.

`c[..]` is a chain, `{h -> b}` a chord, t a task; G is a group of two or more, G1 of one (x), G0 an empty one.

| left / right | t | c[p,q] | G | G1 | G0 | {i -> j} |
|---|---|---|---|---|---|---|
| t | c[t,t] | c[t,p,q] | c[t,G] | c[t,x] | c[t,G0] | c[t,{i -> j}] |
| c[..,t] | c[..,t,t] | c[..,t,p,q] | c[..,t,G] | c[..,t,x] | left | c[..,t,{i -> j}] |
| c[..,G] | c[..,{G -> t}] | c[..,{G -> c[p,q]}] | c[..,G,G] | c[..,{G -> x}] | left | c[..,{G -> {i -> j}}] |
| c[..,{h -> b}] | c[..,{h -> c[b,t]}] | c[..,{h -> c[b,p,q]}] | c[..,{h -> c[b,G]}] | c[..,{h -> c[b,x]}] | left | c[..,{h -> b},{i -> j}] |
| G, G1, G0 | {G -> t} | {G -> c[p,q]} | {G -> G} | {G -> G1} | left | {G -> {i -> j}} |
| {h -> b} | {h -> c[b,t]} | c[{h -> b},p,q] | c[{h -> b},G] | {h -> c[b,x]} | c[{h -> b},G0] | {h -> c[b,{i -> j}]} |

Neither side is changed. The right side goes in as it is, so that a later change of it shows; the steps of a chain on
the left are cloned.
"""  # noqa: E501

from __future__ import annotations

from functools import reduce
from typing import Any

from smallage.core.canvas.chain import chain
from smallage.core.canvas.chord import chord
from smallage.core.canvas.group import group
from smallage.core.canvas.signature import Signature
from smallage.core.canvas.steps import is_empty_group, unrolled


def join(left: Signature, right: Any) -> Signature:
    """`left | right`; raises TypeError if `right` is no signature."""
    if not isinstance(right, Signature):
        raise TypeError(
            f"A {type(right).__name__} cannot follow a signature; use task.s(...), group([...]), or signature(data) "
            "for a dict that was one."
        )
    if isinstance(left, chain):
        return _after_chain(left, right)
    if isinstance(left, group):
        return left if is_empty_group(right) else chord(left, right, app=left._app)
    if isinstance(left, chord) and _one_step(right):
        return _into_body(left, unrolled(right))
    if isinstance(right, chain):
        return chain.of([left, *right.unchain_tasks()], app=left._app)
    return chain.of([left, unrolled(right)], app=left._app)


def _one_step(right: Signature) -> bool:
    """True for a task, a chord, a group of one."""
    return len(right.tasks) == 1 if isinstance(right, group) else not isinstance(right, chain)


def _into_body(left: chord, right: Signature) -> chord:
    made = left.clone()
    assert isinstance(made, chord)
    _extend_body(made, right)
    return made


def _extend_body(left: chord, right: Signature) -> None:
    if left.body is None:
        raise TypeError("This chord has no body yet, so nothing can follow it: chord(header, body) | ...")
    left.body = join(left.body, right)


def _after_chain(left: chain, right: Signature) -> Signature:
    if is_empty_group(right):
        return left
    right = unrolled(right)
    if isinstance(right, chain):
        return _chain_after(left, right.unchain_tasks())
    last = left.tasks[-1] if left.tasks else None
    if not isinstance(right, group) and (
        isinstance(last, group) or (isinstance(last, chord) and not isinstance(right, chord))
    ):
        made = left.clone()
        assert isinstance(made, chain)
        _put(made.tasks, right)
        if isinstance(last, group):
            _join_chords(made.tasks)
        return made
    steps = left.unchain_tasks()
    whole = _place(steps, right)
    return whole if whole is not None else type(left).of(steps, app=left._app)


def _join_chords(steps: list[Signature]) -> None:
    """A chord that was just made goes into the body of a chord before it."""
    before = steps[-2] if len(steps) > 1 else None
    if isinstance(before, chord):
        _extend_body(before, steps.pop())


def _chain_after(left: chain, right: list[Signature]) -> Signature:
    """A chain and then these, one by one; in one pass where there are no options to keep."""
    if not right:
        return left
    whole, rest = join(left, right[0]), right[1:]
    if whole is left or not isinstance(whole, chain) or whole.options:
        return reduce(join, rest, whole)
    for one in rest:
        _put(whole.tasks, one)
    return whole


def _put(steps: list[Signature], right: Signature) -> Signature | None:
    """Add a step to those of a chain. With nothing before it a group is no chain: it is returned."""
    if is_empty_group(right):
        return None
    inner = unrolled(right)
    if inner is not right and not isinstance(inner, group):
        return _put(steps, inner)
    if not isinstance(inner, chain):
        return _place(steps, inner)
    tasks = inner.unchain_tasks()
    for place, one in enumerate(tasks):
        whole = _put(steps, one)
        if whole is not None:
            return reduce(join, tasks[place + 1 :], whole)
    return None


def _place(steps: list[Signature], right: Signature) -> Signature | None:
    """As `_put`, for a task, a chord or a group as it is."""
    last = steps[-1] if steps else None
    if isinstance(right, group) and last is None:
        return right
    if isinstance(last, group) and not isinstance(right, group):
        steps[-1] = chord(last, right, app=last._app)
    elif isinstance(last, chord) and not isinstance(right, chord):
        _extend_body(last, right)
    else:
        steps.append(right)
    return None


def fold(tasks: list[Signature]) -> Signature:
    """`chain(a, b, c)`: the same as `a | b | c`, but groups of one are unrolled everywhere. In one pass."""
    steps: list[Signature] = []
    for place, one in enumerate(tasks):
        last = place == len(tasks) - 1
        whole = _put(steps, one if last or isinstance(one, chain) else one.clone())
        if whole is not None:
            return reduce(join, tasks[place + 1 :], whole)
    return chain.of(steps)
