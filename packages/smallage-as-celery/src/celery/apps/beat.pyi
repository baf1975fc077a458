from smallage.as_celery.apps.beat import *
