"""The programs, one module a theme. They import only Celery's public names, and nothing of Smallage."""
