"""Signals of your own: `celery.utils.dispatch.signal`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from smallage.signals import Signal as _Signal


class Signal(_Signal):
    """Something that happens, with the keywords that its receivers get."""

    def __init__(
        self, providing_args: Iterable[str] | None = None, use_caching: Any = None, name: str | None = None
    ) -> None:
        super().__init__(name or "signal", tuple(providing_args or ()))


__all__ = ["Signal"]
