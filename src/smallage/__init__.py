"""Background tasks for Python: Celery's way of writing them, kept safe by one store."""

from smallage.__about__ import __version__

__all__ = ["__version__"]
