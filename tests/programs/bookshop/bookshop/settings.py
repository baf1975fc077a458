"""What a settings module says, beside much that is nobody's business here."""

import os

from celery.schedules import crontab
from kombu import Exchange, Queue

DEBUG = False
INSTALLED_APPS = ["bookshop.orders", "bookshop.mail"]
SECRET_KEY = "not for the log"

CELERY_BROKER_URL = os.environ["QUEUE_URL"]
CELERY_RESULT_BACKEND = os.environ["QUEUE_URL"]
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_TIMEZONE = "Europe/Lisbon"
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_TIME_LIMIT = 300
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 7200}
CELERY_TASK_DEFAULT_QUEUE = "orders"
CELERY_TASK_QUEUES = (
    Queue("orders", Exchange("orders"), routing_key="orders"),
    Queue("mail", Exchange("mail"), routing_key="mail"),
)
CELERY_TASK_ROUTES = {"bookshop.mail.tasks.*": {"queue": "mail", "routing_key": "mail"}}
CELERY_BEAT_SCHEDULE = {
    "stocktaking": {"task": "bookshop.orders.tasks.take_stock", "schedule": crontab(hour=4, minute=30)},
}
