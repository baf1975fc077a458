from smallage.as_celery.canvas import *
