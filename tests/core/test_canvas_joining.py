"""`|` and `chain()`: what they make of each pair of kinds, beside what Celery makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smallage.core import canvas
from smallage.core.canvas import Signature, chain, chord, chunks, group, signature, xmap
from tests.core.canvas_recipes import build

RECORDED = json.loads((Path(__file__).parent / "canvas_of_celery.json").read_text())


def t(name, **options):
    return Signature(name, (), {}, options)


def shape(tree):
    """A tree in the notation of the table: c[..], G(..), {h -> b}."""
    if isinstance(tree, chain):
        return f"c[{','.join(map(shape, tree.tasks))}]"
    if isinstance(tree, group):
        return f"G({','.join(map(shape, tree.tasks))})"
    if isinstance(tree, chord):
        return f"{{{','.join(map(shape, tree.tasks))} -> {shape(tree.body)}}}"
    return tree.task


LEFT = {
    "t": lambda: t("t"),
    "c[..,t]": lambda: chain(t("a"), t("t")),
    "c[..,G]": lambda: chain(t("a"), group(t("g"), t("h"))),
    "c[..,{h -> b}]": lambda: chain(t("a"), chord([t("h")], t("b"))),
    "G": lambda: group(t("g"), t("h")),
    "G1": lambda: group(t("g")),
    "G0": lambda: group([]),
    "{h -> b}": lambda: chord([t("h")], t("b")),
}
RIGHT = {
    "t": lambda: t("r"),
    "c": lambda: chain(t("p"), t("q")),
    "G": lambda: group(t("m"), t("n")),
    "G1": lambda: group(t("x")),
    "G0": lambda: group([]),
    "{i -> j}": lambda: chord([t("i")], t("j")),
}
TABLE = [
    ("t", ["c[t,r]", "c[t,p,q]", "c[t,G(m,n)]", "c[t,x]", "c[t,G()]", "c[t,{i -> j}]"]),
    ("c[..,t]", ["c[a,t,r]", "c[a,t,p,q]", "c[a,t,G(m,n)]", "c[a,t,x]", "left", "c[a,t,{i -> j}]"]),
    (
        "c[..,G]",
        [
            "c[a,{g,h -> r}]",
            "c[a,{g,h -> c[p,q]}]",
            "c[a,G(g,h),G(m,n)]",
            "c[a,{g,h -> x}]",
            "left",
            "c[a,{g,h -> {i -> j}}]",
        ],
    ),
    (
        "c[..,{h -> b}]",
        [
            "c[a,{h -> c[b,r]}]",
            "c[a,{h -> c[b,p,q]}]",
            "c[a,{h -> c[b,G(m,n)]}]",
            "c[a,{h -> c[b,x]}]",
            "left",
            "c[a,{h -> b},{i -> j}]",
        ],
    ),
    ("G", ["{g,h -> r}", "{g,h -> c[p,q]}", "{g,h -> G(m,n)}", "{g,h -> G(x)}", "left", "{g,h -> {i -> j}}"]),
    ("G1", ["{g -> r}", "{g -> c[p,q]}", "{g -> G(m,n)}", "{g -> G(x)}", "left", "{g -> {i -> j}}"]),
    ("G0", ["{ -> r}", "{ -> c[p,q]}", "{ -> G(m,n)}", "{ -> G(x)}", "left", "{ -> {i -> j}}"]),
    (
        "{h -> b}",
        [
            "{h -> c[b,r]}",
            "c[{h -> b},p,q]",
            "c[{h -> b},G(m,n)]",
            "{h -> c[b,x]}",
            "c[{h -> b},G()]",
            "{h -> c[b,{i -> j}]}",
        ],
    ),
]
CASES = [(left, right, outcome) for left, row in TABLE for right, outcome in zip(RIGHT, row, strict=True)]


@pytest.mark.parametrize(("left", "right", "outcome"), CASES, ids=[f"{one} | {two}" for one, two, _ in CASES])
def test_the_table(left, right, outcome):
    first, second = LEFT[left](), RIGHT[right]()
    before = shape(first), shape(second), json.dumps([first, second])
    joined = first | second
    if outcome == "left":
        assert joined is first
    else:
        assert shape(joined) == outcome
    assert (shape(first), shape(second), json.dumps([first, second])) == before
    in_place = LEFT[left]()
    in_place |= second
    assert shape(in_place) == shape(joined)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("place", range(len(RECORDED)))
def test_celery_makes_the_same_of_it(place):
    recipe, made = RECORDED[place]
    tree = build(recipe, canvas)
    assert json.loads(json.dumps(tree)) == made
    assert json.loads(json.dumps(signature(made))) == made


@pytest.mark.parametrize(
    ("build_it", "outcome"),
    [
        (lambda: chain(group(t("x")), t("y")), "c[x,y]"),
        (lambda: group(t("x")) | t("y"), "{x -> y}"),
        (lambda: chain(group(t("x"), t("y")), t("z")), "{x,y -> z}"),
        (lambda: chain([t("a"), chain(t("b"), group([])), t("c")]), "c[a,b,c]"),
        (lambda: chain([group(t("x"), t("y"))]), "G(x,y)"),
        (lambda: chain(group(t("x"), t("y"))), "c[G(x,y)]"),
        (lambda: chain(t("a")), "c[a]"),
        (lambda: chain(one for one in (t("a"), t("b"))), "c[a,b]"),
        (lambda: chain(), "c[]"),
        (lambda: chain([]), "c[]"),
        (lambda: chain([]) | group(t("a"), t("b")), "G(a,b)"),
        (lambda: chain(chain(group(t("x"), t("y")), t("z")), t("w")), "c[{x,y -> c[z,w]}]"),
        (lambda: chord([t("h")], t("b")) | group(t("m"), t("n")) | t("z"), "c[{h -> c[b,{m,n -> z}]}]"),
        (lambda: chain(t("a"), group(t("x")), queue="q"), "c[a,G(x)]"),
        (lambda: t("a") | xmap(t("m"), [1]), "c[a,celery.map]"),
        (lambda: t("a") | chunks(t("m"), [(1,)], 1), "c[a,celery.chunks]"),
        (lambda: chain({"task": "a"}, {"task": "b"}), "c[a,b]"),
    ],
)
def test_chain_and_special_cases(build_it, outcome):
    assert shape(build_it()) == outcome


def test_the_right_side_is_the_same_object_the_left_chain_is_cloned():
    last = t("c")
    first = chain(t("a"), t("b"))
    joined = first | last
    assert joined.tasks[-1] is last
    assert joined.tasks[0] == first.tasks[0]
    assert joined.tasks[0] is not first.tasks[0]


def test_links_of_a_chain_go_with_its_members():
    first = chain(t("a"), t("b"))
    first.link(t("done"))
    first.link_error(t("oops"))
    joined = first | t("c")
    assert [one.options for one in joined.tasks] == [
        {"link_error": [t("oops")]},
        {"link": [t("done")], "link_error": [t("oops")]},
        {},
    ]


def test_a_long_chain_is_built_in_one_pass():
    many = [t(f"m.t{place}") for place in range(20_000)]
    assert len(chain(many).tasks) == 20_000
    half = chain(many[:10_000]) | chain(many[10_000:])
    assert len(half.tasks) == 20_000


@pytest.mark.parametrize("other", [[t("a")], None, 5, {"task": "a"}, "a"])
@pytest.mark.parametrize("left", ["t", "c[..,t]", "G", "{h -> b}"])
def test_what_is_no_signature_cannot_be_joined(left, other):
    with pytest.raises(TypeError, match=r"cannot follow a signature; use task\.s"):
        LEFT[left]() | other
    with pytest.raises(TypeError, match="cannot come before a signature"):
        other | LEFT[left]()


def test_a_chord_needs_a_body_before_something_follows():
    with pytest.raises(TypeError, match="no body yet"):
        chord([t("a")]) | t("b")


# -- what runs ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("build_it", "outcome"),
    [
        (lambda: chain([t("a"), group(t("x"), t("y")), t("b")], app=1), ["a", "{x,y -> b}"]),
        (lambda: chain(t("a")) | t("b") | t("c"), ["a", "b", "c"]),
        (lambda: chain(t("a"), group(t("x"), t("y")), group(t("m"), t("n"))), ["a", "{x,y -> G(m,n)}"]),
        (lambda: chain(t("a"), group([t("x"), t("y")]), group(t("m"), t("n")), t("z")), ["a", "{x,y -> {m,n -> z}}"]),
        (lambda: chord([t("h")], group(t("m"), t("n"))) | chain(t("p"), t("q")), ["{h -> {m,n -> p}}", "q"]),
        (lambda: chain.of([chord([t("h")], chain(t("p"), t("q"), t("r")))]), ["{h -> p}", "q", "r"]),
        (lambda: chain.of([chord([t("h")], chain.of([group(t("m"), t("n")), t("r")]))]), ["{h -> {m,n -> r}}"]),
        (lambda: chain.of([group([]), t("a"), chain.of([]), t("b"), group([])]), ["a", "b"]),
        (lambda: chain.of([group([]), group([])]), ["G()"]),
        (lambda: chain.of([]), []),
        (lambda: chain.of([group(t("x")), t("b")]), ["x", "b"]),
        (lambda: chain.of([chord([t("h")], chain.of([])), t("b")]), ["{h -> b}"]),
        (lambda: t("a") | chunks(t("m"), [(1,), (2,)], 1) | t("z"), ["a", "{celery.starmap,celery.starmap -> z}"]),
    ],
)
def test_steps(build_it, outcome):
    tree = build_it()
    before = json.dumps(tree)
    assert [shape(one) for one in tree.steps()] == outcome
    assert json.dumps(tree) == before


def test_arguments_go_to_the_first_step():
    assert chain(t("a"), t("b")).steps((1,), {"k": 2})[0].kwargs == {"k": 2}
    header: Any = chain.of([group([]), group(t("x"), t("y")), t("b")]).steps((7,))[0]
    assert [one.args for one in header.members()] == [(7,), (7,)]
    fixed = chain(t("a"), t("b")).set(immutable=True)
    assert fixed.steps((1,))[0].args == ()
    cloned: Any = chain(t("a"), t("b")).clone((1,))
    assert [one.args for one in cloned.tasks] == [(1,), ()]


def test_options_of_a_nested_chain_go_where_they_belong():
    inner = chain(t("b"), t("c"), task_id="end", queue="q", link=[t("done")], link_error=t("oops"))
    steps = chain.of([t("a"), inner]).steps()
    assert [one.options for one in steps] == [
        {},
        {"queue": "q", "link_error": [t("oops")]},
        {"link_error": [t("oops")], "link": [t("done")], "task_id": "end"},
    ]


def test_a_header_keeps_the_options_of_its_group():
    step: Any = chain.of([group(t("x"), t("y"), queue="q"), t("b")]).steps()[0]
    assert [one.options for one in step.members()] == [{"queue": "q"}, {"queue": "q"}]
    assert step.body.options == {}
