"""Where tasks go, in the shape in which Celery's programs give it and ask for it. A queue of Smallage is a name."""

from __future__ import annotations

from typing import Any


class Exchange:
    """Celery's exchange: kept, and compared by name and type. Tasks go straight to their queue."""

    def __init__(self, name: str = "", type: str = "direct", channel: Any = None, **options: Any) -> None:
        self.name, self.type = name or "", type or "direct"
        for option, value in options.items():
            setattr(self, option, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exchange) and (self.name, self.type) == (other.name, other.type)

    def __hash__(self) -> int:
        return hash((self.name, self.type))

    def __repr__(self) -> str:
        return f"Exchange({self.name!r}, type={self.type!r})"


class Queue:
    """A queue of `task_queues`: a name, and the routing key that stands for it."""

    def __init__(
        self,
        name: str = "",
        exchange: Exchange | str | None = None,
        routing_key: str = "",
        channel: Any = None,
        bindings: Any = None,
        on_declared: Any = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.exchange = exchange if isinstance(exchange, Exchange) else Exchange(exchange or "")
        self.routing_key = routing_key
        self.max_priority: int | None = None
        self.queue_arguments: dict[str, Any] = {}
        self.bindings = set(bindings or ())
        for option, value in options.items():
            setattr(self, option, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Queue) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.name, self.routing_key))

    def __repr__(self) -> str:
        return f"Queue({self.name!r}, exchange={self.exchange!r}, routing_key={self.routing_key!r})"
