"""`app.connection()`: the store, as Celery's programs ask whether it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.app.refused import Refused
from smallage.core.store_url import place

if TYPE_CHECKING:
    from smallage.app.base import Smallage


_CHANNELS = (
    "tasks are not kept as a broker's messages. app.store.counts() and `smallage queues list` tell how many wait in "
    "each queue, app.control.purge() removes them, app.send_task pushes"
)


class Connection:
    """Looks like a connection; the store keeps its own, so that closing this one closes nothing."""

    default_channel = Refused(_CHANNELS, "connection")
    channel = Refused(_CHANNELS, "connection")
    transport = Refused(_CHANNELS, "connection")
    SimpleQueue = Refused(_CHANNELS, "connection")
    SimpleBuffer = Refused(_CHANNELS, "connection")
    Consumer = Refused(_CHANNELS, "connection")
    Producer = Refused(_CHANNELS, "connection")
    drain_events = Refused(_CHANNELS, "connection")

    def __init__(self, app: Smallage) -> None:
        self.app = app

    @property
    def connected(self) -> bool:
        """True if the store answers now."""
        from smallage.core.errors import StoreError

        try:
            self.connect()
        except StoreError:
            return False
        return True

    def connect(self) -> Connection:
        """Ask the store. Raises StoreUnavailable (an OperationalError) if it does not answer."""
        self.app.store.state([])
        self.app.store.counts()
        return self

    def ensure_connection(self, *_: Any, max_retries: int | None = None, **__: Any) -> Connection:
        """The same, tried again as `task_publish_retry_policy` says, or `max_retries` times."""
        policy = None if max_retries is None else {"max_retries": max_retries}
        self.app.patiently(self.connect, True, policy)
        return self

    def as_uri(self, include_password: bool = False, **_: Any) -> str:
        """The store's URL, without secrets unless asked for."""
        return self.app.url if include_password else place(self.app.url)

    def release(self) -> None:
        """Nothing to do."""

    close = release

    def clone(self, **_: Any) -> Connection:
        return Connection(self.app)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<Connection: {self.as_uri()}>"
