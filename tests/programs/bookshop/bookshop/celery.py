"""The app: settings by their prefix from one module, tasks found in the parts of the shop."""

import os

from celery import Celery

os.environ.setdefault("BOOKSHOP_SETTINGS", "bookshop.settings")

app = Celery("bookshop")
app.config_from_object(os.environ["BOOKSHOP_SETTINGS"], namespace="CELERY")
app.autodiscover_tasks(["bookshop.orders", "bookshop.mail"])


@app.task(bind=True, ignore_result=True)
def debug_task(self):
    print(f"Request: {self.request!r}")
