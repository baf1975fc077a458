from smallage.as_celery.worker.worker import *
