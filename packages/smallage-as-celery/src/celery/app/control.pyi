from smallage.as_celery.app.control import *
