"""`smallage demo`: the command."""

from __future__ import annotations

import os
import signal
import sys
from urllib.parse import urlsplit
from uuid import uuid4

import click

from smallage.core.errors import SmallageError, StoreUnavailable
from smallage.demo.report import ENOUGH
from smallage.demo.show import Plan, Show
from smallage.demo.stage import Stage, StageError
from smallage.demo.tasks import URL, make
from smallage.demo.view import View
from smallage.stores import base

FAILED, UNREACHABLE = 1, 3
"""Exit codes; 0 only if every transcript is indexed and searchable."""


@click.command()
@click.option("--n", default=1_000, show_default=True, type=click.IntRange(1, 100_000), help="Videos in the playlist.")
@click.option(
    "-c", "--concurrency", default=50, show_default=True, type=click.IntRange(1, 500), help="How many at a time."
)
@click.option("--latency", default=0.15, show_default=True, type=click.FloatRange(0, 60), help="Seconds for an answer.")
@click.option("--url", default="", metavar="URL", help="Redis or Valkey; default: a temporary SQLite file.")
@click.option("--chaos", is_flag=True, help="kill -9 the process of the foreman and one that fetches.")
@click.option("--keep", is_flag=True, help="Leave store, index and logs in place, and say where.")
def demo(n: int, concurrency: int, latency: float, url: str, chaos: bool, keep: bool) -> None:
    """A user clicks "Index playlist": 1,000 transcripts are fetched 50 at a time, indexed and searched.

    Exits with 0 only if every one of them is indexed and searchable, with 3 if the store cannot be reached.
    """
    if chaos and concurrency < 2 * ENOUGH:
        raise click.UsageError(f"--chaos needs a --concurrency of {2 * ENOUGH} or more.")
    if url and not _is_server(url):
        raise click.UsageError("--url takes a Redis or Valkey server. Without it the store is a temporary SQLite file.")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # unwinds, so that the processes end and the files go
    view = View(sys.stdout)
    try:
        code = _perform(Plan(n, concurrency, latency, chaos), url, keep, view)
    except StoreUnavailable as error:
        view.say(str(error))
        code = UNREACHABLE
    except (SmallageError, StageError, RuntimeError) as error:
        view.say(f"FAILED: {error}")
        code = FAILED
    except KeyboardInterrupt:
        view.say("Interrupted.")
        code = FAILED
    raise SystemExit(code)


def _perform(plan: Plan, url: str, keep: bool, view: View) -> int:
    with Stage(keep) as stage:
        url = url or f"sqlite:///{stage.directory / 'queue.db'}"
        os.environ[URL] = url
        namespace = f"smallage-demo-{uuid4().hex[:8]}"
        tasks = make(url, namespace, stage.index_path)
        try:
            well = Show(plan, stage, tasks, view).perform()
        finally:
            stage.stop_worker()
            tasks.app.close()
            if keep:
                view.say(f"Kept: {stage.directory} and the namespace {namespace} of the store")
            else:
                _erase(url, namespace)
    return 0 if well else FAILED


def _erase(url: str, namespace: str) -> None:
    """Leave nothing in a server that is not ours; a SQLite file goes with the directory."""
    if _is_server(url):
        from smallage.stores.redis.erase import erase

        erase(url, namespace)


def _is_server(url: str) -> bool:
    return base.SCHEMES.get(urlsplit(url).scheme) == "redis"
