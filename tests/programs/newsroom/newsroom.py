"""A small application whose own tests are what is run here."""

from celery import Celery, shared_task
from celery.schedules import crontab
from kombu import Queue


def create_celery_app():
    app = Celery("newsroom", broker="redis://localhost:1/0", backend="redis://localhost:1/0", include=["newsroom"])
    app.conf.update(
        task_default_queue="news",
        task_queues=[Queue("news"), Queue("pictures", routing_key="pictures.#")],
        task_routes={"newsroom.develop": {"queue": "pictures"}},
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_time_limit=600,
        task_soft_time_limit=540,
        beat_schedule={"morning": {"task": "newsroom.write", "schedule": crontab(hour=6, minute=0), "args": ("dawn",)}},
    )
    return app


celery_app = create_celery_app()


@shared_task(bind=True, name="newsroom.write", max_retries=2)
def write(self, about):
    if about == "nothing":
        raise self.retry(exc=ValueError(about), countdown=1)
    return f"about {about}"


@shared_task(name="newsroom.develop")
def develop(picture):
    return picture[::-1]


def publish(about):
    """What the web application calls."""
    return write.apply_async(args=[about], queue="news").id
