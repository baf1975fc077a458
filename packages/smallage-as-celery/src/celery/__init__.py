"""Celery's name, answered by Smallage: this module puts `smallage.as_celery` in its own place."""

import sys

from smallage.as_celery.aliasing import answer_to_celery, check_alone

check_alone()
del sys.modules[__name__]
answer_to_celery()
