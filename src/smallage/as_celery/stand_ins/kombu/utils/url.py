"""Pieces of URLs: `kombu.utils.url`."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from smallage.core.store_url import place

safequote = partial(quote, safe="")
"""Text as it may stand anywhere in a URL, such as a password."""


def sanitize_url(url: str, mask: str = "**") -> str:
    """A store's URL without its secrets."""
    return place(url)


__all__ = ["quote", "safequote", "sanitize_url"]
