from smallage.as_celery.contrib import *
