"""`celery purge`."""

from __future__ import annotations

from smallage.cli.purge import purge

__all__ = ["purge"]
