"""`celery call`."""

from __future__ import annotations

from smallage.cli.call import call

__all__ = ["call"]
