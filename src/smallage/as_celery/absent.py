"""What Celery has and Smallage has not, and what to use instead.

A module that is refused raises ModuleNotFoundError when it is imported, a name an ImportError when it is asked for;
both say what to use. Names that Celery itself does not have are plain AttributeErrors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_OWN = "smallage.as_celery"

_PARTS = "a worker's parts cannot be exchanged; signals (celery.signals) say what happens in it"
_BROKER = "there is no broker with channels and exchanges; app.send_task pushes, app.conf.task_queues lists queues"
_EVENTS = "events of tasks are not published; app.control.inspect(), celery.signals and `smallage tasks` tell them"
_RESULTS = "results live in the app's store; app.backend and AsyncResult read them"
_POOLS = "choose a pool by name: -P processes, threads, asyncio, gevent or solo"
_PLAIN = "it is a helper of Celery's insides; Python's standard library has the like"
_PICKLE = "nothing is pickled: values that travel are JSON types, dates, Decimal, UUID and bytes"
_LOADERS = "settings are read by app.config_from_object, modules by app.autodiscover_tasks and `imports`"
_PROGRAMS = "start it by app.worker_main(['worker']), app.start(['beat']) or the command line"
_MULTI = "start several workers by systemd, Docker or a supervisor; one worker has as many processes as -c says"
_STAMPS = "stamping is not offered by this version; use headers= of apply_async, which travel with retries"
_TRACE = "what happens around a run is told by the signals task_prerun and task_postrun"
_SECURITY = "messages are not signed; JSON types only travel, so none can run code"
_SYSTEM = "it is a helper of Celery's own programs; the modules os and signal have it"
_ROUTES = "task_routes takes dicts, functions and lists of them; app.conf.task_routes"
_OLD = "it went with Celery 4"
_TYPES = (
    "tasks travel as JSON types, dates, Decimal, UUID and bytes, in json or msgpack (task_serializer). Pass objects of "
    "your own as such, say obj.model_dump(), or declare the task with pydantic=True"
)
_STDLIB = "multiprocessing of the standard library has the like; a task may use it here, as its process is no daemon"
_DJANGO = "settings come by app.config_from_object('django.conf:settings', namespace='CELERY')"

MODULES: Final[dict[str, str]] = {
    "app.amqp": _BROKER,
    "app.annotations": "task_annotations takes dicts and objects with annotate(task)",
    "app.autoretry": "give the task autoretry_for=(...)",
    "app.backends": _RESULTS,
    "app.builtins": "chains, groups and chords need no tasks of their own",
    "app.events": _EVENTS,
    "app.routes": _ROUTES,
    "app.trace": _TRACE,
    "apps.": _PROGRAMS,
    "backends.": _RESULTS,
    "bin.amqp": "there is no AMQP here; `smallage queues` and `smallage tasks` show what waits",
    "bin.graph": "there are no bootsteps to draw",
    "bin.logtool": "`smallage worker --log-format json` writes lines that any tool can count",
    "bin.migrate": "there is one store; drain the old one with workers of its own",
    "bin.events": _EVENTS,
    "bin.multi": _MULTI,
    "bin.upgrade": "settings by their old names work as they are",
    "bootsteps": _PARTS,
    "concurrency.": _POOLS,
    "contrib.batches": "collect rows in a table or a list of the store's server, and send them on by a schedule",
    "contrib.methods": "write @app.task around a function that gets what it needs as arguments",
    "contrib.migrate": "there is one store; drain the old one with workers of its own",
    "contrib.rdb": "run the task in a terminal with -P solo and breakpoint(), or eagerly",
    "contrib.sphinx": "document tasks as the functions that they are: task.run",
    "contrib.testing.manager": "celery.contrib.testing.worker.start_worker runs a worker in a thread",
    "contrib.testing.mocks": "task.apply() and task_always_eager run tasks without a worker",
    "datastructures": _OLD,
    "decorators": "write @app.task or @shared_task",
    "events.": _EVENTS,
    "five": f"{_OLD}; Python 3 has all of it",
    "fixups": _DJANGO,
    "fixups.": _DJANGO,
    "loaders": _LOADERS,
    "loaders.": _LOADERS,
    "security": _SECURITY,
    "security.": _SECURITY,
    "task": "write @app.task or @shared_task; periodic tasks are in app.conf.beat_schedule",
    "task.": "write @app.task or @shared_task; periodic tasks are in app.conf.beat_schedule",
    "utils.abstract": _PLAIN,
    "utils.annotations": _PLAIN,
    "utils.collections": _PLAIN,
    "utils.debug": "tracemalloc and resource tell of memory; USR1 prints a worker's stacks",
    "utils.deprecated": _PLAIN,
    "utils.functional": "functools and itertools have the like",
    "utils.graph": "AsyncResult.graph is a plain dict of lists",
    "utils.objects": _PLAIN,
    "utils.quorum_queues": _BROKER,
    "utils.saferepr": "reprlib has the like",
    "utils.serialization": _PICKLE,
    "utils.static": _PLAIN,
    "utils.sysinfo": "os.getloadavg, os.sched_getaffinity",
    "utils.term": "click.style colours text",
    "utils.text": "textwrap has the like",
    "utils.threads": "threading.local and contextvars",
    "utils.timeutils": "celery.utils.time has its names",
    "utils.timer2": "countdown= and eta= of apply_async wait in the store",
    "worker.": _PARTS,
    "stand_ins.billiard.": _STDLIB,
    "stand_ins.kombu.": _BROKER,
    "stand_ins.kombu.serialization": _TYPES,
}
"""Module → what to use. A name with a dot at its end stands for all below it that are not there."""


def _each(instead: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), instead)


NAMES: Final[dict[str, dict[str, str]]] = {
    "": {
        "execute": "app.send_task pushes by name",
        "messaging": _BROKER,
        "log": "celery.utils.log.get_task_logger gives loggers",
        "maybe_patch_concurrency": "-P gevent patches at the right time by itself",
        "bootsteps": _PARTS,
        "task": "write @app.task or @shared_task",
        "decorators": "write @app.task or @shared_task",
        "periodic_task": "app.conf.beat_schedule or app.add_periodic_task",
        "starmap": "task.starmap(rows)",
        "version_info_t": "VERSION is a tuple",
        "version_info": "VERSION is a tuple",
        **_each("smallage.__about__ says who made this", "__author__ __contact__ __homepage__ __docformat__"),
    },
    "_state": _each("there is no such tracing; task_prerun and task_postrun tell of runs", "enable_trace disable_trace")
    | _each("a worker sets the current task", "push_current_task pop_current_task"),
    "app": _each(_PICKLE, "AppPickler")
    | _each("there is no such tracing; task_prerun and task_postrun tell of runs", "enable_trace disable_trace")
    | _each("a worker sets the current task", "push_current_task pop_current_task"),
    "apps": {"multi": _MULTI},
    "apps.beat": _each(_PROGRAMS, "Service ARTLINES STARTUP_INFO_FMT"),
    "apps.worker": _each(
        _PROGRAMS,
        "safe_say active_thread_count install_worker_int_handler install_worker_term_handler "
        "install_worker_term_hard_handler install_worker_restart_handler install_rdb_handler install_cry_handler "
        "on_SIGINT on_hard_shutdown on_cold_shutdown during_soft_shutdown restore_settings_after_soft_shutdown",
    ),
    "app.base": _each(
        _PLAIN, "frame_is_celery caller_stacklevel task_callable_qualname app_has_custom PendingConfiguration"
    )
    | _each("give the task pydantic=True", "pydantic_wrapper"),
    "app.defaults": _each(
        "smallage.core.setting_table.TABLE is the table; `smallage doctor` says what each setting does",
        "Option NAMESPACES flatten searchresult Namespace old_ns find_deprecated_settings",
    ),
    "app.log": {"Logging": "setup_logging and after_setup_logger (celery.signals) set logging up"},
    "app.task": {"get_actual_ignore_result": "task.ignore_result"},
    "app.utils": _each(_PICKLE, "AppPickler")
    | _each("app.conf.humanize() and app.conf.table() leave secrets out", "filter_hidden_settings detect_settings"),
    "backends.base": _each(
        _RESULTS,
        "KeyValueStoreBackend DisabledBackend pending_results_t compress_payload decompress_payload unpickle_backend "
        "SyncBackendMixin BaseDictBackend BaseKeyValueStoreBackend",
    ),
    "beat": _each(
        "workers send schedules, and `smallage beat` does nothing else; app.schedules changes them at run time",
        "Service BeatPidbox EmbeddedService event_t beat_nodename",
    ),
    "backends": _each(
        _RESULTS,
        "arangodb asynchronous azureblockblob cache cassandra consul cosmosdbsql couchbase couchdb database dynamodb "
        "elasticsearch filesystem gcs mongodb redis rpc s3",
    ),
    "bin": _each("celery.bin.base has what commands of your own are made of", "Option")
    | {name: MODULES[f"bin.{name}"] for name in ("amqp", "events", "graph", "logtool", "migrate", "multi", "upgrade")},
    "bin.celery": _each(
        "app.start(argv) runs commands; celery.bin.celery.celery is the group of them", "CeleryCommand command_classes"
    ),
    "bin.base": _each(
        "click has types of its own, and a callable is one too: click.option(type=...)",
        "CeleryDaemonCommand DaemonOption CommaSeparatedList COMMA_SEPARATED_LIST ISO8601 ISO8601DateTime "
        "ISO8601DateTimeOrFloat ISO8601_OR_FLOAT JSON_ARRAY JSON_OBJECT JsonArray JsonObject LOG_LEVEL LogLevel "
        "consume_preload_options handle_remote_command_error",
    ),
    "bin.worker": _each(
        "the options of `smallage worker` are in smallage.cli.worker_options",
        "CeleryBeat WorkersPool Hostname Autoscale CELERY_BEAT WORKERS_POOL HOSTNAME AUTOSCALE detach",
    ),
    "canvas": _each(_PLAIN, "abstract _basemap _maybe_group")
    | {
        "GroupStampingVisitor": _STAMPS,
        "StampingVisitor": _STAMPS,
        "maybe_unroll_group": "a group of one member is unrolled where Celery unrolls it",
        "task_name_from": "getattr(task, 'name', task)",
    },
    "concurrency": _each(_POOLS, "get_implementation asynpool base eventlet gevent prefork processes solo thread"),
    "contrib": {name: MODULES[f"contrib.{name}"] for name in ("batches", "methods", "migrate", "rdb", "sphinx")},
    "contrib.testing.app": _each(
        "celery.contrib.pytest has the fixtures celery_app and use_celery_app_trap", "Trap UnitLogging set_trap"
    ),
    "contrib.testing.worker": _each(
        "start_worker gives a worker in a thread", "TestWorkController setup_app_for_worker"
    ),
    "events": _each(
        _EVENTS,
        "Event EventDispatcher EventReceiver event_exchange get_exchange group_from cursesmon dispatcher dumper event "
        "receiver snapshot state",
    ),
    "exceptions": {"UnpickleableExceptionWrapper": "errors that cannot be restored are a smallage.RemoteError"},
    "local": _each(
        _PLAIN,
        "fun_of_method getappattr class_property reclassmethod LazyModule create_module recreate_module "
        "get_compat_module get_origins",
    ),
    "platforms": _each(
        _SYSTEM,
        "SIGMAP get_fdmax close_open_fds DaemonContext setgroups initgroups setgid setuid signals set_process_title "
        "set_mp_process_title get_errno_name ignore_errno fd_by_path Signals get_signal install_signal_handler "
        "reset_signal ignore_signal strargv set_pdeathsig check_privileges PIDFile",
    ),
    "schedules": {"cronfield": "a crontab's field is a plain set of numbers"},
    "utils.imports": _each(
        _PLAIN, "NotAPackage find_module module_file load_extension_class_names load_extension_classes"
    ),
    "utils.log": _each(
        "logging of the standard library has the like; worker_log_format and worker_log_color set the lines",
        "ColorFormatter LoggingProxy set_in_sighandler in_sighandler get_multiprocessing_logger "
        "reset_multiprocessing_logger iter_open_logger_fds logger_isa current_process current_process_index",
    ),
    "utils.time": _each(
        "datetime and zoneinfo have the like",
        "delta_resolution remaining weekday add_seconds_to_datetime subtract_datetimes ffwd utcoffset adjust_timestamp "
        "yearmonth",
    ),
    "worker": _each(_PARTS, "autoscale components consumer heartbeat loops pidbox state strategy"),
    "worker.control": _each(
        "app.control and app.control.inspect() ask and order; control_command and inspect_command add commands",
        "Panel controller_info_t ok nok report conf query_task revoke revoke_by_stamped_headers terminate rate_limit "
        "time_limit clock election enable_events disable_events heartbeat hello ping stats scheduled reserved active "
        "revoked registered objgraph memsample memdump pool_grow pool_shrink pool_restart autoscale shutdown "
        "add_consumer cancel_consumer active_queues",
    ),
    "result": _each("app.GroupResult and celery.result.ResultSet", "TaskSetResult"),
    "stand_ins.billiard.exceptions": _each(_STDLIB, "ProcessError BufferTooShort AuthenticationError CoroStop"),
    "stand_ins.kombu": _each(
        _BROKER,
        "Connection BrokerConnection Consumer Producer Message binding pools eventloop messaging mixins simple "
        "transport parse_url",
    )
    | _each(_TYPES, "serialization enable_insecure_serializers disable_insecure_serializers"),
    "stand_ins.kombu.common": _each(
        "a queue is a name and a task goes to one: call a task for each queue to reach several, or order workers by "
        "app.control.broadcast and commands of your own (celery.worker.control)",
        "Broadcast",
    )
    | _each(_BROKER, "maybe_declare send_reply collect_replies itermessages eventloop drain_consumer QoS"),
    "stand_ins.kombu.exceptions": _each(
        _BROKER, "ChannelError MessageStateError NotBoundError VersionMismatch InconsistencyError LimitExceeded"
    ),
    "stand_ins.kombu.utils.json": _each(_TYPES, "register_type"),
}
"""Module → name → what to use."""


def refused_module(inner: str) -> None:
    """Raise ModuleNotFoundError if `celery.<inner>`, or a package that it lies in, is one that Smallage has not."""
    for package in _outwards(inner):
        if instead := MODULES.get(package):
            raise _not_offered(inner, instead)


def unknown_module(inner: str) -> None:
    """The same for what lies below a package of which only some modules are there."""
    for package in _outwards(inner):
        if package != inner and (instead := MODULES.get(f"{package}.")):
            raise _not_offered(inner, instead)


def _outwards(inner: str) -> list[str]:
    """`a.b.c`, `a.b`, `a`"""
    parts = inner.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]


def _not_offered(inner: str, instead: str) -> ModuleNotFoundError:
    shown = _shown(inner)
    return ModuleNotFoundError(f"{shown} is not offered by Smallage: {instead}.", name=shown)


def _shown(inner: str) -> str:
    """The name by which programs know a module."""
    return inner[10:] if inner.startswith("stand_ins.") else ".".join(filter(None, ("celery", inner)))


def missing(inner: str, name: str) -> Exception:
    """What to raise for a name that a module has not."""
    shown = _shown(inner)
    if not name.startswith("__") or name in NAMES.get(inner, ()):
        instead = NAMES.get(inner, {}).get(name) or (MODULES.get(f"{inner}.{name}" if inner else name))
        if instead is not None:
            return ImportError(f"{shown}.{name} is not offered by Smallage: {instead}.", name=shown)
    return AttributeError(f"module '{shown}' has no attribute '{name}'")


def attribute(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module of this tree."""
    inner = module.removeprefix(_OWN).removeprefix(".")
    if inner.partition(".")[0] in ("kombu", "billiard"):  # found below their package, by their own names
        inner = f"stand_ins.{inner}"

    def look(name: str) -> Any:
        raise missing(inner, name)

    return look
