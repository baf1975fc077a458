"""The table of settings: Celery's names of today, each with its fate, type and default.

A setting *works*; or it is *ignored*, with a reason that the log and `smallage doctor` give; or it is *refused*, with
what to use instead. A value that says what happens anyway is never worth a word: that is what `harmless` holds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from smallage.core import setting_types as types

Convert = Callable[[str, Any], Any]


class Setting(NamedTuple):
    """A row. `why` is the reason for an ignored one, the advice for a refused one."""

    fate: Literal["works", "ignored", "refused"]
    default: Any = None
    convert: Convert | None = None
    why: str = ""
    harmless: tuple[Any, ...] = ()
    """Values of an ignored or refused setting that change nothing, besides its default."""


def _works(default: Any = None, convert: Convert | None = None) -> Setting:
    return Setting("works", default, convert)


def _ignored(why: str, default: Any = None, *harmless: Any) -> Setting:
    return Setting("ignored", default, None, why, harmless)


def _refused(why: str, default: Any = None, *harmless: Any) -> Setting:
    return Setting("refused", default, None, why, harmless)


_RABBIT = "it concerns RabbitMQ, which Smallage does not use"
_STORE = "the store itself keeps this"
_DIRECT = "a queue is a name, without exchanges"
_CONNECT = "the store opens the connections that it needs"
_AGAIN = "a worker always reconnects"
_URL = "write it into broker_url"
_SIGNED = "messages are not signed; JSON types only travel, so none can run code"
_PARTS = "the worker's parts cannot be exchanged"
_DEAD = "failed tasks go to the dead letters, whatever this says"
_CLIENTS = "events of tasks are not published; ask app.control.inspect() or smallage tasks"

_THE_STORE: Final[dict[str, Setting]] = {
    "broker_url": _works(None, types.url),
    "broker_read_url": _works(None, types.url),
    "broker_write_url": _works(None, types.url),
    "broker_transport_options": _works({}, types.mapping),
    "broker_use_ssl": _works(False, types.tls),
    "namespace": _works("smallage", types.text),
    "broker_connection_retry": _ignored(_AGAIN, True),
    "broker_connection_retry_on_startup": _works(None, types.flag_or_none),
    "broker_connection_max_retries": _works(100, types.count),
    "broker_connection_timeout": _ignored("a store's URL has socket_connect_timeout", 4),
    "broker_pool_limit": _ignored(_CONNECT, 10),
    "broker_pool_acquire_timeout": _ignored(_CONNECT),
    "broker_host": _refused(_URL),
    "broker_port": _refused(_URL),
    "broker_user": _refused(_URL),
    "broker_password": _refused(_URL),
    "broker_vhost": _refused(_URL),
    "broker_transport": _refused(_URL),
    "broker_heartbeat": _ignored(_RABBIT, 120),
    "broker_heartbeat_checkrate": _ignored(_RABBIT, 3.0),
    "broker_login_method": _ignored(_RABBIT),
    "broker_failover_strategy": _ignored("there is one store"),
    "broker_native_delayed_delivery_queue_type": _ignored(_RABBIT, "quorum"),
    "broker_channel_error_retry": _ignored(_RABBIT, False),
    "redis_max_connections": _ignored(_CONNECT),
    "redis_socket_timeout": _works(None, types.seconds),
    "redis_socket_connect_timeout": _works(None, types.seconds),
    "redis_socket_keepalive": _ignored("the store keeps its connections alive", False),
    "redis_retry_on_timeout": _ignored(_AGAIN, False),
    "redis_backend_use_ssl": _ignored("results live in the store; broker_use_ssl is read"),
    "redis_backend_health_check_interval": _ignored("the store checks its connections"),
    "redis_client_name": _ignored("the store names its connections"),
    "redis_host": _refused(_URL),
    "redis_port": _refused(_URL),
    "redis_db": _refused(_URL),
    "redis_username": _refused(_URL),
    "redis_password": _refused(_URL),
}

_RESULTS: Final[dict[str, Setting]] = {
    "result_backend": _works(None, types.backend),
    "result_expires": _works(dt.timedelta(days=1), types.seconds),
    "result_extended": _works(False, types.flag),
    "result_serializer": _works("json", types.serializer),
    "result_accept_content": _works(None, types.serializer),
    "result_compression": _works(None, types.compression),
    "result_failure_expires": _ignored("result_expires holds for all; failed tasks are kept as dead letters"),
    "result_chord_expires": _ignored("result_expires holds for all"),
    "result_persistent": _ignored(_STORE),
    "result_cache_max": _ignored("handles keep their own result", -1),
    "result_exchange": _ignored(_RABBIT, "celeryresults"),
    "result_exchange_type": _ignored(_RABBIT, "direct"),
    "result_chord_join_timeout": _ignored("the store starts a chord's body", 3.0),
    "result_chord_retry_interval": _ignored("the store starts a chord's body", 1.0),
    "result_backend_transport_options": _works({}, types.mapping),
    "result_backend_always_retry": _ignored(_AGAIN, False),
    "result_backend_max_retries": _ignored(_AGAIN),
    "result_backend_base_sleep_between_retries_ms": _ignored(_AGAIN),
    "result_backend_max_sleep_between_retries_ms": _ignored(_AGAIN),
    "result_backend_thread_safe": _ignored(_STORE),
}

_TASKS: Final[dict[str, Setting]] = {
    "task_default_queue": _works("celery", types.queue),
    "task_default_priority": _works(None, types.rank),
    "task_inherit_parent_priority": _works(False, types.flag),
    "task_queues": _works(types.queues("task_queues", None), types.queues),
    "task_routes": _works(None, types.routes),
    "task_create_missing_queues": _works(True, types.flag),
    "task_default_exchange": _ignored(_DIRECT),
    "task_default_exchange_type": Setting("ignored", "direct", types.direct, _DIRECT),
    "task_default_routing_key": _ignored("the routing key of a queue is its name"),
    "task_default_delivery_mode": _ignored("durability is the store's", 2, "persistent"),
    "task_default_queue_type": _ignored(_RABBIT, "classic"),
    "task_create_missing_queue_type": _ignored(_RABBIT, "classic"),
    "task_create_missing_queue_exchange_type": Setting("ignored", None, types.direct, _DIRECT, ("direct",)),
    "task_queue_max_priority": _ignored("every queue has priorities 0 to 9"),
    "task_annotations": _works((), types.annotation_list),
    "task_always_eager": _works(False, types.flag),
    "task_eager_propagates": _works(False, types.flag),
    "task_store_eager_result": _works(False, types.flag),
    "task_track_started": _works(False, types.flag),
    "task_ignore_result": _works(False, types.flag),
    "task_store_errors_even_if_ignored": _works(False, types.flag),
    "task_time_limit": _works(None, types.time_limit),
    "task_soft_time_limit": _works(None, types.time_limit),
    "task_acks_late": _works(None, types.flag_or_none),
    "task_acks_on_failure": _ignored(_DEAD),
    "task_acks_on_timeout": _works(None, types.flag_or_none),
    "task_acks_on_failure_or_timeout": _ignored(_DEAD, True),
    "task_reject_on_worker_lost": _works(None, types.flag_or_none),
    "task_retry_on_worker_lost": _works(False, types.flag),
    "task_max_crashes": _works(3, types.count),
    "task_max_lost": _works(10, types.count),
    "task_default_rate_limit": _works(None, types.rate),
    "task_payload_limit": _works(2**20, types.count),
    "task_payload_warning": _works(2**18, types.count),
    "task_publish_retry": _works(True, types.flag),
    "task_publish_retry_policy": _works(
        {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 1}, types.mapping
    ),
    "task_serializer": _works("json", types.serializer),
    "accept_content": _works(("json",), types.serializer),
    "task_compression": _works(None, types.compression),
    "task_protocol": _works(2, types.protocol),
    "task_allow_error_cb_on_chord_header": _works(False, types.flag),
    "task_send_sent_event": _ignored(_CLIENTS, False),
    "task_remote_tracebacks": _ignored("a restored exception has its remote traceback anyway", False),
    "task_repr_maxlevels": _ignored("arguments are not shown in logs", 3),
    "task_cls": _refused("pass task_cls= to Smallage(...)"),
    "timezone": _works(None, types.zone),
    "enable_utc": _works(True, types.flag),
    "imports": _works((), types.texts),
    "include": _works((), types.texts),
}

_WORKER: Final[dict[str, Setting]] = {
    "worker_concurrency": _works(None, types.concurrency),
    "worker_pool": _works("auto", types.pool),
    "worker_prefetch_multiplier": _works(4, types.count),
    "worker_max_tasks_per_child": _works(None, types.count),
    "worker_max_memory_per_child": _works(None, types.count),
    "worker_disable_rate_limits": _works(False, types.flag),
    "worker_direct": _works(False, types.flag),
    "worker_enable_remote_control": _works(True, types.flag),
    "worker_hijack_root_logger": _works(None, types.flag_or_none),
    "worker_log_format": _works(None, types.text),
    "worker_log_datefmt": _works(None, types.text),
    "worker_log_color": _works(None, types.flag_or_none),
    "worker_task_log_format": _works(None, types.text),
    "worker_task_log_datefmt": _works(None, types.text),
    "worker_redirect_stdouts": _works(True, types.flag),
    "worker_redirect_stdouts_level": _works("WARNING", types.level),
    "worker_send_task_events": _ignored(_CLIENTS, False),
    "worker_soft_shutdown_timeout": _works(0, types.seconds),
    "worker_enable_soft_shutdown_on_idle": _ignored("an idle worker has nothing to hand back", False),
    "worker_proc_alive_timeout": _ignored("children take as long as they need to start", 4.0),
    "worker_pool_start_method": _ignored("workers choose fork or spawn by platform and pool", "fork"),
    "worker_pool_restarts": _ignored("children are replaced one by one; SIGHUP restarts the worker", False),
    "worker_pool_putlocks": _ignored("there is nothing to lock", True),
    "worker_detect_quorum_queues": _ignored(_RABBIT, True),
    "worker_eta_task_limit": _ignored("waiting tasks are in the store, not in the worker"),
    "worker_enable_prefetch_count_reduction": _ignored("prefetch adapts by itself", True),
    "worker_disable_prefetch": _ignored("nothing is prefetched for long tasks", False),
    "worker_cancel_long_running_tasks_on_connection_loss": _ignored("leases outlive a lost connection", False),
    "worker_deduplicate_successful_tasks": _ignored("an ended task is never started again", False),
    "worker_lost_wait": _ignored("a worker's death is witnessed at once", 10.0),
    "worker_timer": _ignored("the store is the timer"),
    "worker_timer_precision": _ignored("the store is the timer", 1.0),
    "worker_state_db": _ignored("revokes are in the store"),
    "worker_autoscaler": _refused(
        "scale by --autoscale, or start and stop workers", None, "celery.worker.autoscale:Autoscaler"
    ),
    "worker_consumer": _refused(_PARTS, None, "celery.worker.consumer:Consumer"),
    "worker_agent": _refused(_PARTS),
}

_BEAT: Final[dict[str, Setting]] = {
    "beat_schedule": _works({}, types.mapping),
    "beat_max_loop_interval": _works(0, types.seconds),
    "beat_scheduler": _works(None, types.text),
    "beat_cron_starting_deadline": _works(None, types.seconds),
    "beat_schedule_filename": _ignored(_STORE, "celerybeat-schedule"),
    "beat_sync_every": _ignored(_STORE, 0),
    "beat_enable_remote_control": _ignored("schedules are changed in the store", False),
    "beat_remote_control_max_tick_age": _ignored("schedules are changed in the store"),
}

_REST: Final[dict[str, Setting]] = {
    "control_queue_ttl": _ignored(_RABBIT, 300.0),
    "control_queue_expires": _ignored(_RABBIT, 10.0),
    "control_queue_durable": _ignored(_RABBIT, False),
    "control_queue_exclusive": _ignored(_RABBIT, True),
    "control_exchange": _ignored(_RABBIT, "celery"),
    "event_queue_ttl": _ignored(_RABBIT, 5.0),
    "event_queue_expires": _ignored(_RABBIT, 60.0),
    "event_queue_durable": _ignored(_RABBIT, False),
    "event_queue_exclusive": _ignored(_RABBIT, True),
    "event_queue_prefix": _ignored(_RABBIT, "celeryev"),
    "event_exchange": _ignored(_RABBIT, "celeryev"),
    "event_serializer": _ignored(_RABBIT, "json"),
    "security_key": _refused(_SIGNED),
    "security_key_password": _refused(_SIGNED),
    "security_certificate": _refused(_SIGNED),
    "security_cert_store": _refused(_SIGNED),
    "security_digest": _ignored(_SIGNED, "sha256"),
}

TABLE: Final[dict[str, Setting]] = {**_THE_STORE, **_RESULTS, **_TASKS, **_WORKER, **_BEAT, **_REST}
"""Every setting by its name of today."""

ELSEWHERE: Final = _ignored("it belongs to a result backend that Smallage does not use")
"""The row of every setting whose name begins as one of these:"""
ELSEWHERE_PREFIXES: Final = (
    *("database_", "mongodb_", "s3_", "azureblockblob_", "cassandra_", "couchbase_", "dynamodb_", "gcs_"),
    *("elasticsearch_", "cosmosdbsql_", "arangodb_", "couchdb_", "riak_", "cache_backend", "filesystem_"),
    *("celery_result_engine_", "celery_result_db", "celery_arangodb_", "celery_cache_", "celery_couchbase_"),
    *("celery_elasticsearch_", "celery_mongodb_", "celery_s3_", "celery_cassandra_", "celery_riak_"),
)
