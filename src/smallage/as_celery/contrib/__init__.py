"""Additions: `celery.contrib`."""
