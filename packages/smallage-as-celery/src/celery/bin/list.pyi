from smallage.as_celery.bin.list import *
