from smallage.as_celery.concurrency import *
