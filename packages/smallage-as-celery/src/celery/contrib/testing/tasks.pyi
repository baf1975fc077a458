from smallage.as_celery.contrib.testing.tasks import *
