"""`app.amqp`: what programs and their tests ask about queues and routes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from smallage import Smallage
from smallage.app.destinations import Exchange, Queue
from smallage.app.refused import NotOffered
from smallage.core.errors import ImproperlyConfigured, QueueNotFound
from smallage.stores import base


def an_app(**settings: Any) -> Smallage:
    return Smallage("amqp", broker="memory://", set_as_current=False, **settings)


@pytest.mark.parametrize(
    ("name", "given", "queue"),
    [
        ("mail.send", {}, "post"),
        ("reports.daily", {}, "slow"),
        ("mail.send", {"queue": "now"}, "now"),
        ("mail.send", {"queue": None}, "post"),
        ("other", {}, "celery"),
        ("other", {"routing_key": "slow.key"}, "slow"),
        ("by.function", {}, "chosen"),
    ],
)
def test_a_route_is_where_the_task_goes(name: str, given: dict[str, Any], queue: str) -> None:
    def choose(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **more: Any) -> Any:
        return {"queue": "chosen"} if name == "by.function" else None

    rules = ({"mail.*": "post"}, [(re.compile("reports"), {"queue": "slow", "priority": 3})], choose)
    app = an_app(task_routes=rules, task_queues=[Queue("celery"), Queue("slow", routing_key="slow.key")])
    store = base.open("memory://", shared=False)
    store.setup()
    app.use_store(store)
    route = app.amqp.router.route(given, name, args=(), kwargs={})
    assert isinstance(route["queue"], Queue)
    assert route["queue"].name == queue
    assert route.get("priority") == (3 if queue == "slow" and not given else None)
    app.send_task(name, **given)
    assert set(store.counts()) - {""} == {queue}


def test_a_call_without_a_queue_does_not_undo_the_route() -> None:
    def choose(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **more: Any) -> Any:
        return {"queue": "chosen", "priority": 4}

    app = an_app(task_routes=choose)
    task = app.task(name="mine")(lambda: None)
    sent = [task.apply_async(queue=None, priority=None), app.send_task("theirs", queue=None)]
    assert [app.store.state([one.id])[0].queue for one in sent] == ["chosen", "chosen"]
    app.close()


def test_queues_that_a_worker_serves() -> None:
    assert list(an_app().amqp.queues) == ["celery"]
    assert an_app(task_default_queue="d").amqp.default_queue.name == "d"
    app = an_app(task_queues=[Queue("a", Exchange("x"), routing_key="k"), "b"])
    assert set(app.amqp.queues.keys()) == set(app.amqp.queues.consume_from) == {"a", "b"}
    a, b = app.amqp.queues["a"], app.amqp.queues["b"]
    assert (a.exchange.name, a.routing_key) == ("x", "k")
    assert (b.exchange.name, b.routing_key) == ("b", "b")
    assert "c" not in app.amqp.queues
    assert app.amqp.queues["c"].name == "c"
    assert app.amqp.Queues().keys() == app.amqp.queues.keys()


def test_queues_are_chosen_as_a_worker_starts() -> None:
    app = an_app(task_queues=["a", "b"])
    queues = app.amqp.queues
    queues.deselect(["a", "b"])
    assert not queues
    with pytest.raises(ImproperlyConfigured, match="leaves no queue"):
        app.selection.served(["a", "b"])
    assert queues.select_add("w1.dq").name == "w1.dq"
    queues.add(Queue("a"))
    assert list(app.amqp.queues) == ["a", "w1.dq"]
    assert app.selection.served(["from", "the", "command", "line"]) == ("from", "the", "command", "line", "w1.dq", "a")
    app.amqp.queues.select("b")
    assert list(app.amqp.queues) == ["b"]
    assert app.selection.served(["celery"]) == ("b",)


def test_a_queue_that_the_settings_forbid() -> None:
    app = an_app(task_queues=["a"], task_create_missing_queues=False, task_routes={"t": "nowhere"})
    with pytest.raises(QueueNotFound, match="'nowhere' is not in task_queues"):
        app.amqp.router.route({}, "t")
    with pytest.raises(KeyError):
        app.amqp.queues["nowhere"]


def test_messages_are_refused_with_what_to_use() -> None:
    app = an_app()
    assert not hasattr(app.amqp, "as_task_v2")
    with pytest.raises(NotOffered, match=r"app\.amqp\.create_task_message is not offered.*router\.route"):
        app.amqp.create_task_message()
