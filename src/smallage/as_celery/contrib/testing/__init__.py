"""Tests of programs: `celery.contrib.testing`."""
