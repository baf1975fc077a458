"""How a step ends that does not succeed. The texts are for the user who submitted the video."""

from __future__ import annotations


class StepFailed(Exception):
    """It cannot succeed with this video: trying again is of no use."""


class NotAllowed(StepFailed):
    """The address is none that this server will fetch from."""


class TryAgain(Exception):
    """Something passing was in the way, such as a network that is down.

    `after`: seconds that the other side asked us to wait, if it did.
    """

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after
