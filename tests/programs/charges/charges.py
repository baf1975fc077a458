"""Customers are charged once, however often the task runs: the database says who has paid."""

import os
import sqlite3
import urllib.request

from celery import Celery

app = Celery("charges", broker=os.environ["QUEUE_URL"], backend=os.environ["QUEUE_URL"])


def database():
    connection = sqlite3.connect(os.environ["LEDGER"], timeout=30)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS charges (charge_key TEXT NOT NULL UNIQUE, cents INTEGER NOT NULL, attempt TEXT)"
    )
    return connection


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def charge(self, charge_key, cents):
    connection = database()
    try:
        with connection:
            connection.execute("INSERT INTO charges VALUES (?, ?, ?)", (charge_key, cents, self.request.id))
        outcome = "charged"
    except sqlite3.IntegrityError:
        outcome = "charged before"
    finally:
        connection.close()
    urllib.request.urlopen(f"{os.environ['RECEIPTS']}/{charge_key}").close()
    return {"outcome": outcome, "again": bool(self.request.delivery_info["redelivered"])}
