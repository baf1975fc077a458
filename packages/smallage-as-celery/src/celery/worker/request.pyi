from smallage.as_celery.worker.request import *
