from smallage.as_celery.beat import *
