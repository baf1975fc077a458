from smallage.as_celery.utils.iso8601 import *
