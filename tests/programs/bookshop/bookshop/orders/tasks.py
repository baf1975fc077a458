"""Orders: a task class that holds a database connection, retries that wait longer, a chord, a loop for coroutines."""

import asyncio
import os
import sqlite3

from celery import Task, chain, chord, group, shared_task
from celery.exceptions import MaxRetriesExceededError
from celery.signals import worker_process_init
from celery.utils.log import get_task_logger

from bookshop import tracing  # noqa: F401 - its receivers are connected as it is imported
from bookshop.mail.tasks import send_bill

logger = get_task_logger(__name__)
loop = None


@worker_process_init.connect
def make_a_loop(**kwargs):
    global loop
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)


class DatabaseTask(Task):
    """Opens a connection at its first use, and closes it after each run."""

    _db = None

    @property
    def db(self):
        if self._db is None:
            self._db = sqlite3.connect(os.environ["SHELVES"], timeout=30)
        return self._db

    def after_return(self, *args, **kwargs):
        if self._db is not None:
            self._db.close()
            self._db = None

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        logger.error("order %s failed: %s", args[0] if args else "?", exc)


@shared_task(bind=True, base=DatabaseTask)
def reserve(self, title, copies):
    with self.db:
        changed = self.db.execute(
            "UPDATE shelves SET copies = copies - ? WHERE title = ? AND copies >= ?", (copies, title, copies)
        ).rowcount
    if not changed:
        raise ValueError(f"not enough of {title}")
    return {"title": title, "copies": copies}


@shared_task(bind=True, max_retries=3, default_retry_delay=0)
def price(self, reserved):
    """Asks somebody who answers at the third time only."""

    async def ask():
        await asyncio.sleep(0)
        if self.request.retries < 2:
            raise ConnectionError("try again")
        return reserved["copies"] * 12

    try:
        return {**reserved, "price": loop.run_until_complete(ask())}
    except ConnectionError as exc:
        try:
            raise self.retry(exc=exc, countdown=0)
        except MaxRetriesExceededError:
            return {**reserved, "price": None}


@shared_task
def total(lines):
    logger.info("adding up %s lines", len(lines))
    return {"lines": sorted(line["title"] for line in lines), "total": sum(line["price"] for line in lines)}


@shared_task(bind=True)
def place(self, customer, lines):
    """Starts the workflow of an order; its result leads to the bill."""
    self.update_state(state="PLACING", meta={"lines": len(lines)})
    header = group(chain(reserve.s(title, copies), price.s()) for title, copies in lines)
    bill = chord(header, chain(total.s(), send_bill.s(customer)))
    return bill.apply_async().id


@shared_task(base=DatabaseTask, bind=True)
def take_stock(self):
    return dict(self.db.execute("SELECT title, copies FROM shelves"))
