from smallage.as_celery.states import *
