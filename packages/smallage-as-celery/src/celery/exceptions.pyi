from smallage.as_celery.exceptions import *
