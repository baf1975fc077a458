from smallage.as_celery.app.utils import *
