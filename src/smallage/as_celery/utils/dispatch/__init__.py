"""Signals of your own: `celery.utils.dispatch`."""

from __future__ import annotations

from smallage.as_celery.utils.dispatch.signal import Signal

__all__ = ["Signal"]
