from smallage.as_celery.bin.base import *
