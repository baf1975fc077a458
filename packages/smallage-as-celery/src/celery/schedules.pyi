from smallage.as_celery.schedules import *
