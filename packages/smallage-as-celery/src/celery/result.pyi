from smallage.as_celery.result import *
