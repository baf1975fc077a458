"""The settings: Celery's names, old and new, and what becomes of each."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from smallage.core import settings
from smallage.core.errors import ImproperlyConfigured
from smallage.core.settings import Settings, settings_of


def test_defaults():
    conf = Settings()
    assert conf.task_default_queue == "celery"
    assert conf["result_expires"] == 86_400
    assert conf.get("task_acks_late", 5) is None
    assert conf.get("no_such", 5) == 5
    assert "broker_url" in conf
    assert "no_such" not in conf
    assert not conf.given("broker_url")
    assert "task_routes" in set(conf)


def test_values_are_converted_and_the_version_rises():
    conf = Settings()
    before = conf.version
    conf.task_always_eager = "yes"
    conf.worker_concurrency = "8"
    conf.task_queues = ["a", type("Queue", (), {"name": "b"})()]
    conf.result_expires = dt.timedelta(hours=1)
    conf.worker_pool = "prefork"
    assert conf.task_always_eager is True
    assert conf.worker_concurrency == 8
    assert conf.task_queues == ("a", "b")
    assert conf.worker_pool == "processes"
    assert conf.version == before + 5
    assert conf.given("task_queues")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_always_eager", "perhaps"),
        ("worker_concurrency", -1),
        ("worker_concurrency", 1.5),
        ("task_default_priority", 10),
        ("task_default_queue", "a\nb"),
        ("task_time_limit", 0),
        ("result_expires", "soon"),
        ("task_serializer", "pickle"),
        ("accept_content", ["json", "yaml"]),
        ("result_backend", "db+postgresql://u:secret@h/x"),
        ("broker_url", 3),
        ("worker_pool", "eventlet"),
        ("imports", [1]),
        ("timezone", 3),
        ("broker_transport_options", []),
        ("security_key", "x"),
    ],
)
def test_values_that_cannot_work(name, value):
    with pytest.raises(ImproperlyConfigured, match=name) as refusal:
        setattr(Settings(), name, value)
    assert "secret" not in str(refusal.value)


def test_ignored_settings_leave_a_note():
    conf = Settings()
    conf.update(broker_heartbeat=5, CELERYD_STATE_DB="x", mongodb_backend_settings={})
    assert len(conf.notes) == 3
    assert all(re.match(r"The setting \w+ has no effect: .+\.", note) for note in conf.notes)
    assert conf.broker_heartbeat == 5


def test_unknown_names_are_errors_that_name_the_nearest():
    conf = Settings()
    with pytest.raises(ImproperlyConfigured, match="did you mean 'task_routes'"):
        conf.task_rotes = {}
    with pytest.raises(AttributeError, match="did you mean"):
        _ = conf.task_rotes
    with pytest.raises(KeyError):
        _ = conf["task_rotes"]


def test_update_keeps_unknown_names():
    """As Flask's `conf.update(app.config)` needs it."""
    conf = Settings()
    conf.update({"SECRET": 1, "CELERY_TASK_RESULT_EXPIRES": 60}, task_default_queue="q")
    assert conf["SECRET"] == 1
    assert conf.SECRET == 1
    assert conf.result_expires == 60
    assert conf.task_default_queue == "q"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CELERY_DEFAULT_QUEUE", "task_default_queue"),
        ("CELERYD_CONCURRENCY", "worker_concurrency"),
        ("CELERYBEAT_SCHEDULE", "beat_schedule"),
        ("CELERY_RESULT_BACKEND", "result_backend"),
        ("CELERY_TASK_RESULT_EXPIRES", "result_expires"),
        ("CELERY_ACCEPT_CONTENT", "accept_content"),
        ("CELERY_TIMEZONE", "timezone"),
        ("CELERY_ENABLE_UTC", "enable_utc"),
        ("CELERYD_TASK_TIME_LIMIT", "task_time_limit"),
        ("CELERY_EAGER_PROPAGATES_EXCEPTIONS", "task_eager_propagates"),
        ("CELERY_TASK_SERIALIZER", "task_serializer"),
        ("CELERY_ALWAYS_EAGER", "task_always_eager"),
        ("BROKER_URL", "broker_url"),
        ("CELERY_SEND_EVENTS", "worker_send_task_events"),
    ],
)
def test_old_spellings(old, new):
    found = settings.find(old)
    assert found is not None
    assert found[0] == new


def test_a_configuration_object():
    source = {"broker_url": "redis://x", "task_ignore_result": True, "json": 1, "_hidden": 2, "SOMETHING": 3}
    assert settings_of(source) == {"broker_url": "redis://x", "task_ignore_result": True}


def test_a_namespace():
    source = {"CELERY_BROKER_URL": "redis://x", "CELERY_TASK_ALWAYS_EAGER": True, "DEBUG": True, "BROKER_URL": "no"}
    assert settings_of(source, "CELERY") == {"broker_url": "redis://x", "task_always_eager": True}


def test_old_and_new_spellings_do_not_mix():
    with pytest.raises(ImproperlyConfigured, match="CELERY_DEFAULT_QUEUE → task_default_queue"):
        settings_of({"task_ignore_result": 1, "task_track_started": 1, "CELERY_DEFAULT_QUEUE": "q"})
    with pytest.raises(ImproperlyConfigured, match="task_ignore_result → CELERY_IGNORE_RESULT"):
        settings_of({"task_ignore_result": 1, "CELERY_DEFAULT_QUEUE": "q", "CELERYD_CONCURRENCY": 2})
    both = {"task_default_queue": "new", "CELERY_DEFAULT_QUEUE": "old"}
    assert settings_of(both) == {"task_default_queue": "new"}


def test_tls_is_never_dropped_in_silence():
    conf = settings.Settings()
    conf.broker_use_ssl = False
    with pytest.raises(ImproperlyConfigured, match="rediss://"):
        conf.broker_use_ssl = {"ssl_cert_reqs": "required"}
