"""One claim, from its bytes to its outcome. Nothing here touches the store but what the body itself asks for.

`execute` runs sync bodies, `aexecute` async ones. Neither raises: every way in which a body can end is an `Outcome`.
"""

from smallage.run.context import STORE_AWAY_US, HardTimeout, LocalContext, Terminated, WorkerContext
from smallage.run.executing import aexecute, ended, execute
from smallage.run.knowing import is_async, limits

__all__ = [
    "STORE_AWAY_US",
    "HardTimeout",
    "LocalContext",
    "Terminated",
    "WorkerContext",
    "aexecute",
    "ended",
    "execute",
    "is_async",
    "limits",
]
