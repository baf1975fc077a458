from smallage.as_celery.apps.worker import *
