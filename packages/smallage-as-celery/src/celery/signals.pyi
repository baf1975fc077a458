from smallage.as_celery.signals import *
