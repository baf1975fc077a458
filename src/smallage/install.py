"""`smallage.install_as_celery()`: programs that import celery, without a change, in one process."""

from __future__ import annotations

from importlib import import_module


def install_as_celery() -> None:
    """Let `import celery` mean Smallage from now on, in this process, with all of its modules. Call it before anything
    imports Celery; a second call changes nothing.

    Raises ImproperlyConfigured if the real Celery has been imported before.
    """
    import_module("smallage.as_celery.aliasing").answer_to_celery()  # a floor above; only such programs ask for it
