from smallage.as_celery import *
