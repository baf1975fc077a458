"""Small programs written for Celery, run under Celery and under Smallage: what they see must be the same."""
