from smallage.as_celery.bin.shell import *
