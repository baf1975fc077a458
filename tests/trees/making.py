"""Random trees, and the same as signatures."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from smallage import Smallage, chain, chord, group

KINDS = ("ok", "ok", "ok", "ok", "ok", "ok", "ok", "retry", "replace", "fail", "kill", "expire", "revoke", "ignore")


def trees() -> st.SearchStrategy[Any]:
    """Trees up to four deep, their leaves not named yet."""
    leaves = st.sampled_from(KINDS).map(lambda kind: ("leaf", None, kind))
    return st.recursive(leaves, _grown, max_leaves=14).filter(lambda tree: tree[0] != "leaf").map(_named)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(inner, min_size=1, max_size=4)
    steps = st.lists(inner, min_size=2, max_size=4)
    return st.one_of(
        st.tuples(st.just("chain"), steps),
        st.tuples(st.just("group"), st.lists(inner, min_size=2, max_size=4)),
        st.tuples(st.just("chord"), few, inner),
    )


def _named(tree: Any) -> Any:
    """The tree with its leaves numbered, and written in the one way in which it is meant."""
    numbers = iter(range(1_000))

    def name(one: Any) -> Any:
        if one[0] == "leaf":
            return ("leaf", f"t{next(numbers)}", one[2])
        if one[0] == "chord":
            return ("chord", _flat([name(member) for member in one[1]]), name(one[2]))
        members = [name(member) for member in one[1]]
        return (one[0], _flat(members) if one[0] == "group" else members)

    return _unambiguous(name(tree), True)


CLEAN = ("ok", "retry", "replace")


def _unambiguous(tree: Any, clean: bool) -> Any:
    """Nothing is revoked or expires that a failure before it may end first: which of the two comes first would hang on
    the moment."""
    if tree[0] == "leaf":
        return ("leaf", tree[1], "ok") if tree[2] in ("revoke", "expire") and not clean else tree
    if tree[0] == "chain":
        steps = []
        for step in tree[1]:
            steps.append(_unambiguous(step, clean))
            clean = clean and _is_clean(step)
        return ("chain", steps)
    members = [_unambiguous(member, clean) for member in tree[1]]
    return (tree[0], members, *(_unambiguous(body, clean and all(map(_is_clean, members))) for body in tree[2:]))


def _is_clean(tree: Any) -> bool:
    return all(kind in CLEAN for _, _, kind in leaves(tree))


def _flat(members: list[Any]) -> list[Any]:
    """Groups in a group stand for their members."""
    made: list[Any] = []
    for one in members:
        made.extend(one[1] if one[0] == "group" else [one])
    return made


def depth(tree: Any) -> int:
    """How many chains, groups and chords are inside one another."""
    if tree[0] == "leaf":
        return 0
    parts = [*tree[1], *tree[2:]]
    return 1 + max(map(depth, parts), default=0)


def leaves(tree: Any) -> list[Any]:
    """The leaves in the order in which they are written."""
    if tree[0] == "leaf":
        return [tree]
    return [leaf for part in (*tree[1], *tree[2:]) for leaf in leaves(part)]


def chosen_id(seed: int, name: str) -> str:
    """The id of a leaf that is revoked ahead."""
    return str(UUID(int=(seed << 32) + int(name[1:]) + 1))


def signature_of(app: Smallage, tree: Any, seed: int) -> Any:
    """The tree as a canvas."""
    if tree[0] == "leaf":
        return _leaf(app, tree, seed)
    members = [signature_of(app, one, seed) for one in tree[1]]
    if tree[0] == "chain":
        return chain(members, app=app)
    if tree[0] == "group":
        return group(members, app=app)
    return chord(members, signature_of(app, tree[2], seed), app=app)


def _leaf(app: Smallage, tree: Any, seed: int) -> Any:
    _, name, kind = tree
    made = app.tasks["leaf"].s(name=name, kind=kind)
    if kind == "expire":
        made.set(expires=0.0001)
    if kind == "revoke":
        made.set(task_id=chosen_id(seed, name))
    return made
