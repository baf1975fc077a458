"""Mail: retried by itself on errors of the network."""

from celery import shared_task
from celery.utils.log import get_task_logger

logger = get_task_logger(__name__)


@shared_task(
    bind=True,
    autoretry_for=(OSError,),
    retry_backoff=True,
    retry_backoff_max=1,
    retry_jitter=False,
    retry_kwargs={"max_retries": 5},
)
def send_bill(self, order, customer):
    if self.request.retries == 0:
        raise OSError("the mail server is away")
    logger.info("bill for %s", customer)
    queue = self.request.delivery_info["routing_key"]
    return {**order, "customer": customer, "queue": queue, "rid": self.request.headers["x-request-id"]}
