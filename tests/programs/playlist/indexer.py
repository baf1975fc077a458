"""A playlist's videos are indexed side by side; whoever asked keeps an id to look at the progress."""

import os
import urllib.request

from celery import Celery, group
from celery.result import GroupResult

app = Celery("indexer", broker=os.environ["QUEUE_URL"], backend=os.environ["QUEUE_URL"])
app.conf.task_track_started = True


@app.task
def process_video_task(video_id, language):
    with urllib.request.urlopen(f"{os.environ['VIDEO_API']}/{video_id}") as answer:
        return {"video": video_id, "language": language, "bytes": len(answer.read())}


@app.task(bind=True)
def process_playlist_task(self, video_ids, language="en"):
    self.update_state(state="PROGRESS", meta={"videos": len(video_ids)})
    tasks = [process_video_task.s(video_id, language) for video_id in video_ids]
    result = group(tasks).apply_async()
    result.save()
    return {"group": result.id, "videos": len(video_ids)}


def saved(group_id):
    result = GroupResult.restore(group_id, app=app)
    if result is None:
        raise LookupError(group_id)
    return result


def progress(group_id):
    result = saved(group_id)
    return {"done": result.completed_count(), "of": len(result), "failed": result.failed()}


def transcripts(group_id):
    return saved(group_id).get(timeout=40)


if __name__ == "__main__":
    import json
    import sys

    what, name = sys.argv[1:]
    print(json.dumps({"progress": progress, "transcripts": transcripts}[what](name)))
