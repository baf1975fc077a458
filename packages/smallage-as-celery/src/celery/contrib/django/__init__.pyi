from smallage.as_celery.contrib.django import *
