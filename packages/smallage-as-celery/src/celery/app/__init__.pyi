from smallage.as_celery.app import *
