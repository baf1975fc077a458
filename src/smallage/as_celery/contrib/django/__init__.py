"""Django: `celery.contrib.django`."""
