"""`celery shell`."""

from __future__ import annotations

from smallage.cli.shell import shell

__all__ = ["shell"]
