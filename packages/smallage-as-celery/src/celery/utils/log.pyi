from smallage.as_celery.utils.log import *
