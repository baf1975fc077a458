from smallage.as_celery.app.base import *
