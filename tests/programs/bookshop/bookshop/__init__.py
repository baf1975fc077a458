"""A shop laid out as a Django project is: its Celery app is loaded with the package."""

from .celery import app as celery_app

__all__ = ("celery_app",)
