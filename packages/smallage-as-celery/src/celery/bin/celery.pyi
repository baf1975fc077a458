from smallage.as_celery.bin.celery import *
