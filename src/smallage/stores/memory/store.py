"""The memory store: the verbs of all its parts."""

from __future__ import annotations

from smallage.stores.memory.operating import Operating
from smallage.stores.memory.reading import Reading
from smallage.stores.memory.schedules import Schedules
from smallage.stores.memory.sessions import Sessions
from smallage.stores.memory.working import Working


class MemoryStore(Working, Sessions, Reading, Operating, Schedules):
    """See `smallage.stores.base.Store`."""
