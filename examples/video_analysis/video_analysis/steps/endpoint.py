"""The official client of an OpenAI-compatible endpoint, and its errors as ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from video_analysis.steps.errors import StepFailed, TryAgain

if TYPE_CHECKING:
    from openai import OpenAI


@contextlib.contextmanager
def client(base_url: str, api_key: str, timeout: float, what: str) -> Iterator[OpenAI]:
    """A client for the block. In it, an endpoint that is away or busy raises TryAgain, one that refuses StepFailed;
    `what` names it in these texts, such as "transcription".

    The client does not try again by itself: the task is tried again, and does not hold a worker meanwhile.
    """
    import openai

    try:
        with openai.OpenAI(
            base_url=base_url or None, api_key=api_key or "none", timeout=timeout, max_retries=0
        ) as made:
            yield made
    except openai.APIStatusError as error:
        if error.status_code in (408, 409, 429) or error.status_code >= 500:
            wait = error.response.headers.get("retry-after", "")
            after = float(wait) if wait.isdecimal() else None
            raise TryAgain(f"The {what} service is too busy (HTTP {error.status_code}).", after) from error
        raise StepFailed(f"The {what} service refused to work on this (HTTP {error.status_code}).") from error
    except openai.APIConnectionError as error:  # timeouts too
        raise TryAgain(f"The {what} service could not be reached.") from error
