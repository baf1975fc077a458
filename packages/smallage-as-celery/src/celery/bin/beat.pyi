from smallage.as_celery.bin.beat import *
