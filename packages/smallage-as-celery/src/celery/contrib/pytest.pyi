from smallage.as_celery.contrib.pytest import *
