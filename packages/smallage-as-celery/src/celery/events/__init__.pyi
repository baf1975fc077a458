from smallage.as_celery.events import *
