from smallage.as_celery.local import *
