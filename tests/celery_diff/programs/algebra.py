# mypy: ignore-errors
"""Signatures and the | operator, without a worker."""

import copy
import json

from celery import chain, chord, chunks, group, maybe_signature, signature, subtask
from celery.canvas import Signature, _chain, xmap, xstarmap

from tests.celery_diff.lab import kind, make_app, plain, program, shape, tried

app = make_app("algebra")


@app.task
def a(*args, **kwargs):
    return list(args)


@app.task
def b(*args, **kwargs):
    return list(args)


@app.task
def x(*args):
    return list(args)


@app.task
def y(*args):
    return list(args)


def lefts():
    return {
        "t": a.s(),
        "c[t,t]": chain(a.s(), b.s()),
        "c[t,G]": chain(a.s(), group(a.s(), b.s())),
        "c[t,{h->b}]": chain(a.s(), chord([a.s(), b.s()], b.s())),
        "G": group(a.s(), b.s()),
        "G1": group([a.s()]),
        "G0": group([]),
        "{h->b}": chord([a.s(), b.s()], b.s()),
    }


def rights():
    return {
        "t": x.s(),
        "c[p,q]": chain(x.s(), y.s()),
        "G": group(x.s(), y.s()),
        "G1": group([x.s()]),
        "G0": group([]),
        "{i->j}": chord([x.s(), y.s()], y.s()),
    }


def row(left):
    return {name: tried(lambda right=right: shape(lefts()[left] | right)) for name, right in rights().items()}


@program
def task_or():
    """t | every kind."""
    return row("t")


@program
def chain_or():
    """c[t,t] | every kind."""
    return row("c[t,t]")


@program
def chain_ending_in_group_or():
    """c[t,G] | every kind."""
    return row("c[t,G]")


@program
def chain_ending_in_chord_or():
    """c[t,{h -> b}] | every kind."""
    return row("c[t,{h->b}]")


@program
def group_or():
    """G | every kind."""
    return row("G")


@program
def group_of_one_or():
    """G1 | every kind."""
    return row("G1")


@program
def empty_group_or():
    """G0 | every kind."""
    return row("G0")


@program
def chord_or():
    """{h -> b} | every kind."""
    return row("{h->b}")


@program
def or_leaves_its_operands():
    """| makes a new canvas."""
    found = []
    for left in lefts().values():
        before = json.dumps(left, default=str, sort_keys=True)
        shape(left | x.s())
        found.append(before == json.dumps(left, default=str, sort_keys=True))
    return found


@program
def or_with_something_else():
    """A task or a chain | a number or a text is a TypeError."""
    return [kind(lambda: a.s() | 3), kind(lambda: chain(a.s(), b.s()) | "x")]


@program
def chain_constructor():
    """What chain(..) makes of its arguments."""
    return {
        "two": shape(chain(a.s(), b.s())),
        "one": shape(chain(a.s())),
        "list": shape(chain([a.s(), b.s()])),
        "group first": shape(chain(group(a.s(), b.s()), x.s())),
        "group of one": shape(chain(a.s(), group([b.s()]), x.s())),
        "chain inside": shape(chain(a.s(), chain(b.s(), x.s()), y.s())),
        "two groups": shape(chain(group(a.s(), b.s()), group(x.s(), y.s()))),
        "generator": shape(chain(s for s in [a.s(), b.s()])),
        "type": type(chain(a.s(), b.s())) is _chain,
    }


@program
def group_constructor():
    """What group(..) makes of its arguments."""
    return {
        "two": shape(group(a.s(), b.s())),
        "list": shape(group([a.s(), b.s()])),
        "nested": shape(group(a.s(), group(b.s(), x.s()))),
        "only a group": shape(group(group(a.s(), b.s()))),
        "chain": shape(group(chain(a.s(), b.s()), x.s())),
        "none": shape(group()),
    }


@program
def dictionary_of_a_task_signature():
    """A signature is a dict."""
    sig = a.s(1, 2, k=3).set(queue="q", countdown=5)
    return [dict(sig), isinstance(sig, dict), isinstance(sig, Signature)]


@program
def dictionary_of_an_immutable_signature():
    """si is immutable."""
    return [dict(a.si(1)), a.si(1).immutable, a.s(1).immutable]


@program
def keys_of_containers():
    """Names and keys of the containers."""
    found = {}
    for name, sig in {
        "chain": chain(a.s(), b.s()),
        "group": group(a.s(), b.s()),
        "chord": chord([a.s()], b.s()),
        "map": a.map([1, 2]),
        "starmap": a.starmap([(1, 2)]),
        "chunks": a.chunks([(1,), (2,)], 1),
    }.items():
        found[name] = [sig["task"], sig["subtask_type"], sorted(sig["kwargs"]), sig["immutable"], list(sig["args"])]
    return found


@program
def round_trip_through_json():
    """A canvas survives JSON and comes back as its class."""
    found = []
    for sig in [*lefts().values(), a.map([1]), a.starmap([[1, 2]]), a.chunks([[1]], 1)]:
        back = signature(json.loads(json.dumps(sig)), app=app)
        found.append([type(back).__name__, shape(back) == shape(sig)])
    return found


@program
def partial_arguments():
    """clone puts new arguments first; new keywords win."""
    sig = a.s(1, 2, k=1, l=2).clone((0,), {"k": 9})
    return [list(sig.args), dict(sig.kwargs)]


@program
def partial_of_an_immutable():
    """An immutable signature takes no arguments but takes options."""
    sig = a.si(1).clone((0,), {"k": 9}, queue="q")
    return [list(sig.args), dict(sig.kwargs), dict(sig.options)]


@program
def set_options():
    """set changes options in place and returns the signature."""
    sig = a.s(1)
    back = sig.set(queue="q", priority=3, immutable=True)
    return [back is sig, dict(sig.options), sig.immutable]


@program
def clone_is_independent():
    """Changing the clone leaves the original."""
    sig = a.s(1).set(queue="q")
    other = sig.clone()
    other.set(queue="r")
    other.args += (2,)
    return [dict(sig.options), list(sig.args), dict(other.options), list(other.args)]


@program
def links_are_not_doubled():
    """link appends unless an equal one is there, and returns the argument."""
    sig = a.s(1)
    returned = sig.link(b.s())
    sig.link(b.s())
    sig.link(x.s())
    return [shape(returned), [shape(link) for link in sig.options["link"]]]


@program
def on_error_returns_self():
    """on_error returns the signature, link_error the errback."""
    sig = a.s(1)
    first = sig.on_error(b.s())
    second = sig.link_error(x.s())
    return [first is sig, shape(second), [shape(link) for link in sig.options["link_error"]]]


@program
def flatten_links():
    """All signatures reachable by links."""
    inner = b.s()
    inner.link(x.s())
    sig = a.s()
    sig.link(inner)
    return [shape(one) for one in sig.flatten_links()]


@program
def calling_a_signature():
    """sig(..) runs the function here."""
    return [a.s(1, 2)(0), tried(a.si(1), 0)]


@program
def signature_of_a_name():
    """signature(name) and Signature attributes."""
    sig = signature("some.task", args=(1,), kwargs={"k": 2}, queue="q", app=app)
    return [sig.task, list(sig.args), dict(sig.kwargs), dict(sig.options), sig.name]


@program
def signature_with_options():
    """task.signature(args, kwargs, options)."""
    sig = a.signature((1, 2), {"k": 1}, countdown=10)
    other = a.signature(args=(3,), options={"queue": "q"})
    return [dict(sig), dict(other)]


@program
def maybe_signature_passes():
    """maybe_signature: None, a dict, a signature."""
    sig = a.s(1)
    made = maybe_signature(dict(sig), app=app)
    return [maybe_signature(None, app=app), shape(made), type(made).__name__, shape(maybe_signature(sig, app=app))]


@program
def subtask_is_signature():
    """The old names still make signatures."""
    return [shape(subtask("some.task", args=(1,))), shape(a.subtask((1,)))]


@program
def representations():
    """repr of signatures and canvases."""
    return [
        repr(a.s(1, k=2)).replace("tests.celery_diff.programs.", ""),
        repr(chain(a.s(1), b.s(2))).replace("tests.celery_diff.programs.", ""),
        repr(group(a.s(1), b.s(2))).replace("tests.celery_diff.programs.", ""),
        repr(chord([a.s(1)], b.s(2))).replace("tests.celery_diff.programs.", ""),
    ]


@program
def lengths():
    """len, tasks and body of containers."""
    fan = group(a.s(), b.s(), x.s())
    joined = chord([a.s(), b.s()], x.s())
    return [len(fan), len(fan.tasks), len(chain(a.s(), b.s()).tasks), shape(joined.body), len(joined.tasks)]


@program
def replace_makes_a_changed_copy():
    """sig.replace(args, kwargs, options)."""
    sig = a.s(1, k=2).set(queue="q")
    other = sig.replace(args=(9,), kwargs={}, options={})
    return [list(other.args), dict(other.kwargs), dict(other.options), list(sig.args)]


@program
def equality_and_copies():
    """Signatures compare as dicts; deep copies are signatures."""
    sig = a.s(1)
    deep = copy.deepcopy(sig)
    return [sig == a.s(1), sig == a.s(2), deep == sig, isinstance(deep, Signature), a.s(1) == dict(a.s(1))]


@program
def map_kinds():
    """map, starmap and chunks as signatures."""
    return [
        isinstance(a.map([1, 2]), xmap),
        isinstance(a.starmap([(1, 2)]), xstarmap),
        isinstance(a.chunks([(1,)], 1), chunks),
        plain(list(a.map([1, 2]).kwargs["it"])),
        a.map([1]).kwargs["task"]["task"].rsplit(".", 1)[-1],
    ]


@program
def chunks_group():
    """chunks(..).group() is a group of starmaps."""
    fan = a.chunks([(n,) for n in range(5)], 2).group()
    return [type(fan).__name__, [[one["task"], plain(list(one.kwargs["it"]))] for one in fan.tasks]]


@program
def skew_gives_countdowns():
    """group.skew spreads countdowns over the members."""
    fan = group(a.s(n) for n in range(4)).skew(start=1, stop=10, step=2)
    return [one.options.get("countdown") for one in fan.tasks]


@program
def set_immutable_of_containers():
    """set_immutable on a group is for all, on a chord for the header."""
    fan = group(a.s(), b.s())
    fan.set_immutable(True)
    joined = chord([a.s(), b.s()], x.s())
    joined.set_immutable(True)
    return [shape(fan), shape(joined)]


@program
def freeze_gives_the_id():
    """freeze fixes the id; sig.id tells it."""
    sig = a.s(1)
    result = sig.freeze()
    named = b.s().freeze("name")
    return [sig.id == result.id, named.id, dict(b.s().set(task_id="t").options)]


@program
def freezing_a_chord():
    """freeze of a chord gives the body's result."""
    canvas = chord([a.s(), b.s()], x.s())
    result = canvas.freeze("body")
    return [result.id, type(result.parent).__name__, canvas.id == result.id]


@program
def chord_through_link():
    """chord.link is the body's; chord.link_error too."""
    canvas = chord([a.s(), b.s()], x.s())
    canvas.link(y.s())
    canvas.body.link_error(y.s())
    return [
        [shape(link) for link in canvas.body.options["link"]],
        [shape(link) for link in canvas.body.options["link_error"]],
        [dict(member.options) for member in canvas.tasks],
    ]
