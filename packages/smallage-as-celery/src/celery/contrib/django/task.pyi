from smallage.as_celery.contrib.django.task import *
