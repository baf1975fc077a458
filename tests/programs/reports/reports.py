"""A report each night at three, and a heartbeat every half minute."""

import os

from celery import Celery
from celery.schedules import crontab

app = Celery("reports", broker=os.environ["QUEUE_URL"], backend=os.environ["QUEUE_URL"])
app.conf.timezone = "Europe/Berlin"
app.conf.beat_schedule = {
    "nightly-report": {
        "task": "reports.write_report",
        "schedule": crontab(hour=3, minute=0),
        "args": ("nightly",),
    },
    "heartbeat": {
        "task": "reports.beat_of_the_heart",
        "schedule": 30.0,
    },
}


def note(line):
    with open(os.environ["REPORTS"], "a") as book:
        book.write(line + "\n")


@app.task
def write_report(kind):
    note(f"report {kind}")


@app.task
def beat_of_the_heart():
    note("alive")
