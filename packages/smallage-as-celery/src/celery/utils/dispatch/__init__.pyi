from smallage.as_celery.utils.dispatch import *
