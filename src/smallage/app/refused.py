"""Members of Celery's app that have nothing behind them here, and what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn


class NotOffered(NotImplementedError, AttributeError):
    """Celery's app has this and ours does not; the text says what to use. `hasattr` gives False."""


class Refused:
    """A member that says what to use instead; `of` is what programs call its owner."""

    def __init__(self, instead: str, of: str = "app") -> None:
        self.instead = instead
        self.of, self.name = of, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, app: Any, owner: type) -> NoReturn:
        raise NotOffered(f"{self.of}.{self.name} is not offered: {self.instead}.")


class WithoutParts:
    """What belongs to Celery's insides."""

    steps = Refused("a worker's parts cannot be exchanged; signals say what happens in it")
    pool = Refused(
        "the store opens the connections that it needs. app.connection().ensure_connection() asks whether it is there; "
        "app.store.counts() and `smallage queues list` tell how many tasks wait in each queue"
    )
    producer_pool = Refused("the store opens the connections that it needs; app.send_task pushes")
    producer_or_acquire = Refused("the store opens the connections that it needs; app.send_task pushes")
    events = Refused("events of tasks are not published; app.control.inspect() asks the workers")
