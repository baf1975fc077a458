from smallage.as_celery.bin.result import *
