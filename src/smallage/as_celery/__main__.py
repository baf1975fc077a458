"""`python -m celery`."""

from smallage.as_celery.bin.celery import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
