from smallage.as_celery.worker import *
