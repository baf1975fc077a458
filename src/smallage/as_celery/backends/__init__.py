"""Where results are: `celery.backends`."""
