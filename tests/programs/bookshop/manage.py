"""Commands of the shop: stock, order, health. Prints JSON."""

import json
import os
import sqlite3
import sys

from bookshop import celery_app, tracing
from bookshop.orders.tasks import place, take_stock
from celery.result import AsyncResult


def stock():
    with sqlite3.connect(os.environ["SHELVES"]) as db:
        db.execute("CREATE TABLE shelves (title TEXT PRIMARY KEY, copies INTEGER)")
        db.executemany("INSERT INTO shelves VALUES (?, ?)", [("Dune", 5), ("Emma", 5)])
    return "stocked"


def order(customer, *titles):
    tracing.request_id.set(f"request of {customer}")
    placed = place.apply_async(args=[customer, [[title, 2] for title in titles]], expires=600)
    bill = AsyncResult(placed.get(timeout=40), app=celery_app)
    try:
        return bill.get(timeout=40)
    except Exception as error:
        return {"failed": type(error).__name__, "state": bill.state}


def health():
    """What a health check looks at."""
    celery_app.connection_for_read().ensure_connection(max_retries=1, timeout=1)
    inspect = celery_app.control.inspect(timeout=5)
    served = [queue["name"] for queues in (inspect.active_queues() or {}).values() for queue in queues]
    celery_app.loader.import_default_modules()
    route = celery_app.amqp.router.route({}, "bookshop.mail.tasks.send_bill", args=(), kwargs={})
    return {
        "workers": sorted(inspect.ping() or {}),
        "served": sorted(served),
        "declared": [queue.name for queue in celery_app.conf.task_queues],
        "mail goes to": route["queue"].name,
        "own tasks": sorted(name for name in celery_app.tasks if name.startswith("bookshop.")),
        "scheduled": list(celery_app.conf.beat_schedule),
        "stock": take_stock.delay().get(timeout=40),
    }


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    print(json.dumps({"stock": stock, "order": order, "health": health}[command](*words)))
