from smallage.as_celery.registry import *
