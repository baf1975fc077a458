from smallage.as_celery.__main__ import *
