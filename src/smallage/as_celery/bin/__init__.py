"""The commands of `celery`: `celery.bin`."""
