"""`celery beat`."""

from __future__ import annotations

from smallage.cli.beat import beat

__all__ = ["beat"]
