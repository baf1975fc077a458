from smallage.as_celery.backends.base import *
