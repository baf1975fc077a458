from smallage.as_celery.contrib.testing.app import *
