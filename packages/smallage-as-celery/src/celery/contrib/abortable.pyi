from smallage.as_celery.contrib.abortable import *
