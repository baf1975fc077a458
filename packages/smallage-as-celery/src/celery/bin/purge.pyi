from smallage.as_celery.bin.purge import *
