from smallage.as_celery.utils.dispatch.signal import *
