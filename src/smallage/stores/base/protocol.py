"""All verbs of a store together."""

from __future__ import annotations

from typing import Protocol

from smallage.stores.base.asking import Asking
from smallage.stores.base.groups import Groups
from smallage.stores.base.limits import Limiting
from smallage.stores.base.operating import Operating
from smallage.stores.base.pushing import Pushing
from smallage.stores.base.reading import Reading
from smallage.stores.base.schedules import Scheduling
from smallage.stores.base.sessions import Sessions
from smallage.stores.base.working import Working


class Store(Pushing, Groups, Working, Sessions, Asking, Reading, Operating, Limiting, Scheduling, Protocol):
    """The verbs. See the text of `smallage.stores.base` for the rules that all share, and that of each subject."""

    url: str
    """Where the store is, without secrets; fit for logs."""
    epoch: str
    """A name for what the store holds: another once somebody has emptied it and it was set up anew."""

    @property
    def breaks(self) -> int:
        """How often the server was lost from sight; it may come back without the last that it had confirmed."""

    def setup(self) -> None:
        """Create or check the schema, write the epoch into an empty store; raise StoreRefused if the store is unfit."""

    def close(self) -> None:
        """Let go of connections; twice is fine."""

    def after_fork(self) -> None:
        """Forget, without closing or speaking, every connection inherited from the parent process."""
