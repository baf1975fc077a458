"""A request's id, handed from the web to tasks and from task to task in headers."""

import logging
from contextvars import ContextVar

from celery.signals import after_setup_task_logger, before_task_publish, task_postrun, task_prerun

request_id = ContextVar("request_id", default="")
_tokens = {}


@before_task_publish.connect
def hand_on(headers=None, **kwargs):
    if request_id.get():
        headers["x-request-id"] = request_id.get()


@task_prerun.connect
def take_up(task_id=None, task=None, **kwargs):
    headers = getattr(task.request, "headers", None) or {}
    _tokens[task_id] = request_id.set(headers.get("x-request-id", ""))


@task_postrun.connect
def put_down(task_id=None, **kwargs):
    token = _tokens.pop(task_id, None)
    if token is not None:
        request_id.reset(token)


class WithRequestId(logging.Filter):
    def filter(self, record):
        record.request_id = request_id.get() or "-"
        return True


@after_setup_task_logger.connect
def say_it(logger=None, **kwargs):
    for handler in logger.handlers:
        handler.addFilter(WithRequestId())
        handler.setFormatter(logging.Formatter("%(request_id)s | %(message)s"))
