import subprocess
import sys
from unittest.mock import MagicMock, patch

import newsroom
import pytest
from celery import states
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Retry
from newsroom import celery_app, develop, publish, write


def test_the_configuration():
    conf = celery_app.conf
    assert conf.task_acks_late is True
    assert conf.task_soft_time_limit < conf.task_time_limit
    assert {queue.name for queue in conf.task_queues} == {"news", "pictures"}
    assert celery_app.amqp.router.route({}, "newsroom.develop")["queue"].name == "pictures"
    assert set(celery_app.amqp.queues) == {"news", "pictures"}
    assert set(conf.beat_schedule["morning"]["schedule"].hour) == {6}
    for entry in conf.beat_schedule.values():
        assert entry["task"] in celery_app.tasks


def test_a_worker_would_find_the_tasks():
    code = "from newsroom import celery_app as app; app.loader.import_default_modules(); print(*sorted(app.tasks))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {"newsroom.develop", "newsroom.write"} <= set(found.split())


def test_the_function_and_the_task():
    assert write.run("rain") == "about rain"
    assert write("rain") == "about rain"
    result = write.apply(args=("rain",))
    assert result.successful()
    assert result.get() == "about rain"


def test_a_retry_is_raised():
    with patch.object(write, "retry", side_effect=Retry) as retry, pytest.raises(Retry):
        write("nothing")
    retry.assert_called_once()
    assert retry.call_args.kwargs["countdown"] == 1


def test_retries_end(eager):
    eager.conf.task_eager_propagates = False
    with pytest.raises(ValueError, match="nothing"):
        write.delay("nothing").get()


def test_eagerly(eager):
    assert write.delay("sun").get() == "about sun"
    assert write.s("sun").apply_async().state == states.SUCCESS


@patch("newsroom.write.apply_async")
def test_what_is_sent(apply_async):
    apply_async.return_value = MagicMock(id="42")
    assert publish("snow") == "42"
    apply_async.assert_called_once_with(args=["snow"], queue="news")


def test_with_a_worker(celery_app, celery_worker):
    @celery_app.task
    def double(x):
        return x * 2

    celery_worker.reload()
    assert double.delay(21).get(timeout=10) == 42


def test_with_the_session_s_worker(celery_session_app, celery_session_worker):
    assert celery_session_app.send_task("newsroom.develop", ("abc",), queue="pictures").get(timeout=10) == "cba"


@pytest.mark.celery(task_default_queue="marked")
def test_a_mark_sets_settings(celery_app):
    assert celery_app.conf.task_default_queue == "marked"


def test_a_worker_of_the_application_s_own(monkeypatch):
    monkeypatch.setattr(newsroom, "celery_app", newsroom.create_celery_app())
    app = newsroom.celery_app
    app.conf.update(broker_url="memory://", result_backend="cache+memory://")
    with start_worker(app, perform_ping_check=False):
        assert app.tasks["newsroom.write"].delay("fog").get(timeout=10) == "about fog"
    assert develop.name in app.tasks
