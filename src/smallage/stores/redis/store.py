"""The store: all verbs over one link."""

from __future__ import annotations

from collections.abc import Callable

from smallage.stores.redis.address import Address
from smallage.stores.redis.keys import prefix
from smallage.stores.redis.limiting import Limiting
from smallage.stores.redis.link import Link
from smallage.stores.redis.operating import Operating
from smallage.stores.redis.producing import Producing
from smallage.stores.redis.reading import Reading
from smallage.stores.redis.scheduling import Scheduling
from smallage.stores.redis.working import Working


class RedisStore(Producing, Working, Operating, Limiting, Scheduling, Reading):
    """See `smallage.stores.base.Store`."""

    def __init__(
        self,
        address: Address,
        *,
        namespace: str,
        clock: Callable[[], int] | None,
        nonce: Callable[[], str] | None,
    ) -> None:
        super().__init__(Link(address, prefix(namespace), clock), namespace, nonce)
        self._listeners = {}

    def close(self) -> None:
        """See `Store.close`."""
        for listener in list(self._listeners.values()):
            listener.close()
        self._listeners.clear()
        self._link.close()

    def leave(self, session: str) -> list[str]:
        """See `Store.leave`."""
        released = super().leave(session)
        if (listener := self._listeners.pop(session, None)) is not None:
            listener.close()
        return released

    def after_fork(self) -> None:
        """See `Store.after_fork`."""
        for listener in list(self._listeners.values()):
            listener.forget()
        self._listeners = {}
        self._link.after_fork()
