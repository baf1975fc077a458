from smallage.as_celery.platforms import *
