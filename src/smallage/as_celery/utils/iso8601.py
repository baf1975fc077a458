"""Instants as text: `celery.utils.iso8601`."""

from __future__ import annotations

import datetime as dt


def parse_iso8601(datestring: str) -> dt.datetime:
    """The instant; raises ValueError."""
    return dt.datetime.fromisoformat(datestring)


__all__ = ["parse_iso8601"]
