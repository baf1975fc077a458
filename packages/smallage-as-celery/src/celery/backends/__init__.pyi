from smallage.as_celery.backends import *
