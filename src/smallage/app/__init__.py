"""The app. Its class is put together from one part after another:

`configured` ← `stored` ← `patience` ← `sending` ← `registering` ← `calling` ← `discovering` ← `base`
"""

from smallage.app.base import Celery, Smallage
from smallage.app.current import current_app, current_task, share
from smallage.app.sending import new_id, refuse

__all__ = ["Celery", "Smallage", "current_app", "current_task", "new_id", "refuse", "share"]
