"""How to build canvas trees, written as data, so that two implementations can build the same ones.

Run as a script in an environment with Celery 5.7 it prints what `canvas_of_celery.json` holds: random recipes and the
plain data that Celery makes of them.
"""

from __future__ import annotations

import json
import random
from typing import Any

NAMES = ("m.add", "m.mul", "k.neg")


def build(recipe: Any, api: Any) -> Any:
    """The tree of a recipe; `api` has signature, chain, group, chord and xmap."""
    kind, *parts = recipe
    if kind == "task":
        name, args, options, immutable = parts
        return api.signature(name, args=args, options=options, immutable=immutable)
    if kind == "map":
        return api.xmap(api.signature(parts[0]), parts[1])
    if kind in ("group", "chain"):
        members = [build(one, api) for one in parts[1]]
        make = getattr(api, kind)
        return make(*members) if parts[0] else make(members)
    if kind == "chord":
        return api.chord([build(one, api) for one in parts[0]], build(parts[1], api))
    if kind == "|":
        return build(parts[0], api) | build(parts[1], api)
    tree = build(parts[0], api)
    if kind == "clone":
        return tree.clone()
    if kind == "restored":
        return api.signature(json.loads(json.dumps(tree)))
    if kind == "set":
        return tree.set(**parts[1])
    assert kind in ("link", "link_error")
    getattr(tree, kind)(api.signature("k.neg", args=[99]))
    return tree


def recipe(dice: random.Random, depth: int) -> Any:
    """A random recipe of at most this depth."""
    if depth <= 0 or dice.random() < 0.25:
        return _leaf(dice)
    roll = dice.randrange(10)
    if roll < 3:
        kind = ("group", "chain", "chord")[roll]
        members = [recipe(dice, depth - 1) for _ in range(dice.choice((0, 1, 1, 2, 3)))]
        return [kind, members, recipe(dice, depth - 1)] if kind == "chord" else [kind, False, members]
    if roll == 3:
        members = [recipe(dice, depth - 1) for _ in range(dice.choice((1, 2, 3)))]
        return [dice.choice(("group", "chain")), True, members]
    if roll < 8:
        return ["|", recipe(dice, depth - 1), recipe(dice, depth - 1)]
    kind = dice.choice(("clone", "restored", "set", "link", "link_error"))
    return [kind, recipe(dice, depth - 1), *([{"priority": 3}] if kind == "set" else [])]


def _leaf(dice: random.Random) -> Any:
    if dice.random() < 0.07:
        return ["map", dice.choice(NAMES), [1, 2, 3]]
    args = [dice.randrange(9) for _ in range(dice.randrange(3))]
    options = {"queue": dice.choice("ab")} if dice.random() < 0.15 else {}
    return ["task", dice.choice(NAMES), args, options, dice.random() < 0.15]


def _record() -> None:
    import warnings

    from celery import (
        Celery,
        canvas,  # the real Celery's, where this is run
    )

    app = Celery(set_as_current=True)
    for name in NAMES:
        app.task(name=name)(lambda *args: None)
    warnings.simplefilter("ignore")
    dice = random.Random(57)
    lines: list[str] = []
    while len(lines) < 300:
        made = recipe(dice, dice.choice((1, 2, 3, 4)))
        try:
            tree = json.dumps(build(made, canvas), separators=(",", ":"))
        except (IndexError, AttributeError):
            continue  # what Celery cannot do itself
        if 150 < len(tree) < 3_000:
            lines.append(f"[{json.dumps(made, separators=(',', ':'))},{tree}]")
    print("[\n" + ",\n".join(lines) + "\n]")


if __name__ == "__main__":
    _record()
