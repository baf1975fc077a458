"""What ids, queue names and task names may look like, and ids that a re-run task makes again."""

from __future__ import annotations

import re
from typing import Any, Final

from smallage.core.errors import ImproperlyConfigured
from smallage.core.message import member_of

MAX_ID: Final = 128
MAX_QUEUE: Final = 64
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,199}")


def uuid_text(digits: str) -> str:
    """32 hexadecimal digits in a UUID's spelling."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def random_uuid_text(digits: str) -> str:
    """32 random hexadecimal digits as a version 4 UUID."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"


_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def child_id(parent: str, generation: int, retries: int, ordinal: int, digest: bytes) -> str:
    """Id of the `ordinal`-th task pushed by this attempt of `parent`: when a killed attempt is run again, it pushes
    the same ids, which the store answers with `dup`. An explicit retry or requeue gets new ones."""
    from hashlib import sha256  # loads OpenSSL

    text = f"{parent}\0{generation}\0{retries}\0{ordinal}\0".encode()
    return random_uuid_text(sha256(text + digest).hexdigest()[:32])


def check_task_id(text: Any) -> str:
    """`text` if it can be a task's id; raises ImproperlyConfigured saying why not."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_ID or not text.isprintable():
        raise ImproperlyConfigured(f"A task id is 1 to {MAX_ID} printable characters, not {_shown(text)}.")
    if member_of(text) is not None:
        raise ImproperlyConfigured(f"{text} is the id of a group's member; choose one without a dot and number.")
    return text


def check_queue(text: Any) -> str:
    """`text` if it can be a queue's name; raises ImproperlyConfigured saying why not."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_QUEUE or not text.isprintable():
        raise ImproperlyConfigured(f"A queue's name is 1 to {MAX_QUEUE} printable characters, not {_shown(text)}.")
    return text


def can_be_name(text: Any) -> bool:
    """True if `text` can be a task's name."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def check_name(text: Any) -> str:
    """`text` if it can be a task's name; raises ImproperlyConfigured saying why not."""
    if not can_be_name(text):
        raise ImproperlyConfigured(
            f"A task's name is a letter or underscore followed by letters, digits and _ . : - (at most 200), not "
            f"{_shown(text)}. Give the task one with name=."
        )
    return str(text)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
