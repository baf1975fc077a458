from smallage.as_celery.utils.imports import *
