from smallage.as_celery.app.defaults import *
