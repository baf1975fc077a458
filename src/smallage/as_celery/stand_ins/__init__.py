"""The few names of kombu and billiard that programs for Celery import, where those are not installed."""
