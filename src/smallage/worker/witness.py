"""Bodies that close what is not theirs: `os.closerange(3, …)` takes the worker's connections along, and its locks."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from smallage.core.message import Claim

logger = logging.getLogger("smallage.worker")

SWEPT: Final = 71
"""Exit code of a child whose descriptors were closed by a body."""


class Witness:
    """One descriptor of this process that every sweep takes along: the line to the supervisor."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._seen = _file_of(number)

    def look(self, claim: Claim) -> None:
        """After the body of `claim`: if the descriptor is gone or another's, this process is of no use any more. It
        ends at once, as if the body had crashed it, and a new one takes its place."""
        if _file_of(self._number) != self._seen:
            logger.critical(
                "The task %s[%s] closed descriptors of this worker (os.closerange?): the process cannot go on and is "
                "replaced, and the task counts as crashed. A task may close what it has opened, and nothing else.",
                claim.name,
                claim.id,
            )
            logging.shutdown()
            os._exit(SWEPT)


def _file_of(number: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return (found.st_dev, found.st_ino)
