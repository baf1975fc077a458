from smallage.as_celery._state import *
