from smallage.as_celery.app.task import *
