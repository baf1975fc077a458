from smallage.as_celery.app.registry import *
