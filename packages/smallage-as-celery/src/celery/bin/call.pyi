from smallage.as_celery.bin.call import *
