from smallage.as_celery.bin.control import *
