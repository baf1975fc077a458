"""The settings: Celery's names, old and new, and what becomes of each."""

from __future__ import annotations

import datetime as dt
import re
import ssl
from pathlib import Path

import pytest

from smallage.core import settings, store_url
from smallage.core.errors import ImproperlyConfigured
from smallage.core.setting_table import ELSEWHERE
from smallage.core.settings import Settings, settings_of


def test_defaults():
    conf = Settings()
    assert conf.task_default_queue == "celery"
    assert conf["result_expires"] == dt.timedelta(days=1)
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
    conf.update(broker_heartbeat=5, CELERYD_STATE_DB="x", mongodb_backend_settings={"database": "x"})
    assert len(conf.notes) == 3
    assert list(conf.ignored) == ["broker_heartbeat", "CELERYD_STATE_DB", "mongodb_backend_settings"]
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
    assert settings_of(source) == {"broker_url": "redis://x", "task_ignore_result": True, "json": 1, "SOMETHING": 3}


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


def test_a_value_that_asks_for_what_happens_anyway_is_no_news():
    conf = Settings()
    conf.update(
        broker_connection_retry=True,
        worker_consumer="celery.worker.consumer:Consumer",
        worker_agent=None,
        broker_pool_limit=10,
    )
    assert conf.notes == []


# -- every name of Celery's -----------------------------------------------------------------------------------------
LINES = (Path(__file__).parent / "celery_settings.txt").read_text().split("\n")
CELERY = [tuple(line.split()) for line in LINES if line]
"""Every setting of Celery 5.7 and its old spelling."""

FATES = {
    "works": "broker_url broker_read_url broker_write_url broker_transport_options broker_use_ssl "
    "broker_connection_retry_on_startup broker_connection_max_retries redis_socket_timeout "
    "redis_socket_connect_timeout result_backend result_backend_transport_options result_expires result_extended "
    "result_serializer result_accept_content result_compression "
    "task_default_queue task_default_priority task_inherit_parent_priority task_queues task_routes "
    "task_create_missing_queues task_annotations task_always_eager task_eager_propagates task_store_eager_result "
    "task_track_started task_ignore_result task_store_errors_even_if_ignored task_time_limit task_soft_time_limit "
    "task_acks_late task_reject_on_worker_lost task_acks_on_timeout task_retry_on_worker_lost "
    "task_default_rate_limit task_publish_retry task_publish_retry_policy "
    "task_serializer accept_content task_compression task_protocol task_allow_error_cb_on_chord_header timezone "
    "enable_utc imports include worker_concurrency worker_pool worker_prefetch_multiplier worker_max_tasks_per_child "
    "worker_max_memory_per_child worker_disable_rate_limits worker_direct worker_enable_remote_control "
    "worker_soft_shutdown_timeout "
    "worker_hijack_root_logger worker_log_format worker_log_datefmt worker_log_color worker_task_log_format "
    "worker_task_log_datefmt worker_redirect_stdouts worker_redirect_stdouts_level beat_schedule "
    "beat_max_loop_interval beat_scheduler beat_cron_starting_deadline",
    "refused": "broker_host broker_port broker_user broker_password broker_vhost broker_transport redis_host "
    "redis_port redis_db redis_username redis_password worker_autoscaler worker_consumer worker_agent security_key "
    "security_key_password security_certificate security_cert_store",
}
"""All others are ignored."""
STRANGE = object()
"""A value that no setting has by itself."""


def fate_of(name: str) -> str:
    return next((fate for fate, names in FATES.items() if name in names.split()), "ignored")


def test_the_list_is_whole():
    assert len(CELERY) == 207
    assert {name for names in FATES.values() for name in names.split()} <= {name for name, _ in CELERY}


@pytest.mark.parametrize(("name", "old"), CELERY)
def test_every_setting_of_celerys_has_a_fate_under_all_its_spellings(name, old):
    fate = fate_of(name)
    for spelling, source in (
        (name, {name: STRANGE}),
        (old, {old: STRANGE}),
        (name, {f"CELERY_{name.upper()}": STRANGE}),
    ):
        found = settings.find(spelling)
        assert found is not None
        assert found[0] == name or found[1] is ELSEWHERE
        assert found[1].fate == fate
        conf = Settings()
        if fate == "refused":
            with pytest.raises(ImproperlyConfigured, match=r"is not offered: \w"):
                conf.settle(source, "CELERY" if spelling not in source else None)
        elif fate == "ignored" and found[1].convert is None:
            conf.settle(source, "CELERY" if spelling not in source else None)
            assert len(conf.notes) == 1
            assert "has no effect: " in conf.notes[0]
        elif fate == "works":
            assert not conf.ignored
            assert getattr(conf, spelling) == found[1].default
            assert found[1].convert is not None, "a value of the wrong kind must be refused"


WRONG = {
    "text": 3,
    "url": 3,
    "flag": "perhaps",
    "flag_or_none": "perhaps",
    "count": -1,
    "seconds": "soon",
    "time_limit": -1,
    "rank": 77,
    "queue": "a\nb",
    "queues": ["a\nb"],
    "mapping": [1],
    "texts": [1],
    "serializer": "pickle",
    "compression": "bzip2",
    "protocol": 1,
    "zone": 3,
    "pool": "eventlet",
    "concurrency": -1,
    "level": "loud",
    "rate": "10/x",
    "backend": "db+postgresql://h/x",
    "tls": "yes",
    "direct": "topic",
}
"""Type → a value of the wrong kind."""
ANYTHING = ("routes", "annotation_list")
"""Types whose values show at use whether they can work."""


@pytest.mark.parametrize("name", [name for name, row in settings.TABLE.items() if row.convert])
def test_every_type_refuses_what_cannot_work_and_names_the_setting(name):
    convert = settings.TABLE[name].convert
    assert convert is not None
    if convert.__name__ in ANYTHING:
        return
    with pytest.raises(ImproperlyConfigured, match=name):
        setattr(Settings(), name, WRONG[convert.__name__])


def test_no_advice_is_empty():
    for row in settings.TABLE.values():
        assert bool(row.why) == (row.fate != "works")


# -- where settings come from ---------------------------------------------------------------------------------------
def test_what_is_set_on_the_settings_goes_before_what_objects_say():
    conf = Settings(lambda: None)
    conf.task_default_queue = "set"
    conf.settle({"task_default_queue": "object", "result_expires": 5, "my_own": 3})
    assert (conf.task_default_queue, conf.result_expires, conf.my_own, "my_own" in conf) == ("set", 5, 3, True)
    conf.settle({"result_expires": 6})
    assert (conf.task_default_queue, conf.result_expires, conf.get("my_own")) == ("set", 6, None)
    conf.add_defaults({"result_expires": 7, "task_default_queue": "default"})
    assert (conf.task_default_queue, conf.result_expires) == ("set", 7)
    conf.pin("task_default_queue", "pinned")
    assert conf.task_default_queue == "pinned"


def test_settings_are_read_at_the_first_look():
    looked = []

    def load():
        looked.append(1)
        conf.settle({"result_expires": 5})

    conf = Settings(load)
    conf.task_default_queue = "q"
    conf.update(worker_concurrency=2)
    assert not looked
    assert not conf.settled
    assert conf.result_expires == 5
    assert conf.task_default_queue == "q"
    assert looked == [1]
    assert conf.settled


@pytest.mark.parametrize(
    "look", [lambda conf: "x" in conf, list, len, lambda conf: conf.version, lambda conf: conf["imports"]]
)
def test_every_way_of_looking_reads_them(look):
    looked = []
    conf = Settings(lambda: looked.append(1))
    look(conf)
    assert looked


def test_the_environment_goes_before_the_code():
    environ: dict[str, str] = {}
    conf = Settings(environ=environ)
    conf.broker_url = "redis://code"
    assert conf.broker_url == "redis://code"
    environ["CELERY_BROKER_URL"] = "redis://celery"
    assert conf.broker_url == "redis://celery"
    environ["SMALLAGE_URL"] = "redis://own"
    assert conf["broker_url"] == "redis://own"
    conf.pin("broker_url", "redis://command-line")
    assert conf.broker_url == "redis://command-line"
    environ["CELERY_RESULT_BACKEND"] = "redis://results"
    assert conf.result_backend == "redis://results"


def test_djangos_zone_is_the_last_resort():
    conf = Settings()
    conf.settle({"TIME_ZONE": "Europe/Berlin", "DEBUG": True, "broker_url": "redis://x"}, "CELERY")
    assert (conf.timezone, conf.broker_url) == ("Europe/Berlin", "redis://x")
    assert "DEBUG" not in conf
    conf.timezone = "UTC"
    assert conf.timezone == "UTC"


@pytest.mark.parametrize(
    ("source", "renames"),
    [
        ({"task_ignore_result": 1, "CELERY_DEFAULT_QUEUE": "q"}, "CELERY_DEFAULT_QUEUE → task_default_queue"),
        ({"CELERY_TIMEZONE": "UTC", "enable_utc": True}, "CELERY_TIMEZONE → timezone"),
        (
            {"task_serializer": "json", "timezone": "UTC", "CELERY_TASK_SERIALIZER": "json", "BROKER_URL": "x"},
            "BROKER_URL → broker_url",
        ),
        (
            {"task_ignore_result": 1, "CELERY_DEFAULT_QUEUE": "q", "CELERYD_CONCURRENCY": 2},
            "task_ignore_result → CELERY_IGNORE_RESULT",
        ),
    ],
)
def test_the_spelling_of_the_minority_is_at_fault(source, renames):
    with pytest.raises(ImproperlyConfigured, match="Cannot mix new and old setting keys") as refusal:
        settings_of(source)
    assert str(refusal.value).endswith(f"rename {renames}.")


def test_dicts_may_be_changed_in_place():
    one, other = Settings(), Settings()
    one.beat_schedule["x"] = {"task": "t"}
    assert one.beat_schedule == {"x": {"task": "t"}}
    assert other.beat_schedule == {}
    assert not one.given("beat_schedule")
    one.settle({"beat_schedule": {"y": 1}})
    one.beat_schedule["z"] = 2
    assert one.beat_schedule == {"y": 1, "z": 2}


def test_slips_are_told():
    conf = Settings()
    conf.update(task_rotes={}, redbeat_redis_url="x")
    assert conf.notes == ["There is no setting 'task_rotes'; did you mean 'task_routes'?"]
    conf.redbeat_lock_key = "other programs keep their settings here"
    assert conf.redbeat_lock_key.startswith("other")


def test_the_mapping_side():
    conf = Settings()
    conf.setdefault("task_default_queue", "q")
    conf["worker_concurrency"] = 3
    assert conf.without_defaults() == {"worker_concurrency": 3}
    assert dict(conf)["worker_concurrency"] == 3
    assert ("worker_concurrency", 3) in conf.items()
    del conf.worker_concurrency
    assert conf.worker_concurrency is None
    conf.update({"broker_url": "redis://:secret@h", "my_password": "secret", "task_default_queue": "q"})
    assert "secret" not in conf.humanize(with_defaults=True)
    assert "task_default_queue: 'q'" in conf.humanize()
    assert "secret" in conf.humanize(censored=False)
    assert repr(conf) == "<Settings: 3 set>"
    assert conf


def test_what_is_shown_of_settings():
    class Mine:
        """Repr with a secret."""

        def __repr__(self):
            return "hush"

    conf = Settings()
    conf.update(
        {
            "broker_url": "redis://:hush@h/0",
            "broker_transport_options": {
                "sentinel_kwargs": {"password": "hush"},
                "password": "hush",
                "credential_provider": Mine(),
                "proxy": "http://u:hush@p",
                "visibility_timeout": 9,
                "global_keyprefix": "mine",
            },
            "beat_schedule": {
                "e": {
                    "task": "t",
                    "schedule": 60.0,
                    "args": ("hush",),
                    "kwargs": {"a": "hush"},
                    "options": {"headers": {"h": "hush"}, "queue": "late", "routing_key": "late"},
                }
            },
            "task_annotations": {"t": {"rate_limit": "1/s", "merchant": "hush", "max_retries": 2}},
            "task_routes": [{"t": {"queue": "late", "routing_key": "late"}}],
            # the application's own:
            "smtp_pass": "hush",
            "SMTP": b"hush",
            "SECRETS": ["hush", {"hush_is_a_name": "hush"}],
            "DATABASES": {"default": {"HOST": "hush", "PORT": 5432, "PASSWORD": "hush"}},
            "object": Mine(),
            "pin_token": 1234,
            "limit": 10,
            "debug": True,
            "empty": "",
        }
    )
    assert "hush" not in conf.humanize(with_defaults=True).replace("hush_is_a_name", "")
    shown = conf.table()
    stars = "********"
    assert shown["broker_transport_options"] == {
        "sentinel_kwargs": stars,
        "password": stars,
        "credential_provider": stars,
        "proxy": stars,
        "visibility_timeout": 9,
        "global_keyprefix": "mine",
    }
    assert shown["beat_schedule"]["e"] == {
        "task": "t",
        "schedule": 60.0,
        "args": stars,
        "kwargs": stars,
        "options": {"headers": stars, "queue": "late", "routing_key": "late"},
    }
    assert shown["task_annotations"] == ({"t": {"rate_limit": "1/s", "merchant": stars, "max_retries": 2}},)
    assert shown["task_routes"] == [{"t": {"queue": "late", "routing_key": "late"}}]
    assert shown["DATABASES"] == {"default": {"HOST": stars, "PORT": 5432, "PASSWORD": stars}}
    own = ("smtp_pass", "object", "pin_token", "limit", "debug", "empty")
    assert [shown[name] for name in own] == [stars, stars, stars, 10, True, ""]


# -- forms of values ------------------------------------------------------------------------------------------------
class Exchange:
    def __init__(self, type="direct"):
        self.type = type


class KombuQueue:
    def __init__(self, name, routing_key=None, type="direct", max_priority=None):
        self.name, self.routing_key, self.exchange, self.max_priority = name, routing_key, Exchange(type), max_priority


def test_queues_in_every_form():
    conf = Settings()
    conf.task_queues = ["a", KombuQueue("b", "b.key", max_priority=5)]
    assert conf.task_queues == ("a", "b")
    assert conf.task_queues.by_key == {"a": "a", "b.key": "b"}
    assert [one.name for one in conf.task_queues] == ["a", "b"]
    assert {type(one.name) for one in conf.task_queues} == {str}
    assert (conf.task_queues[1].routing_key, conf.task_queues[1].max_priority) == ("b.key", 5)
    with pytest.raises(AttributeError, match="'a' has no 'routing_key'"):
        conf.task_queues[0].routing_key  # noqa: B018
    conf.task_queues = {"c": {"routing_key": "c.key", "exchange": "x"}, "d": None}
    assert conf.task_queues == ("c", "d")
    assert (conf.task_queues[0].routing_key, conf.task_queues[0].exchange) == ("c.key", "x")
    assert conf.task_queues.by_key == {"c.key": "c", "d": "d"}
    conf.task_queues = None
    assert conf.task_queues == ()


@pytest.mark.parametrize("given", [[KombuQueue("a", type="topic")], {"a": {"exchange_type": "fanout"}}])
def test_exchanges_that_spread_are_refused(given):
    with pytest.raises(ImproperlyConfigured, match="choose it by task_routes"):
        Settings().task_queues = given


def test_one_store():
    conf = Settings()
    conf.broker_read_url = conf.broker_write_url = "redis://x"
    assert store_url.chosen(conf) == "redis://x"
    conf.broker_url = "redis://y"
    with pytest.raises(ImproperlyConfigured, match="There is one store"):
        store_url.chosen(conf)
    with pytest.raises(ImproperlyConfigured, match="fail over"):
        conf.broker_url = "redis://a;redis://b"
    with pytest.raises(ImproperlyConfigured, match="fail over"):
        conf.broker_url = ["sentinel://a", "redis://b"]
    conf.broker_url = ["sentinel://a:1/0", "sentinel://b:1/0"]
    assert conf.broker_url == "sentinel://a:1/0;sentinel://b:1/0"


def test_what_completes_a_url():
    conf = Settings()
    assert store_url.complete("redis://h:1/2", conf) == "redis://h:1/2"
    conf.broker_use_ssl = {"ssl_ca_certs": "/ca.pem", "ssl_cert_reqs": ssl.CERT_NONE}
    conf.broker_transport_options = {"socket_timeout": 3, "visibility_timeout": 9}
    conf.redis_socket_connect_timeout = 2
    made = store_url.complete("redis://u:p%40@h:1/2?socket_timeout=7", conf)
    assert made == (
        "rediss://u:p%40@h:1/2?socket_timeout=7&socket_connect_timeout=2&ssl_ca_certs=%2Fca.pem&ssl_cert_reqs=CERT_NONE"
    )
    assert store_url.complete("sqlite:///x.db", conf) == "sqlite:///x.db"
    conf.broker_use_ssl = True
    assert store_url.complete("valkey://h", conf).startswith("valkeys://h?")
    with pytest.raises(ImproperlyConfigured, match="ssl_ca_certs"):
        conf.broker_use_ssl = {"keyfile": "x"}


@pytest.mark.parametrize(
    "url",
    [
        *("redis//:hush@h/0", "redis:/:hush@h/0", "redis:hush@h", "user:hush@h/0", "hush@h", "sqlite:hush"),
        *("redis://:hush@a;redis://:hush@b", "redis://:pw@a;redis://:hush@b", "redis://:12/hush@h", "redis://[hush"),
        *("redis://:hush@h/0?password=hush", "sentinel://:hush@h;redis://:hush@h", "redis://:hush%@h:7a"),
    ],
)
def test_a_url_with_a_slip_is_shown_without_its_secrets(url):
    said = store_url.place(url)
    try:
        Settings().result_backend = url
    except ImproperlyConfigured as error:
        said += str(error)
    assert "hush" not in said


def test_what_completes_a_url_of_sentinels():
    conf = Settings()
    url = "sentinel://:pw@a:1/0;sentinel://b:2/0;"
    conf.broker_transport_options = {
        "master_name": "x",
        "min_other_sentinels": 1,
        "sentinel_kwargs": {"password": "p;&", "ssl": True, "ssl_cert_reqs": None, "socket_keepalive": True},
        "visibility_timeout": 9,
    }
    conf.broker_use_ssl = {"ssl_check_hostname": False}
    assert store_url.complete(url, conf) == (
        "sentinel://:pw@a:1/0;sentinel://b:2/0?ssl=1&ssl_check_hostname=False&master_name=x&min_other_sentinels=1"
        "&sentinel_password=p%3B%26&sentinel_ssl=1"
    )
    assert "master_name=y&ssl=1" in store_url.complete("sentinel://a?master_name=y", conf)
    conf.broker_use_ssl = None
    assert store_url.complete("redis://h", conf) == "redis://h"
    assert "********" in str(conf.table())
    assert "p;&" not in str(conf.table())


def test_results_have_the_same_sentinels():
    conf = Settings()
    conf.result_backend_transport_options = {"master_name": "x", "sentinel_kwargs": {"password": "secret"}}
    assert store_url.complete("sentinel://a", conf) == "sentinel://a?master_name=x&sentinel_password=secret"
    conf.broker_transport_options = {"sentinel_kwargs": {"password": "canary"}}
    with pytest.raises(ImproperlyConfigured, match="differ in sentinel_kwargs") as refusal:
        store_url.complete("sentinel://a", conf)
    assert "secret" not in str(refusal.value)
    assert store_url.complete("redis://a", conf) == "redis://a"
    conf.broker_transport_options = {"sentinel_kwargs": "canary"}
    conf.result_backend_transport_options = {}
    with pytest.raises(ImproperlyConfigured, match="must be a dict") as refusal:
        store_url.complete("sentinel://a", conf)
    assert "canary" not in str(refusal.value)
    conf.broker_transport_options = {"master_name": "x", "sentinel_kwargs": {"ssl_ca_data": "canary"}}
    with pytest.raises(ImproperlyConfigured, match="'ssl_ca_data', which is not offered") as refusal:
        store_url.complete("sentinel://a", conf)
    assert "canary" not in str(refusal.value)


def test_places_show_no_secrets():
    assert store_url.place("redis://:secret@h:6379/0?ssl=1") == store_url.place("redis://h") == "redis://h"
    assert store_url.place("redis://h:7/1") == "redis://h:7/1"
    assert store_url.place("sentinel://:secret@b;sentinel://a:7/0") == store_url.place(
        "sentinel://a:7,b/?master_name=x"
    )
    assert store_url.place("sentinel://:secret@b:x") == ""
