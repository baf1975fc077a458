from smallage.as_celery.utils.time import *
