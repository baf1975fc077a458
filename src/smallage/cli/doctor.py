"""`smallage doctor`: is everything that Smallage stands on as it should be?"""

from __future__ import annotations

import contextlib
import logging
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from smallage.__about__ import __version__
from smallage.cli import queues as queues_of
from smallage.cli.output import json_option, print_json, wants_json
from smallage.cli.target import FAILED, UNREACHABLE, open_app
from smallage.core.errors import SmallageError, StoreError, StoreRefused, StoreUnavailable
from smallage.core.sentinel_url import is_sentinel

if TYPE_CHECKING:
    from smallage.stores.base import Store

MARKS = {"ok": "✓", "warning": "!", "failed": "✗", "info": "·"}


class Check(NamedTuple):
    """One finding. `verdict` is ok, info, warning or failed; only the last makes the doctor fail."""

    name: str
    verdict: str
    text: str


@click.command()
@click.option("--audit", is_flag=True, help="Also look through the whole store for broken invariants (slow).")
@json_option
def doctor(audit: bool, as_json: bool) -> None:
    """Check Python, SQLite, the store and its workers. Exits with 1 if a check failed, 3 without a store."""
    checks, code = examine(audit)
    if wants_json(as_json):
        print_json({"healthy": not code, "checks": [check._asdict() for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{MARKS[check.verdict]} {check.name.ljust(width)}  {check.text}")
    sys.exit(code)


def examine(audit: bool) -> tuple[list[Check], int]:
    """All findings and the exit code."""
    checks = [_python(), Check("smallage", "ok", __version__), _sqlite(), *_libraries()]
    code = 0
    try:
        app = open_app()
        checks += _settings(app)
        with _overheard() as said:
            store = app.store
        checks.append(Check("store", "ok", store.url))
        checks += [Check("store", "warning", text) for text in said]
        checks += _failover(store) + _life(store)
        if audit:
            checks += [Check("audit", "failed", breach) for breach in store.audit()] or [Check("audit", "ok", "clean")]
    except StoreUnavailable as error:
        checks.append(Check("store", "failed", str(error)))
        code = UNREACHABLE
    except (SmallageError, ImportError) as error:
        checks.append(Check("store", "failed", str(error)))
        code = UNREACHABLE if isinstance(error, StoreError) else FAILED
    if not code and any(check.verdict == "failed" for check in checks):
        code = FAILED
    return checks, code


def _python() -> Check:
    fine = sys.version_info >= (3, 11)
    return Check(
        "python", "ok" if fine else "failed", f"{platform.python_version()} {platform.python_implementation()}"
    )


def _sqlite() -> Check:
    """The library that would open the database, and whether its write-ahead log is safe (bug of 3.7.0 to 3.51.2)."""
    try:
        from smallage.stores.sqlite.connection import check_version, library_version
    except ImportError as error:
        return Check("sqlite", "failed", f"apsw cannot be imported: {error}. pip install 'apsw>=3.54.1.0'")
    version = library_version()
    try:
        check_version(version)
    except StoreRefused as error:
        return Check("sqlite", "failed", str(error))
    return Check("sqlite", "ok", f"{version}, without the WAL-reset bug of 3.7.0 to 3.51.2")


def _libraries() -> list[Check]:
    found = []
    for name in ("msgspec", "redis", "hiredis", "gevent", "uvloop"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(Check(name, "info", metadata.version(name)))
    return found


def _settings(app: Any) -> list[Check]:
    """Settings that have no effect, each with the reason."""
    from smallage.app.annotating import unheeded
    from smallage.app.stored import results_elsewhere

    conf = app.conf
    url = app.url
    found = [Check("setting", "info", f"{name} has no effect: {why}") for name, why in sorted(conf.ignored.items())]
    found += [
        Check("setting", "warning", f"There is no setting '{name}'{near}")
        for name, near in sorted(conf.unknown.items())
    ]
    found += [Check("setting", "warning", text) for text in unheeded(app.tasks.values(), conf.task_annotations)]
    return found + [Check("setting", "info", text) for text in results_elsewhere(conf, url)]


def _failover(store: Store) -> list[Check]:
    """What a store with sentinels may lose."""
    if not is_sentinel(store.url):
        return []
    return [
        Check(
            "failover",
            "info",
            "when the master dies, tasks that its replica had not received are lost, and those whose end it had not "
            "received run again",
        )
    ]


def _life(store: Store) -> list[Check]:
    """What the store says about workers, queues and tasks that wait for somebody."""
    counts, views = store.counts(), store.workers()
    nodes = sorted({view.info.node for view in views})
    served = queues_of.served(views)
    checks = [
        Check("workers", "ok", f"{len(nodes)} alive: {', '.join(nodes)}") if nodes else
        Check("workers", "warning", "none is alive. Start one: smallage worker module:app")
    ]  # fmt: skip
    for queue, states in sorted(counts.items()):
        if queue and states.get("ready") and not served.get(queue):
            checks.append(Check("queue", "warning", f"'{queue}' has {states['ready']} ready task(s) and no worker"))
    checks += _parked(store)
    dead = counts.get("", {}).get("dead", 0)
    checks.append(
        Check("dead letters", "warning" if dead else "ok", f"{dead}" + (": smallage tasks list" if dead else ""))
    )
    stale = counts.get("", {}).get("stale", 0)
    if stale:
        checks.append(Check("stale", "info", f"{stale} late answer(s) of overtaken runs were refused"))
    return checks


def _parked(store: Store) -> list[Check]:
    names: dict[str, int] = {}
    for view in store.find("parked", 1000):
        names[view.name] = names.get(view.name, 0) + 1
    return [
        Check("parked", "warning", f"{number} task(s) '{name}': no worker knows this name")
        for name, number in sorted(names.items())
    ]


@contextlib.contextmanager
def _overheard() -> Iterator[list[str]]:
    """What the store warns of while it is opened."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear: Any = Ear(logging.WARNING)
    logger = logging.getLogger("smallage")
    before = logger.propagate
    logger.addHandler(ear)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(ear)
        logger.propagate = before
