"""A Flask application of the older kind: a factory for its Celery, a task class with the application's context."""

import os
import sys

import click
from celery import Celery
from celery.result import AsyncResult
from celery.utils.log import get_task_logger
from flask import Flask, current_app

logger = get_task_logger(__name__)


def make_celery(app):
    celery = Celery(
        app.import_name, backend=app.config["CELERY_RESULT_BACKEND"], broker=app.config["CELERY_BROKER_URL"]
    )
    celery.conf.update(app.config)
    TaskBase = celery.Task

    class ContextTask(TaskBase):
        abstract = True

        def __call__(self, *args, **kwargs):
            with app.app_context():
                return TaskBase.__call__(self, *args, **kwargs)

    celery.Task = ContextTask
    return celery


def create_app():
    app = Flask("press")
    app.config.update(
        CELERY_BROKER_URL=os.environ["QUEUE_URL"],
        CELERY_RESULT_BACKEND=os.environ["QUEUE_URL"],
        CELERY_TASK_SERIALIZER="json",
        CELERYD_CONCURRENCY=1,
        PAPER="A4",
    )
    return app


flask_app = create_app()
celery = make_celery(flask_app)


@celery.task(bind=True)
def print_pages(self, pages):
    for page in range(1, pages + 1):
        self.update_state(state="PRINTING", meta={"page": page, "of": pages})
    return f"{pages} pages of {current_app.config['PAPER']}"


@celery.task(bind=True)
def jam(self, page):
    logger.warning("jammed at page %s", page)
    self.update_state(state="JAMMED", meta={"page": page})
    while True:
        pass


@click.group()
def cli():
    """The press."""


@cli.command()
@click.option("--pool", default="solo")
def work(pool):
    celery.worker_main(["worker", "--loglevel=INFO", f"--pool={pool}", "-n", "press@%h"])


@cli.command("print")
@click.argument("pages", type=int)
def print_(pages):
    click.echo(print_pages.delay(pages).id)


@cli.command()
def break_down():
    click.echo(celery.send_task("press.jam", args=[7]).id)


@cli.command()
@click.argument("job")
def look(job):
    result = AsyncResult(job, app=celery)
    page = result.info.get("page") if isinstance(result.info, dict) else None
    click.echo(f"{result.state} {page or result.result}")


@cli.command()
@click.argument("job")
def cancel(job):
    celery.control.revoke(job, terminate=True, signal="SIGKILL")


if __name__ == "__main__":
    sys.exit(cli())
