from smallage.as_celery.contrib.testing import *
