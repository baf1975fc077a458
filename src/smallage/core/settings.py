"""The settings: one table of names, types and defaults, and what becomes of each of Celery's.

Celery's names are ours, old spellings included. A setting either works, or is ignored with a reason that `notes` holds
for the log, or is refused with what to use instead. `conf.update()` keeps unknown names, as Celery does (Flask hands
over its whole configuration); everywhere else an unknown name is an error that names the nearest known ones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from smallage.core.errors import ImproperlyConfigured
from smallage.core.ids import check_queue
from smallage.core.options import limit, nearest, priority, seconds_us

Convert = Callable[[str, Any], Any]


class Setting(NamedTuple):
    """A row of the table. `why` is the reason for an ignored one, the advice for a refused one."""

    fate: Literal["works", "ignored", "refused"]
    default: Any = None
    convert: Convert | None = None
    why: str = ""


# -- types --------------------------------------------------------------------------------------------------------
def _bad(name: str, value: Any, wanted: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} must be {wanted}, not {_shown(value)}.")


def _shown(value: Any) -> str:
    """A value for an error text, without what it might hide: URLs and containers are named by type."""
    if isinstance(value, str) and "://" not in value and len(value) <= 60:
        return repr(value)
    if isinstance(value, (int, float)):
        return repr(value)
    return f"a {type(value).__name__}"


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool) or value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return value.lower() in ("true", "yes", "on", "1")
    raise _bad(name, value, "true or false")


def _flag_or_none(name: str, value: Any) -> bool | None:
    return None if value is None else _flag(name, value)


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if type(value) is not int or not 0 <= value <= 2**53:
        raise _bad(name, value, "a whole number from 0, or None")
    return value


def _seconds(name: str, value: Any) -> Any:
    if value is None:
        return None
    try:
        seconds_us(value, name)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(str(error)) from None
    return value


def _limit(name: str, value: Any) -> float | None:
    try:
        return limit(value, name)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(str(error)) from None


def _priority(name: str, value: Any) -> int:
    try:
        return priority(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def _queue(name: str, value: Any) -> str:
    try:
        return check_queue(value)
    except ImproperlyConfigured as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _bad(name, value, "a string")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = (value,)
    try:
        made = tuple(value or ())
    except TypeError:
        raise _bad(name, value, "a list of strings") from None
    if not all(isinstance(one, str) for one in made):
        raise _bad(name, value, "a list of strings")
    return made


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise _bad(name, value, "a dict")
    return dict(value or {})


def _queues(name: str, value: Any) -> tuple[str, ...]:
    """Names, Queue-like objects with a `name`, or a dict of them."""
    if value is None:
        return ()
    made = (getattr(one, "name", one) for one in value)
    return tuple(check_queue(one) for one in made)


def _serializer(name: str, value: Any) -> Any:
    for one in (value,) if isinstance(value, str) or value is None else value:
        if one not in (None, "json", "msgpack", "application/json", "application/x-msgpack"):
            raise ImproperlyConfigured(
                f"{name}: {one!r} is not offered. Smallage sends JSON types only, which cannot run code when they are "
                "read; use 'json' or 'msgpack'."
            )
    return value


def _broker(name: str, value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise _bad(name, value, "a URL")
    return value


def _no_tls(name: str, value: Any) -> Any:
    if value:
        raise ImproperlyConfigured(
            f"{name} is not read: the URL asks for TLS. Write rediss:// in broker_url, and paths as "
            "?ssl_ca_certs=/path&ssl_certfile=/path&ssl_keyfile=/path."
        )
    return value


_BACKENDS: Final = frozenset(
    ["redis", "rediss", "valkey", "valkeys", "redis+socket", "unix", "rpc", "cache+memory", "memory", "sqlite", "file"]
)
_NO_BACKEND: Final = frozenset({"disabled", "disabled://"})


def _backend(name: str, value: Any) -> str | None:
    if value is None or value in _NO_BACKEND or value in _BACKENDS:
        return None if value is None else str(value)
    scheme = str(value).partition(":")[0]
    if scheme not in _BACKENDS:
        raise ImproperlyConfigured(
            f"{name}: '{scheme or value}' is not offered. Results live in the store that also holds the tasks; leave "
            "this setting out."
        )
    return str(value)


def _pool(name: str, value: Any) -> str:
    known = {"prefork": "processes", "solo": "solo", "threads": "threads", "processes": "processes"}
    known |= {"gevent": "gevent", "asyncio": "asyncio", "auto": "auto"}
    if value not in known:
        raise _bad(name, value, f"one of {', '.join(sorted(known))}")
    return known[value]


def _concurrency(name: str, value: Any) -> Any:
    return value if value == "auto" else _count(name, value)


def _zone(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (str, dt.tzinfo)):
        return value
    raise _bad(name, value, "a zone's name such as 'Europe/Berlin'")


def _works(default: Any = None, convert: Convert | None = None) -> Setting:
    return Setting("works", default, convert)


def _ignored(why: str, default: Any = None) -> Setting:
    return Setting("ignored", default, None, why)


def _refused(why: str) -> Setting:
    return Setting("refused", None, None, why)


_RABBIT = "it concerns RabbitMQ, which Smallage does not use"
_STORE = "the store itself keeps this"
_NOT_YET = "this version has nothing that would use it"

_SETTINGS: Final[dict[str, Setting]] = {
    # the store
    "broker_url": _works(None, _broker),
    "broker_read_url": _ignored("the store has one URL, broker_url"),
    "broker_write_url": _ignored("the store has one URL, broker_url"),
    "broker_transport_options": _works({}, _mapping),
    "broker_use_ssl": _works(None, _no_tls),
    "broker_connection_retry": _ignored("a worker always reconnects", True),
    "broker_connection_retry_on_startup": _ignored("a worker that finds no store at its start exits with 3"),
    "broker_connection_max_retries": _ignored("a worker always reconnects"),
    "broker_connection_timeout": _ignored("the store chooses its own time-outs"),
    "broker_pool_limit": _ignored("the store opens the connections that it needs"),
    "namespace": _works("smallage", _text),
    "result_backend": _works(None, _backend),
    "result_expires": _works(86_400, _seconds),
    "result_extended": _ignored("name, queue and times are always kept with a result"),
    # tasks
    "task_default_queue": _works("celery", _queue),
    "task_default_priority": _works(0, _priority),
    "task_queues": _works((), _queues),
    "task_routes": _works(None),
    "task_create_missing_queues": _works(True, _flag),
    "task_always_eager": _works(False, _flag),
    "task_eager_propagates": _works(False, _flag),
    "task_store_eager_result": _ignored("eager results stay in the process that made them"),
    "task_track_started": _ignored("the store always knows which tasks run"),
    "task_ignore_result": _works(False, _flag),
    "task_store_errors_even_if_ignored": _ignored("failed tasks are always kept as dead letters"),
    "task_time_limit": _works(None, _limit),
    "task_soft_time_limit": _works(None, _limit),
    "task_acks_late": _works(None, _flag_or_none),
    "task_acks_on_failure": _ignored("failed tasks go to the dead letters"),
    "task_acks_on_failure_or_timeout": _ignored("failed tasks go to the dead letters"),
    "task_reject_on_worker_lost": _works(None, _flag_or_none),
    "task_max_crashes": _works(3, _count),
    "task_max_lost": _works(10, _count),
    "task_payload_limit": _works(2**20, _count),
    "task_payload_warning": _works(2**18, _count),
    "task_publish_retry": _works(True, _flag),
    "task_publish_retry_policy": _works(
        {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 1}, _mapping
    ),
    "task_serializer": _works("json", _serializer),
    "result_serializer": _works("json", _serializer),
    "accept_content": _works(("json", "msgpack"), _serializer),
    "result_accept_content": _works(None, _serializer),
    "timezone": _works(None, _zone),
    "enable_utc": _works(True, _flag),
    "imports": _works((), _texts),
    "include": _works((), _texts),
    # the worker
    "worker_concurrency": _works(None, _concurrency),
    "worker_pool": _works("auto", _pool),
    "worker_prefetch_multiplier": _works(4, _count),
    "worker_max_tasks_per_child": _works(None, _count),
    "worker_max_memory_per_child": _works(None, _count),
    "worker_soft_shutdown_timeout": _ignored("running tasks have --shutdown-timeout to end"),
    "worker_proc_alive_timeout": _ignored("children take as long as they need to start"),
    "worker_hijack_root_logger": _ignored("handlers on the root logger are left alone"),
    "worker_log_format": _ignored("--log-format chooses text or json"),
    "worker_task_log_format": _ignored("--log-format chooses text or json"),
    "worker_log_color": _ignored("NO_COLOR and FORCE_COLOR decide"),
    "worker_redirect_stdouts": _ignored("what tasks print stays where it was printed to"),
    "worker_redirect_stdouts_level": _ignored("what tasks print stays where it was printed to"),
    "worker_enable_remote_control": _ignored("orders go through the store", True),
    # ignored
    "task_default_exchange": _ignored("a queue is a name, without exchanges"),
    "task_default_exchange_type": _ignored("a queue is a name, without exchanges"),
    "task_default_routing_key": _ignored("a queue is a name, without routing keys"),
    "task_default_delivery_mode": _ignored("durability is the store's"),
    "task_queue_max_priority": _ignored("every queue has priorities 0 to 9"),
    "task_inherit_parent_priority": _ignored(_NOT_YET, False),
    "task_send_sent_event": _ignored(_NOT_YET, False),
    "worker_send_task_events": _ignored(_NOT_YET, False),
    "task_default_rate_limit": _ignored(_NOT_YET),
    "worker_disable_rate_limits": _ignored(_NOT_YET, False),
    "task_annotations": _ignored(_NOT_YET),
    "task_compression": _ignored("payloads are at most 1 MiB"),
    "result_compression": _ignored("results are at most 1 MiB"),
    "task_allow_error_cb_on_chord_header": _ignored(_NOT_YET, False),
    "beat_schedule": _ignored(_NOT_YET, {}),
    "beat_max_loop_interval": _ignored(_NOT_YET),
    "beat_scheduler": _ignored(_NOT_YET),
    "beat_cron_starting_deadline": _ignored(_NOT_YET),
    "beat_schedule_filename": _ignored(_STORE),
    "beat_sync_every": _ignored(_STORE),
    "result_persistent": _ignored(_STORE),
    "result_cache_max": _ignored(_STORE),
    "result_exchange": _ignored(_RABBIT),
    "result_exchange_type": _ignored(_RABBIT),
    "result_chord_join_timeout": _ignored("the store starts a chord's body"),
    "result_chord_retry_interval": _ignored("the store starts a chord's body"),
    "result_backend_transport_options": _ignored("results live in the store of broker_url"),
    "result_backend_always_retry": _ignored("a worker always reconnects"),
    "result_backend_max_retries": _ignored("a worker always reconnects"),
    "redis_max_connections": _ignored("the store opens the connections that it needs"),
    "redis_socket_timeout": _ignored("the store chooses its own time-outs"),
    "redis_socket_connect_timeout": _ignored("the store chooses its own time-outs"),
    "redis_socket_keepalive": _ignored("the store keeps its connections alive"),
    "redis_retry_on_timeout": _ignored("a worker always reconnects"),
    "redis_backend_use_ssl": _ignored("broker_url asks for TLS: rediss://"),
    "redis_backend_health_check_interval": _ignored("the store checks its connections"),
    "broker_heartbeat": _ignored(_RABBIT),
    "broker_heartbeat_checkrate": _ignored(_RABBIT),
    "broker_login_method": _ignored(_RABBIT),
    "broker_failover_strategy": _ignored(_RABBIT),
    "broker_native_delayed_delivery_queue_type": _ignored(_RABBIT),
    "broker_channel_error_retry": _ignored(_RABBIT),
    "worker_detect_quorum_queues": _ignored(_RABBIT),
    "worker_eta_task_limit": _ignored("waiting tasks are in the store, not in the worker"),
    "worker_enable_prefetch_count_reduction": _ignored("prefetch adapts by itself"),
    "worker_disable_prefetch": _ignored("nothing is prefetched for long tasks"),
    "worker_cancel_long_running_tasks_on_connection_loss": _ignored("leases outlive a lost connection"),
    "worker_deduplicate_successful_tasks": _ignored("an ended task is never started again"),
    "worker_lost_wait": _ignored("a worker's death is witnessed at once"),
    "worker_pool_putlocks": _ignored("there is nothing to lock"),
    "worker_pool_restarts": _ignored(_NOT_YET, False),
    "worker_timer": _ignored("the store is the timer"),
    "worker_timer_precision": _ignored("the store is the timer"),
    "worker_state_db": _ignored("revokes are in the store"),
    "worker_direct": _ignored(_NOT_YET, False),
    "worker_enable_soft_shutdown_on_idle": _ignored(_NOT_YET, False),
    "worker_pool_start_method": _ignored("workers choose fork or spawn by platform and pool"),
    "control_queue_ttl": _ignored(_RABBIT),
    "control_queue_expires": _ignored(_RABBIT),
    "control_exchange": _ignored(_RABBIT),
    "event_queue_ttl": _ignored(_RABBIT),
    "event_queue_expires": _ignored(_RABBIT),
    "event_queue_prefix": _ignored(_RABBIT),
    "event_exchange": _ignored(_RABBIT),
    "event_serializer": _ignored(_RABBIT),
    # refused
    "task_protocol": Setting("works", 2, None, ""),
    "task_cls": _refused("pass task_cls= to Smallage(...)"),
    "worker_autoscaler": _refused("scale by starting and stopping workers"),
    "worker_consumer": _refused("the worker's parts cannot be exchanged"),
    "worker_agent": _refused("the worker's parts cannot be exchanged"),
    "security_key": _refused("messages cannot be signed in this version"),
    "security_certificate": _refused("messages cannot be signed in this version"),
    "security_cert_store": _refused("messages cannot be signed in this version"),
}
_BACKEND_PREFIXES: Final[tuple[str, ...]] = (
    "database_",
    "mongodb_",
    "s3_",
    "azureblockblob_",
    "cassandra_",
    "couchbase_",
    "dynamodb_",
    "gcs_",
)
_MORE_PREFIXES: Final = ("elasticsearch_", "cosmosdbsql_", "arangodb_", "couchdb_", "riak_", "cache_", "filesystem_")
_ELSEWHERE = _ignored("it belongs to a result backend that Smallage does not use")

_IRREGULAR: Final = {
    "CELERY_TASK_SERIALIZER": "task_serializer",
    "CELERY_ENABLE_UTC": "enable_utc",
    "CELERY_EAGER_PROPAGATES_EXCEPTIONS": "task_eager_propagates",
    "CELERYD_TASK_TIME_LIMIT": "task_time_limit",
    "CELERYD_TASK_SOFT_TIME_LIMIT": "task_soft_time_limit",
    "CELERY_DISABLE_RATE_LIMITS": "worker_disable_rate_limits",
    "CELERY_TASK_PUBLISH_RETRY": "task_publish_retry",
    "CELERY_TASK_PUBLISH_RETRY_POLICY": "task_publish_retry_policy",
    "CELERY_SEND_EVENTS": "worker_send_task_events",
    "CELERY_SEND_TASK_SENT_EVENT": "task_send_sent_event",
    "CELERY_MESSAGE_COMPRESSION": "task_compression",
    "CELERY_TASK_RESULT_EXPIRES": "result_expires",
    "CELERY_REDIRECT_STDOUTS": "worker_redirect_stdouts",
    "CELERY_REDIRECT_STDOUTS_LEVEL": "worker_redirect_stdouts_level",
    "CELERY_ENABLE_REMOTE_CONTROL": "worker_enable_remote_control",
    "CELERY_TASK_PROTOCOL": "task_protocol",
    "CELERYD_MAX_TASKS_PER_CHILD": "worker_max_tasks_per_child",
    "CELERY_BROKER_URL": "broker_url",
}
_WHOLE_KEY = ("result_", "redis_", "event_", "security_")
_WHOLE_NAMES = frozenset({"accept_content", "imports", "include", "timezone"})


def _old_spelling(name: str) -> str:
    if name.startswith("task_"):
        return f"CELERY_{name[5:].upper()}"
    if name.startswith("worker_"):
        return f"CELERYD_{name[7:].upper()}"
    if name.startswith("beat_"):
        return f"CELERYBEAT_{name[5:].upper()}"
    if name.startswith(_WHOLE_KEY) or name in _WHOLE_NAMES:
        return f"CELERY_{name.upper()}"
    return name.upper()


OLD_NAMES: Final[dict[str, str]] = {_old_spelling(name): name for name in _SETTINGS} | _IRREGULAR
"""Celery's upper-case spellings → the names of today."""


def find(name: str) -> tuple[str, Setting] | None:
    """(today's name, its row), or None for an unknown name."""
    setting = _SETTINGS.get(name)
    if setting is not None:
        return name, setting
    today = OLD_NAMES.get(name)
    if today is not None:
        return today, _SETTINGS[today]
    if name.lower().startswith(_BACKEND_PREFIXES + _MORE_PREFIXES):
        return name.lower(), _ELSEWHERE
    return None


def settings_of(source: Mapping[str, Any], namespace: str | None = None) -> dict[str, Any]:
    """The settings in a configuration object's upper- or lower-case names, under today's names.

    With `namespace` "CELERY" each is `CELERY_<TODAY'S NAME>` and everything else is left alone. Without one, names that
    no table knows are left alone too (a module holds much besides settings). Raises ImproperlyConfigured when old and
    new spellings are mixed.
    """
    if namespace:
        prefix = f"{namespace.upper()}_"
        found = {key[len(prefix) :].lower(): value for key, value in source.items() if key.upper().startswith(prefix)}
        return {(find(key) or find(key.upper()) or (key, None))[0]: value for key, value in found.items()}
    new = {key: value for key, value in source.items() if key in _SETTINGS}
    old = {key: value for key, value in source.items() if key in OLD_NAMES and key not in _SETTINGS}
    if new and old:
        lonely = {key for key, today in ((key, OLD_NAMES[key]) for key in old) if today not in new}
        if lonely:
            _mixed(new, lonely)
    return {OLD_NAMES[key]: value for key, value in old.items()} | new


def _mixed(new: Mapping[str, Any], old: set[str]) -> None:
    if len(old) <= len(new):
        renames = [f"{key} → {OLD_NAMES[key]}" for key in sorted(old)]
    else:
        renames = [f"{key} → {_old_spelling(key)}" for key in sorted(new)]
    raise ImproperlyConfigured("Cannot mix new and old setting keys; rename " + ", ".join(renames) + ".")


class Settings:
    """An app's settings, as attributes or items. `version` rises with every change."""

    def __init__(self) -> None:
        self.__dict__["_values"] = {}
        self.__dict__["_defaults"] = {}
        self.__dict__["notes"] = []
        self.__dict__["version"] = 0

    notes: list[str]
    """Sentences about settings that were given and have no effect."""
    version: int

    def _put(self, name: str, value: Any, lenient: bool) -> None:
        found = find(name)
        if found is None:
            if not lenient:
                raise ImproperlyConfigured(f"There is no setting '{name}'{nearest(name, _SETTINGS)}")
            self._values[name] = value
        else:
            today, setting = found
            if setting.fate == "refused":
                raise ImproperlyConfigured(f"{name} is not offered: {setting.why}.")
            if setting.fate == "ignored":
                self.notes.append(f"The setting {name} has no effect: {setting.why}.")
            self._values[today] = setting.convert(today, value) if setting.convert else value
        self.__dict__["version"] += 1

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__["_values"]
        if name in values:
            return values[name]
        if name in self.__dict__["_defaults"]:
            return self.__dict__["_defaults"][name]
        found = find(name)
        if found is None:
            raise AttributeError(f"There is no setting '{name}'{nearest(name, _SETTINGS)}")
        return values[found[0]] if found[0] in values else found[1].default

    def __setattr__(self, name: str, value: Any) -> None:
        self._put(name, value, lenient=False)

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        self._put(name, value, lenient=True)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._values or find(name) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(_SETTINGS), **self._values})

    def get(self, name: str, default: Any = None) -> Any:
        """A setting's value, or `default` if there is no such setting."""
        return getattr(self, name, default)

    def update(self, *sources: Mapping[str, Any], **values: Any) -> None:
        """Set many; unknown names are kept as they are. Raises ImproperlyConfigured for values that cannot work."""
        for source in (*sources, values):
            for name, value in source.items():
                self._put(name, value, lenient=True)

    def given(self, name: str) -> bool:
        """True if the setting was set, whatever its value."""
        return name in self._values
