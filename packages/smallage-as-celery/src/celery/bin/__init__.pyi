from smallage.as_celery.bin import *
