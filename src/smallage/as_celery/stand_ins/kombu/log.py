"""`kombu.log`."""

from __future__ import annotations

from logging import getLogger as get_logger

__all__ = ["get_logger"]
