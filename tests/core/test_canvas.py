"""Signatures, groups, chords and maps: calls as plain data."""

from __future__ import annotations

import copy
import json
import operator
import pickle  # noqa: TID251 - signatures of other programs are copied by it
from types import SimpleNamespace

import pytest

from smallage.core import codec
from smallage.core.canvas import (
    Signature,
    chain,
    chord,
    chunks,
    group,
    maybe_signature,
    signature,
    subtask,
    xmap,
    xstarmap,
)
from smallage.core.errors import ImproperlyConfigured


def add(*args, **kwargs):
    return Signature("m.add", args, kwargs)


KINDS = [
    add(1, k=2),
    add(1) | add(2) | add(3),
    chain([]),
    group(add(1), add(2)),
    group([]),
    chord([add(1)], add(9)),
    chord([], add(9)),
    chord([add(1) | add(2)], group(add(3), chord([add(4)], add(5)))),
    xmap(add(), [1, 2]),
    xstarmap(add(), [[1, 2]]),
    chunks(add(), [[1], [2], [3]], 2),
]


@pytest.fixture
def client(monkeypatch):
    """The hooks of a client that remembers what it was asked to do."""
    seen = SimpleNamespace(sent=[], ids=iter(f"id{n}" for n in range(1, 100)))

    def send(sig, args, kwargs, options):
        seen.sent.append((sig, args, kwargs, options))
        return SimpleNamespace(get=lambda: "the result")

    def handle(sig, task_id, parent, members):
        return SimpleNamespace(sig=sig, id=task_id, parent=parent, members=members)

    tasks = {"m.add": lambda *args, **kwargs: (args, kwargs), "m.neg": operator.neg}
    monkeypatch.setattr(Signature, "send", staticmethod(send))
    monkeypatch.setattr(Signature, "here", staticmethod(send))
    monkeypatch.setattr(Signature, "handle", staticmethod(handle))
    monkeypatch.setattr(Signature, "new_id", staticmethod(lambda: next(seen.ids)))
    monkeypatch.setattr(Signature, "find", staticmethod(lambda sig: tasks[sig.task]))
    return seen


# -- one call -----------------------------------------------------------------------------------------------------
def test_a_signature_is_a_plain_dict():
    made = Signature("m.add", (1, 2), {"c": 3}, {"queue": "q"}, countdown=5)
    assert dict(made) == {
        "task": "m.add",
        "args": (1, 2),
        "kwargs": {"c": 3},
        "options": {"queue": "q", "countdown": 5},
        "subtask_type": None,
        "immutable": False,
    }
    assert json.loads(json.dumps(made))["args"] == [1, 2]
    assert repr(made) == "m.add(1, 2, c=3)"
    assert made.reprcall(0, c=4) == "m.add(0, 1, 2, c=4)"
    assert made.name == made.task == "m.add"


def test_parts_can_be_set():
    made = add()
    made.task, made.args, made.kwargs, made.options = "m.mul", [1], {"k": 2}, {}
    made.id, made.root_id, made.parent_id, made.immutable, made.subtask_type = "a", "r", "p", True, None
    assert dict(made) == {
        "task": "m.mul",
        "args": (1,),
        "kwargs": {"k": 2},
        "options": {"task_id": "a", "root_id": "r", "parent_id": "p"},
        "subtask_type": None,
        "immutable": True,
    }
    assert (made.id, made.root_id, made.parent_id) == ("a", "r", "p")
    assert (add().id, add().root_id, add().parent_id) == (None, None, None)


def test_later_arguments_go_first_and_later_keywords_win():
    made = add(2, a=1, b=2).set(queue="q", priority=3)
    args, kwargs, options = made.merged((1,), {"b": 3}, {"priority": 5, "expires": None})
    assert (args, kwargs, options) == ((1, 2), {"a": 1, "b": 3}, {"queue": "q", "priority": 5})


def test_an_immutable_signature_takes_options_only():
    made = Signature("m.add", (2,), immutable=True)
    assert made.merged((1,), {"b": 3}, {"queue": "q"}) == ((2,), {}, {"queue": "q"})
    assert made.clone((1,), queue="q") == Signature("m.add", (2,), {}, {"queue": "q"}, immutable=True)


def test_a_group_id_and_stamps_once_set_stay():
    made = add().set(group_id="g", stamped_headers=["s"], s=1)
    assert made.clone(group_id="other", stamped_headers=[], s=2, queue="q").options == {
        "group_id": "g",
        "stamped_headers": ["s"],
        "s": 1,
        "queue": "q",
    }
    assert add().clone(group_id="g").options == {"group_id": "g"}


def test_clones_leave_the_original_alone():
    made = add(1).set(headers={"a": 1})
    made.link(add(5))
    other = made.clone((0,), {"k": 1}, queue="q")
    other.options["headers"]["a"] = 2
    other.options["link"][0].set(queue="x")
    other.kwargs["k"] = 3
    assert made == Signature("m.add", (1,), {}, {"headers": {"a": 1}, "link": [add(5)]})
    assert (other.args, other.options["queue"]) == ((0, 1), "q")
    assert add().clone(queue=None).options == {"queue": None}
    assert add(1).partial((0,)).args == (0, 1)


def test_replace():
    made = add(1, k=2).set(queue="q")
    other = made.replace(args=(9,), options={})
    assert other == Signature("m.add", (9,), {"k": 2})
    assert made.options == {"queue": "q"}


@pytest.mark.parametrize("original", KINDS, ids=lambda one: repr(one).split("@")[0])
def test_copies_are_equal_and_apart(original):
    for made in (original.clone(), copy.copy(original), copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
        assert made == original
        assert type(made) is type(original)
        made.set(queue="q")
        for one in made["kwargs"].get("tasks", []):
            one.set(queue="q")
        assert made != original
    assert "queue" not in json.dumps(original)


@pytest.mark.parametrize("original", KINDS, ids=lambda one: repr(one).split("@")[0])
def test_signatures_survive_the_journey(original):
    for plain in (codec.decode_value(codec.encode_value(original)), json.loads(json.dumps(original))):
        back = signature(plain)
        assert type(back) is type(original)
        assert back == original
        assert repr(back).split("@")[0] == repr(original).split("@")[0]
        assert maybe_signature(plain) == back


def test_things_that_are_no_signatures():
    with pytest.raises(ImproperlyConfigured, match="names no task"):
        signature({"a": 1})
    with pytest.raises(ImproperlyConfigured, match=r"'tree' is no kind of signature known here; known are .*chain"):
        signature({"task": "a", "subtask_type": "tree"})
    with pytest.raises(TypeError, match="must be a signature"):
        add().set(link=5).flatten_links()
    assert maybe_signature(None) is None
    assert signature("m.add", (1,)).args == (1,)
    assert subtask is signature


def test_a_signature_is_cloned_by_signature_and_kept_by_maybe_signature():
    one = add(1)
    assert signature(one) == one
    assert signature(one) is not one
    assert maybe_signature(one) is one
    assert maybe_signature(one, clone=True) is not one
    app = object()
    assert maybe_signature({**add(1)}, app=app).app is app


def test_kinds_of_ones_own():
    @Signature.register_type("mine")
    class Mine(Signature):
        @classmethod
        def from_dict(cls, data, app=None):
            return cls(data)

    try:
        assert type(signature({"task": "a", "subtask_type": "mine"})) is Mine
    finally:
        del Signature.TYPES["mine"]


def test_links():
    made = add(1)
    done = add(2)
    assert made.link(done) is done
    made.link(add(2))
    assert made.on_error(add(3)) is made
    assert made.options == {"link": [add(2)], "link_error": [add(3)]}
    single = add().set(link=add(1))
    single.link(add(2))
    assert single.options["link"] == [add(1), add(2)]
    done.link(add(4))
    assert made.flatten_links() == [made, done, add(4)]


def test_stamping_is_refused():
    with pytest.raises(NotImplementedError, match=r"not offered.*headers"):
        add().stamp(visitor=None)
    with pytest.raises(NotImplementedError):
        group(add()).stamp(a=1)


def test_without_a_client_nothing_is_sent(monkeypatch):
    for name in ("send", "here", "find", "handle", "new_id", "current"):
        monkeypatch.setattr(Signature, name, None)
    for act in (lambda: add().delay(), lambda: add().apply(), lambda: add().freeze(), lambda: add()()):
        with pytest.raises(ImproperlyConfigured, match="make an app first"):
            act()
    assert add().app is None


def test_calling(client):
    made = add(2, k=1)
    made.delay(1, k=3)
    made.apply_async((0,), queue="q", expires=None)
    made.apply((5,), throw=None)
    assert client.sent == [(made, (1,), {"k": 3}, {}), (made, (0,), None, {"queue": "q"}), (made, (5,), None, {})]
    assert ~made == "the result"
    assert made(1, j=2) == ((1, 2), {"k": 1, "j": 2})
    assert xmap(Signature("m.neg"), [1, 2])() == [-1, -2]
    assert xstarmap(add(), [[1, 2]])() == [((1, 2), {})]


def test_whose_app():
    app, other = object(), object()
    theirs = Signature("m.add", app=app)
    assert theirs.app is app
    assert chain(theirs, add()).own_app() is app
    assert group(theirs).own_app() is app
    assert chord([add()], theirs).own_app() is app
    assert chord([theirs], Signature("b", app=other)).own_app() is app
    assert (theirs | add()).own_app() is app
    assert group([theirs], app=other).own_app() is other
    assert chain([]).own_app() is None
    assert xmap(theirs, []).own_app() is app
    assert chunks(theirs, [[1]], 1).group().own_app() is app


# -- ids fixed before the call ------------------------------------------------------------------------------------
def test_freeze(client):
    made = add(1)
    result = made.freeze(root_id="r", parent_id="p", group_id="g", group_index=2)
    assert result.id == made.id == "id1"
    assert made.options == {"task_id": "id1", "root_id": "r", "parent_id": "p", "group_id": "g", "group_index": 2}
    assert made.freeze("other").id == "id1"
    assert add().freeze("mine").id == "mine"


def test_freezing_a_chain(client):
    last = add(3)
    made = chain(add(1), group(add(7), add(8)), add(2), chord([add(4)], add(5)), last)
    result = made.freeze("end", root_id="r")
    ids = []
    node = result
    while node is not None:
        ids.append((node.id, None if node.members is None else [one.id for one in node.members]))
        node = node.parent
    assert ids == [
        ("end", None),
        ("id8", None),
        ("id6", ["id7"]),
        ("id5", None),
        ("id2", ["id3", "id4"]),
        ("id1", None),
    ]
    assert made.id == result.id == "end"
    assert all(one.root_id == "r" for one in made.tasks if one.subtask_type is None)
    first = made.tasks[0]
    assert [json.dumps(one) for one in made.steps()] == [json.dumps(one) for one in made.tasks]
    assert first.id == "id1"
    assert chain([]).freeze() is None


def test_freezing_reaches_the_callers_own_last_step(client):
    last = add(2)
    made = add(1) | last
    made.freeze()
    assert last.id == made.id == "id2"
    twice = chain.of([last, last])
    twice.freeze()
    assert twice.tasks[0].id == twice.tasks[1].id == "id2"
    fresh = add(5)
    both = chain.of([fresh, fresh])
    both.freeze()
    assert both.tasks[0].id != both.tasks[1].id


def test_freezing_a_group(client):
    made = group(add(1), group(add(2), add(3)), chain([]), add(4) | add(5))
    result = made.freeze("g")
    assert (result.id, made.id, result.parent) == ("g", "g", None)
    assert [one.id for one in result.members] == ["id1", "id2", "id3", "id5"]
    assert [one.tasks[-1].options if isinstance(one, chain) else one.options for one in made.tasks] == [
        {"task_id": name, "group_id": "g", "group_index": place}
        for place, name in enumerate(["id1", "id2", "id3", "id5"])
    ]
    assert [one.id for one in made.flat()] == ["id1", "id2", "id3", "id5"]


def test_freezing_a_chord(client):
    made = chord([add(1), add(2)], add(3) | add(4))
    result = made.freeze("end", group_id="outer", group_index=1)
    assert (result.id, made.body.id) == ("end", "end")
    assert made.body.tasks[-1].options == {"task_id": "end", "group_id": "outer", "group_index": 1}
    header = result.parent.parent
    assert header.id == made.id == made.header.id
    assert [one.id for one in header.members] == [one.id for one in made.tasks]
    again = signature(json.loads(json.dumps(made)))
    assert again.header.id == made.id
    assert again == made


# -- groups -------------------------------------------------------------------------------------------------------
def test_groups():
    assert len(group(add(n) for n in range(5))) == 5
    assert group(add(1), add(2)) == group([add(1), add(2)])
    assert group(group(add(1), add(2))) == group(add(1), add(2))
    assert group(add(1) | add(2)).tasks == [add(1) | add(2)]
    assert group({"task": "m.add", "args": [1]}).tasks == [add(1)]
    assert not group([])
    assert repr(group(add(1), add(2))) == "group([m.add(1), add(2)])"
    assert repr(group([])) == "group(<empty>)"


def test_groups_are_flattened_when_they_are_sent():
    made = group(add(1), group([add(2), add(3)], queue="q"), chain([]), add(4) | add(5), queue="r", task_id="g")
    members = made.flat((0,), {"k": 1}, priority=3, expires=None)
    assert [one.args for one in members[:3]] == [(0, 1), (0, 2), (0, 3)]
    assert [one.options for one in members[:3]] == [{"queue": "r", "priority": 3}] * 3
    assert members[3].tasks[0].args == (0, 4)
    assert len(members) == 4
    assert [one.options["queue"] for one in group(group([add(1)], queue="q"), add(2).set(queue="s")).flat()] == [
        "q",
        "s",
    ]
    assert [one.args for one in group(group(add(1), immutable=True), add(2)).flat((0,))] == [(1,), (0, 2)]


def test_links_of_groups():
    made = group(add(1), add(2))
    linked = made.link(add(3))
    assert linked == Signature("m.add", (3,), immutable=True)
    assert made.tasks[0].options == {"link": [linked]}
    assert made.tasks[1].options == {}
    assert made.link_error(add(4)) == (add(4), add(4))
    assert made.tasks[0].options["link_error"][0] is not made.tasks[1].options["link_error"][0]
    assert group([]).link_error(add(4)) == ()
    with pytest.raises(IndexError, match="empty group has no member"):
        group([]).link(add(1))


def test_group_set_and_skew():
    made = group(add(1), add(2)).set(immutable=True, queue="q")
    assert [one.immutable for one in made.tasks] == [True, True]
    assert (made.immutable, made.options) == (False, {"queue": "q"})
    made = group(add(n) for n in range(5)).skew(start=1, stop=3, step=1)
    assert [one.options["countdown"] for one in made.tasks] == [1, 2, 3, 3, 3]
    assert [one.options["countdown"] for one in group(add(1), add(2)).skew(step=0.5).tasks] == [1.0, 1.5]


# -- chords -------------------------------------------------------------------------------------------------------
def test_chords():
    made = chord([add(1), add(2)], add(3), queue="q")
    assert dict(made) == {
        "task": "celery.chord",
        "args": (),
        "kwargs": {"kwargs": {}, "header": [add(1), add(2)], "body": add(3)},
        "options": {"queue": "q"},
        "subtask_type": "chord",
        "immutable": False,
    }
    assert made.tasks == [add(1), add(2)]
    assert made.header == group(add(1), add(2))
    assert made.body == add(3)
    assert chord(group(add(1), add(2)), add(3)).tasks == made.tasks
    assert chord(add(1) | add(2), add(3)).tasks == made.tasks
    assert chord(add(1), add(3)).tasks == [add(1)]
    assert repr(made) == "%m.add([add(1), add(2)], 3)"
    assert repr(chord([add(1)], add(2) | add(3))) == "%(m.add([add(1)], 2) | add(3))"
    assert repr(chord([add(1)])) == "<chord without body: [m.add(1)]>"


def test_how_many_ends_a_body_waits_for():
    def ends(*members):
        return chord(list(members), add()).__length_hint__()

    assert ends(add(1), add(2)) == 2
    assert ends(group(add(1), add(2)), add(3)) == 3
    assert ends(add(1) | group(add(2), add(3)), chain([])) == 2
    assert ends(chain.of([add(1), group([])])) == 1
    assert ends(chord([add(1), add(2)], add(3)), chord([add(1)])) == 1


def test_sending_a_chord_with_arguments(client):
    made = chord([add(1)], args=(5,), kwargs={"kwargs": {"k": 1}})
    made(add(9), queue="q")
    assert client.sent == [(made, (), {"body": add(9)}, {"queue": "q"})]
    assert [(one.args, one.kwargs) for one in made.members((4,), {"j": 2})] == [((4, 5, 1), {"k": 1, "j": 2})]
    other = made.clone((4,), {"body": add(9), "j": 2})
    assert other.body == add(9)
    assert [(one.args, one.kwargs) for one in other.members()] == [((4, 5, 1), {"k": 1, "j": 2})]
    made.set(immutable=True)
    assert [one.args for one in made.members((4,))] == [(1,)]


def test_links_of_chords():
    made = chord([add(1), chord([add(2)], add(3))], add(4))
    assert made.link(add(5)) == add(5)
    with pytest.warns(PendingDeprecationWarning, match="task_allow_error_cb_on_chord_header"):
        assert made.link_error(add(6)) == add(6)
    assert made.body.options == {"link": [add(5)], "link_error": [add(6)]}
    assert made.tasks[0].options == {}
    assert made.tasks[1].body.options == {"link_error": [add(6)]}
    app = SimpleNamespace(conf=SimpleNamespace(task_allow_error_cb_on_chord_header=True))
    made = chord([add(1)], add(2), app=app)
    made.link_error(add(6))
    assert made.tasks[0].options == {"link_error": [Signature("m.add", (6,), immutable=True)]}
    with pytest.raises(TypeError, match="no body"):
        chord([add(1)]).link(add(2))


# -- maps ---------------------------------------------------------------------------------------------------------
def test_maps():
    made = xmap(add(5), range(3))
    assert dict(made) == {
        "task": "celery.map",
        "args": (),
        "kwargs": {"task": add(5), "it": [0, 1, 2]},
        "options": {},
        "subtask_type": None,
        "immutable": True,
    }
    assert repr(made) == "[m.add(x) for x in [0, 1, 2]]"
    assert repr(xstarmap(add(), [(1, 2)])) == "[m.add(*x) for x in [(1, 2)]]"
    assert repr(xmap(add(), range(1000))).endswith("...]")


def test_chunks(client):
    made = chunks(add(), ((n,) for n in range(5)), 2)
    parts = made.group().tasks
    assert [one["kwargs"]["it"] for one in parts] == [[(0,), (1,)], [(2,), (3,)], [(4,)]]
    assert {one.task for one in parts} == {"celery.starmap"}
    made(queue="q")
    made.delay(1)
    assert client.sent == [(made.group(), None, None, {"queue": "q"}), (made.group(), None, None, {})]
    with pytest.raises(ValueError, match="at least one row"):
        chunks(add(), [], 0)


# -- misuse -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: group([5]), r"group's members are signatures such as task\.s\(1\), not <int>"),
        (lambda: group(add(1), "x"), "group's members are signatures"),
        (lambda: group(5), "group takes signatures .* or a list of them, not <int>"),
        (lambda: chain(5), "chain takes signatures"),
        (lambda: chain([add(1), None]), "chain's members are signatures .* not None"),
        (lambda: chain("x"), "chain takes signatures"),
        (lambda: chord(5, add(1)), "chord's header takes signatures .* or a list of them"),
        (lambda: chord([add(1)], 5), "body of a chord must be a signature"),
        (lambda: chord([add(1)], [add(1)]), "body of a chord must be a signature"),
        (lambda: xmap(5, [1]), "map's members are signatures"),
    ],
)
def test_misuse_says_what_to_do(act, text):
    with pytest.raises(TypeError, match=text):
        act()


def test_names_at_the_top():
    import smallage

    assert smallage.chain is chain
    assert smallage.chunks is chunks
    with pytest.raises(ImportError, match=r"task\.starmap"):
        exec("from smallage import starmap")


def test_chords_in_chords_thirty_deep_find_their_app_at_once():
    asked = []

    class Leaf(Signature):
        def own_app(self):
            asked.append(1)
            return "app"

    one: Signature = Leaf("add")
    for _ in range(30):
        nested = chord([], Signature("total"))
        nested["kwargs"]["header"] = [one]
        one = nested
    assert one.own_app() == "app"
    assert len(asked) == 1
