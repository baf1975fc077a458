from smallage.as_celery.worker.control import *
