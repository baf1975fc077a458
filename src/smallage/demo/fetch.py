"""Asking the third party: one kept connection for each thread, and the two ways in which an answer can fail."""

from __future__ import annotations

import http.client
import json
import os
import threading
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 30.0


class TransientError(Exception):
    """The third party could not answer now; asking again is worth it."""


class TooManyRequests(Exception):
    """The third party asked to be left alone for `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"429 Too Many Requests, Retry-After: {self.retry_after:g} s"


class _Kept(threading.local):
    connection: http.client.HTTPConnection | None = None
    of: tuple[int, str] = (0, "")


_kept = _Kept()


def fetch(base: str, path: str, task: str = "") -> Any:
    """The decoded JSON at `path`. `task` and this process's id travel as headers, for the third party's log.

    Raises TransientError for 5xx, broken connections and time-outs, TooManyRequests for 429, ValueError for the rest.
    """
    connection = _connection(base)
    try:
        connection.request("GET", path, headers={"X-Task": task, "X-Pid": str(os.getpid())})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()  # the next request opens it again
        raise TransientError(f"No answer for {path}: {error!r}") from error
    if response.status == 429:
        raise TooManyRequests(float(response.headers.get("Retry-After", "1")))
    if response.status >= 500:
        raise TransientError(f"{response.status} {response.reason} for {path}")
    if response.status != 200:
        raise ValueError(f"{response.status} {response.reason} for {path}")
    return json.loads(body)


def _connection(base: str) -> http.client.HTTPConnection:
    of = (os.getpid(), base)
    if _kept.connection is None or _kept.of != of:
        _kept.connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=TIMEOUT_S)
        _kept.of = of
    return _kept.connection
