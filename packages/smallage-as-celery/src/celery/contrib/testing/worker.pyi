from smallage.as_celery.contrib.testing.worker import *
