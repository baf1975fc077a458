from smallage.as_celery.utils import *
