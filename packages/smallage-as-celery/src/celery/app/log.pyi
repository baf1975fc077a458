from smallage.as_celery.app.log import *
