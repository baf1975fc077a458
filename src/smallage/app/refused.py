"""Members of Celery's app that have nothing behind them here, and what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn


class NotOffered(NotImplementedError, AttributeError):
    """Celery's app has this and ours does not; the text says what to use. `hasattr` gives False."""


class Refused:
    """A member that says what to use instead."""

    def __init__(self, instead: str) -> None:
        self.instead = instead
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, app: Any, owner: type) -> NoReturn:
        raise NotOffered(f"app.{self.name} is not offered: {self.instead}.")


class WithoutParts:
    """What belongs to Celery's insides."""

    steps = Refused("a worker's parts cannot be exchanged; signals say what happens in it")
    pool = Refused("the store opens the connections that it needs; app.store is it")
    producer_pool = Refused("the store opens the connections that it needs; app.send_task pushes")
    producer_or_acquire = Refused("the store opens the connections that it needs; app.send_task pushes")
    amqp = Refused("there is no broker with queues and exchanges; app.send_task pushes, app.conf.task_queues lists")
    events = Refused("events of tasks are not published; app.control.inspect() asks the workers")
    Worker = Refused("start a worker by app.worker_main(['worker']), or in a test by smallage.testing.start_worker")
    WorkController = Refused("start a worker by app.worker_main(['worker'])")
    Beat = Refused("workers schedule by themselves; app.start(['beat']) does nothing else")
