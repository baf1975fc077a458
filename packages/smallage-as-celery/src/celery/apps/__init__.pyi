from smallage.as_celery.apps import *
