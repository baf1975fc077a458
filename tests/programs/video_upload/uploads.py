"""Videos that were uploaded are sent on to a service that is sometimes away."""

import os
import urllib.request

from celery import Celery
from celery.utils.log import get_task_logger

app = Celery("uploads", broker=os.environ["QUEUE_URL"], backend=os.environ["QUEUE_URL"])
app.conf.update(task_serializer="json", accept_content=["json"], task_acks_late=True, worker_prefetch_multiplier=1)

logger = get_task_logger(__name__)


@app.task(bind=True, max_retries=3, ignore_result=True)
def upload_video(self, video):
    try:
        urllib.request.urlopen(f"{os.environ['VIDEO_API']}/{video}").close()
    except OSError as exc:
        logger.warning("upload of %s failed, attempt %d", video, self.request.retries)
        raise self.retry(exc=exc, countdown=60 * (2**self.request.retries))  # noqa: B904 - as such programs are written
    logger.info("upload of %s is done", video)
