"""Every public name of Celery 5.7 is there, or refused with what to use instead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from smallage.as_celery.aliasing import CeleryFinder

TABLE = Path(__file__).parent / "names.txt"


def rows() -> Iterator[tuple[str, dict[str, list[str]] | None]]:
    """(module, names by mark), in order; None for a module that is refused."""
    found: dict[str, dict[str, list[str]] | None] = {}
    module = ""
    for line in TABLE.read_text().splitlines():
        if line.startswith("! "):
            found[line[2:]] = None
        elif line.startswith("  "):
            names = found[module]
            assert names is not None
            names[line[2]] += line[4:].split()
        elif not line.startswith("#"):
            module = line
            found[module] = {"+": [], "-": []}
    yield from found.items()


ROWS = dict(rows())
THERE = {module: names for module, names in ROWS.items() if names is not None}
REFUSED = sorted(ROWS.keys() - THERE.keys())


def test_the_table_is_whole() -> None:
    assert len(ROWS) > 130
    assert sum(len(one["+"]) + len(one["-"]) for one in THERE.values()) > 400


@pytest.mark.parametrize("module", THERE)
def test_names_that_are_there(module: str) -> None:
    found = import_module("smallage.as_" + module)
    missing = [name for name in THERE[module]["+"] if not hasattr(found, name)]
    assert missing == []


@pytest.mark.parametrize("module", [module for module, names in THERE.items() if names["-"]])
def test_names_that_are_refused_say_what_to_use(module: str) -> None:
    found = import_module("smallage.as_" + module)
    for name in THERE[module]["-"]:
        with pytest.raises(ImportError, match=rf"{name} is not offered by Smallage: .{{10,}}"):
            getattr(found, name)


@pytest.mark.parametrize("module", REFUSED)
def test_modules_that_are_refused_say_what_to_use(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=rf"{module} is not offered by Smallage: .{{10,}}"):
        CeleryFinder.find_spec(module)


def test_what_celery_never_had_is_a_plain_error() -> None:
    celery = import_module("smallage.as_celery")
    assert not hasattr(celery, "nonsense")
    assert CeleryFinder.find_spec("celery.nonsense") is None
    assert CeleryFinder.find_spec("json") is None


def python(code: str, *paths: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    setup = "".join(f"import sys; sys.path.insert(0, {str(path)!r})\n" for path in paths)
    return subprocess.run([sys.executable, "-c", setup + code], capture_output=True, text=True, timeout=60)


def printed(code: str, *paths: Path) -> list[str]:
    """The words that code prints."""
    done = python(code, *paths)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


INSTALL = "import smallage; smallage.install_as_celery(); smallage.install_as_celery()\n"


def test_modules_are_the_same_under_both_names() -> None:
    code = """
import celery, celery.result, celery.utils.log, smallage.as_celery.result
from celery.exceptions import Retry
from smallage import Retry as Ours
print(celery.result is smallage.as_celery.result, celery.utils.log.__spec__.name, Retry is Ours)
"""
    assert printed(INSTALL + code) == ["True", "smallage.as_celery.utils.log", "True"]


def test_import_celery_loads_no_worker_and_no_store() -> None:
    code = "import celery, sys; from celery import Celery, shared_task; Celery('x'); print(*sys.modules)"
    loaded = printed(INSTALL + code)
    heavy = ("smallage.worker", "smallage.cli", "smallage.stores.", "smallage.contrib", "smallage.testing", "click")
    assert [name for name in loaded if name.startswith(heavy) and name != "smallage.stores.base"] == []


def test_a_real_celery_is_not_replaced_once_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "celery.py").write_text("Celery = 'the real one'")
    done = python("import celery\n" + INSTALL, tmp_path)
    assert done.returncode == 1
    assert "ImproperlyConfigured: The real Celery has been imported before" in done.stderr
    assert printed(INSTALL + "import celery; print(celery.Celery.__name__)", tmp_path) == ["Smallage"]


def test_kombu_and_billiard_stand_in_only_where_they_are_missing(tmp_path: Path) -> None:
    code = "import kombu; from billiard.exceptions import SoftTimeLimitExceeded; print(kombu.Queue.__module__)"
    assert printed(INSTALL + code) == ["smallage.app.destinations"]
    (tmp_path / "kombu.py").write_text("class Queue: pass")
    assert printed(INSTALL + code, tmp_path) == ["kombu"]
    done = python(INSTALL + "from kombu import Connection")
    assert "kombu.Connection is not offered by Smallage: there is no broker" in done.stderr


def test_queues_of_the_stand_in_are_queues_of_the_settings() -> None:
    code = """
from celery import Celery
from kombu import Exchange, Queue
app = Celery("x", broker="memory://")
app.conf.task_queues = [Queue("a"), Queue("b", Exchange("e"), routing_key="r")]
print(*(str(queue) for queue in app.conf.task_queues))
"""
    assert printed(INSTALL + code) == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from celery.concurrency import asynpool", "celery.concurrency.asynpool is not offered"),
        ("from celery.worker import state", "celery.worker.state is not offered"),
        ("from celery.contrib import rdb", "celery.contrib.rdb is not offered"),
        ("from celery.backends import redis", "celery.backends.redis is not offered"),
        ("from celery.bin.celery import CeleryCommand", "app.start(argv) runs commands"),
        ("from celery.five import string_t", "Python 3 has all of it"),
        ("from celery.contrib.batches import Batches", "send them on by a schedule"),
        ("from celery.utils.timeutils import maybe_timedelta", "celery.utils.time has its names"),
        ("from kombu.mixins import ConsumerMixin", "kombu.mixins is not offered"),
        ("from kombu.common import Broadcast", "call a task for each queue to reach several"),
        ("from kombu.serialization import register", "tasks travel as JSON types"),
        ("from kombu.utils.json import register_type", "tasks travel as JSON types"),
        ("from kombu import Connection", "there is no broker"),
        ("from billiard.compat import isblocking", "multiprocessing of the standard library"),
    ],
)
def test_what_programs_import_and_is_not_there_says_what_to_use(line: str, told: str) -> None:
    code = f"""
try:
    {line}
except ImportError as error:
    print(error)
"""
    assert told in " ".join(printed(INSTALL + code))


def test_what_programs_import_of_kombu_and_billiard() -> None:
    code = """
import billiard as multiprocessing
from billiard import VERSION
from billiard.context import Process
from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from billiard.exceptions import TimeoutError
from billiard.pool import Pool
from kombu import Exchange, Queue, uuid
from kombu.common import Queue as Again
from kombu.entity import PERSISTENT_DELIVERY_MODE
from kombu.exceptions import ContentDisallowed, KombuError
from kombu.utils import cached_property, json, symbol_by_name
from kombu.utils.encoding import bytes_to_str, safe_repr, safe_str, str_to_bytes
from kombu.utils.json import dumps, loads
from kombu.utils.objects import cached_property
from kombu.utils.url import safequote, sanitize_url
from kombu.utils.uuid import uuid
from celery.registry import tasks
from celery import registry

class Mute:
    def __repr__(self):
        raise ValueError("no")

print(Again is Queue, PERSISTENT_DELIVERY_MODE, len(uuid()), loads(dumps([1])), json.loads("2"), safequote("a/@b"))
print(safe_str(b"x"), bytes_to_str(b"y"), str_to_bytes("z"), "no" in safe_repr(Mute()), sanitize_url("redis://:s@h/1"))
print(Process.__module__, Pool.__module__, multiprocessing.cpu_count() > 0, multiprocessing.current_process().name)
print(registry.tasks is tasks, hasattr(multiprocessing, "nonsense"))
"""
    assert " ".join(printed(INSTALL + code)) == (
        "True 2 36 [1] 2 a%2F%40b x y b'z' True redis://h/1 "
        "multiprocessing.context multiprocessing.pool True MainProcess True False"
    )
