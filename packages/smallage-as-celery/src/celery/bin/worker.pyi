from smallage.as_celery.bin.worker import *
