"""The options of `smallage worker` as one table, read by click and by a quick parser of our own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, NamedTuple


class Option(NamedTuple):
    """One option. `kind` turns its text into its value; "flag" takes none; "ignored" is Celery's and does nothing."""

    flags: tuple[str, ...]
    name: str
    kind: Callable[[str], Any] | Literal["flag", "ignored", "ignored-flag"]
    help: str
    choices: tuple[str, ...] = ()


def comma_list(text: str) -> tuple[str, ...]:
    """`a,b` as a tuple."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def queue_list(text: str) -> tuple[str, ...]:
    """Names of queues. Raises ValueError for none, and for what cannot be one."""
    from smallage.core.errors import ImproperlyConfigured
    from smallage.core.ids import check_queue

    names = comma_list(text)
    if not names:
        raise ValueError("name at least one queue")
    for name in names:
        try:
            check_queue(name)
        except ImproperlyConfigured as error:
            raise ValueError(str(error)) from None
    return names


def autoscale(text: str) -> tuple[int, int]:
    """(most, least) of `MAX,MIN`, in either order; one alone is MAX with a least of 1."""
    numbers = [positive_int(part) if at == 0 else max(1, int(part)) for at, part in enumerate(text.split(","))]
    if len(numbers) > 2:
        raise ValueError("MAX,MIN is wanted")
    return max(numbers), min(numbers) if len(numbers) == 2 else 1


def octal(text: str) -> int:
    """A number written in octal."""
    return int(text, 8)


def positive_int(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise ValueError(f"{text} is less than 1")
    return number


def seconds(text: str) -> float:
    """A number of seconds from 0."""
    number = float(text)
    if not 0 <= number < 1e9:
        raise ValueError(f"{text} is not a number of seconds")
    return number


def limit(text: str) -> float:
    """A positive number of seconds."""
    number = seconds(text)
    if not number:
        raise ValueError("a limit must be more than 0 seconds")
    return number


LEVELS = ("debug", "info", "warning", "error", "critical", "fatal")

OPTIONS = (
    Option(("-A", "--app"), "app", str, "Where the app is, if not given as argument."),
    Option(("-b", "--broker", "--store"), "store", str, "URL of the store; wins over the app's own."),
    Option(("-P", "--pool"), "pool", str, "processes (default), threads, asyncio, gevent or solo."),
    Option(("--autoscale",), "_autoscale", autoscale, "MAX,MIN: that many processes, by need."),
    Option(("-c", "--concurrency"), "concurrency", positive_int, "Tasks at a time; threads, coroutines: per child."),
    Option(("--processes",), "processes", positive_int, "Children, each with its own pool of threads, coroutines, …"),
    Option(("-Q", "--queues"), "queues", queue_list, "Queues to serve, comma separated."),
    Option(("-X", "--exclude-queues"), "exclude", queue_list, "Queues of task_queues not to serve."),
    Option(("-I", "--include"), "include", comma_list, "Further modules with tasks, comma separated."),
    Option(("-n", "--hostname"), "node", str, "Name of this worker, such as w1@%h."),
    Option(("-l", "--loglevel", "--log-level"), "log_level", str, "debug, info, warning (default), error.", LEVELS),
    Option(("-f", "--logfile"), "_logfile", str, "Log to this file; takes the marks of -n; %i: one for each child."),
    Option(("--log-format",), "log_format", str, "text or json.", ("text", "json")),
    Option(("--burst",), "burst", "flag", "Exit when all queues served are empty."),
    Option(("--purge", "--discard"), "purge", "flag", "First remove what waits in the queues served, for good."),
    Option(("-D", "--detach"), "_detach", "flag", "Go on in the background."),
    Option(("--pidfile",), "_pidfile", str, "Keep the process id here while it runs; takes the marks of -n."),
    Option(("--uid",), "_uid", str, "Go on as this user."),
    Option(("--gid",), "_gid", str, "Go on in this group."),
    Option(("--umask",), "_umask", octal, "Rights that new files do not get, in octal."),
    Option(("-B", "--beat"), "beat", "flag", "Fire schedules too; the default, any number of workers may."),
    Option(("--no-beat",), "no_beat", "flag", "Leave schedules to others."),
    Option(("-s", "--schedule", "--schedule-filename"), "_schedule", "ignored", "Celery's; has no effect."),
    Option(("--max-tasks-per-child",), "max_tasks_per_child", positive_int, "Replace a child after so many tasks."),
    Option(("--max-memory-per-child",), "max_memory_per_child", positive_int, "Replace a child above so many KiB."),
    Option(("--shutdown-timeout",), "shutdown_timeout", seconds, "Seconds that running tasks have to end at a stop."),
    Option(("--time-limit",), "time_limit", limit, "Hard time limit in seconds of tasks that have none."),
    Option(("--soft-time-limit",), "soft_time_limit", limit, "Soft time limit in seconds of tasks that have none."),
    Option(("--prefetch-multiplier",), "prefetch_multiplier", int, "Upper bound of claims in hand for each place."),
    Option(("--workdir",), "workdir", str, "Change to this folder first."),
    Option(("--lease",), "lease", limit, "Seconds after which a worker that gives no sign counts as lost (15)."),
    Option(("-E", "--task-events", "--events"), "_events", "ignored-flag", "Celery's; has no effect."),
    Option(("-S", "--statedb"), "_statedb", "ignored", "Celery's; has no effect."),
    Option(("--scheduler",), "_scheduler", "ignored", "Celery's; has no effect."),
    Option(("--heartbeat-interval",), "_interval", "ignored", "Celery's; has no effect."),
    Option(("--disable-prefetch",), "_no_prefetch", "ignored-flag", "Celery's; has no effect."),
    Option(("--pool-start-method",), "_start_method", "ignored", "Celery's; has no effect."),
    Option(("--executable",), "_executable", "ignored", "Celery's; has no effect."),
    Option(("--without-gossip",), "_gossip", "ignored-flag", "Celery's; has no effect."),
    Option(("--without-mingle",), "_mingle", "ignored-flag", "Celery's; has no effect."),
    Option(("--without-heartbeat",), "_heartbeat", "ignored-flag", "Celery's; has no effect."),
    Option(("-O", "--optimization"), "_optimization", "ignored", "Celery's; has no effect."),
)  # fmt: skip


FLAGS = {flag: option for option in OPTIONS for flag in option.flags}


def parse_quickly(arguments: list[str]) -> dict[str, Any] | None:
    """The options of a plain `worker` command; None for all else, which is then click's to read and to refuse."""
    if not arguments or any("COMPLETE" in name for name in os.environ if name.startswith("_SMALLAGE")):
        return None
    found: dict[str, Any] = {}
    rest = list(arguments)
    before = rest[0] != "worker"  # `-A mod worker`, as Celery has it
    if before:
        if len(rest) < 3 or rest[0] not in ("-A", "--app") or rest[2] != "worker":
            return None
        found["app"] = rest[1]
        del rest[:3]
    else:
        del rest[0]
    try:
        return _read(rest, found)
    except ValueError:
        return None


def split_off(arguments: list[str]) -> tuple[list[str], list[str]]:
    """A command line without what is no option of a worker's, and that: unknown options with the words behind them."""
    known: list[str] = []
    own: list[str] = []
    rest, behind = list(arguments), False
    while rest:
        word = rest.pop(0)
        option, value = split(word, FLAGS)
        if option is None:
            behind = behind or word.startswith("-")
            (own if behind else known).append(word)
            continue
        behind = False
        known.append(word)
        if option.kind not in ("flag", "ignored-flag") and value is None and rest:
            known.append(rest.pop(0))
    return known, own


def _read(rest: list[str], found: dict[str, Any]) -> dict[str, Any] | None:
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            if "app" in found:
                return None
            found["app"] = word
            continue
        option, value = split(word, FLAGS)
        if option is None:
            return None
        if option.kind in ("flag", "ignored-flag"):
            if value is not None:
                return None
            found[option.name] = True
            continue
        if value is None:
            if not rest or rest[0].startswith("-"):
                return None
            value = rest.pop(0)
        if option.choices and value.lower() not in option.choices:
            return None
        found[option.name] = option.kind(value) if callable(option.kind) else value
    return found


def split(word: str, flags: dict[str, Option]) -> tuple[Option | None, str | None]:
    """The option of `--name`, `--name=value`, `-x` or `-xvalue`."""
    if word in flags:
        return flags[word], None
    name, equals, value = word.partition("=")
    if equals and name in flags and name.startswith("--"):
        return flags[name], value
    if not word.startswith("--") and word[:2] in flags and flags[word[:2]].kind not in ("flag", "ignored-flag"):
        return flags[word[:2]], word[2:].removeprefix("=")
    return None, None
