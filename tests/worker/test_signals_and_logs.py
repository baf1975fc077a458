"""Signals about a worker and its tasks, and how its log follows the app's settings: real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.conftest import PATIENCE, until

HEAD = """
    import json, logging, os, sys
    from smallage import Smallage, signals
    from smallage.log import get_task_logger
    log = get_task_logger(__name__)
    app = Smallage("shop", broker="sqlite:///queue.db")

    def tell(*words):
        with open("told", "a") as file:
            file.write(json.dumps(words) + "\\n")

    @app.task(name="work")
    def work(n=1):
        print("printed", n)
        log.warning("logged %s", n)
        return n
"""


class Shop:
    """A module `shop` in a folder of its own, and workers that run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def write(self, text: str = "") -> None:
        (self.folder / "shop.py").write_text(textwrap.dedent(HEAD) + textwrap.dedent(text))

    def run(self, text: str) -> None:
        """Push from another process."""
        program = f"import shop\nfrom shop import app, work\n{text}"
        subprocess.run([sys.executable, "-c", program], cwd=self.folder, check=True, timeout=PATIENCE, env=self.env)

    @property
    def env(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in ("SMALLAGE_URL", "NO_COLOR")}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        made = subprocess.Popen(
            [sys.executable, "-m", "smallage", "worker", "shop", "-n", "w1@here", *arguments],
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
        )
        self.running.append(made)
        return made

    def burst(self, *arguments: str) -> str:
        """What a worker that works off the queue says."""
        return self.start("--burst", *arguments).communicate(timeout=PATIENCE)[1]

    @property
    def log(self) -> str:
        """What stands in the file `log`."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    @property
    def told(self) -> list[list]:
        try:
            return [json.loads(line) for line in (self.folder / "told").read_text().splitlines()]
        except FileNotFoundError:
            return []


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    for one in made.running:
        if one.poll() is None:
            one.kill()
            one.communicate()


TELLING = """
    from functools import partial

    def heard(kind, sender=None, signal=None, **named):
        tell(kind, str(sender), sorted(named), getattr(sender, "app", None) is app)

    for kind in ("import_modules", "celeryd_init", "after_setup_logger", "after_setup_task_logger",
                 "celeryd_after_setup", "worker_init", "worker_before_create_process", "worker_process_init",
                 "worker_ready", "heartbeat_sent",
                 "worker_shutting_down", "worker_process_shutdown", "worker_shutdown"):
        getattr(signals, kind).connect(partial(heard, kind), weak=False)
"""
LOGGER = ["colorize", "format", "logfile", "logger", "loglevel"]


def test_a_worker_s_life_in_signals(shop: Shop) -> None:
    shop.write(TELLING)
    worker = shop.start("-P", "solo")
    until(lambda: any(kind == "heartbeat_sent" for kind, *_ in shop.told))
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE)
    told = [one for one in shop.told if one[0] != "heartbeat_sent"]
    assert told == [
        ["import_modules", repr_of_app, [], False],
        ["celeryd_init", "w1@here", ["conf", "instance", "options"], False],
        ["after_setup_logger", "None", LOGGER, False],
        ["after_setup_task_logger", "None", LOGGER, False],
        ["worker_init", "w1@here", [], True],
        ["celeryd_after_setup", "w1@here", ["conf", "instance"], False],
        ["worker_before_create_process", "w1@here", [], True],
        ["worker_process_init", "w1@here", [], False],
        ["worker_ready", "w1@here", [], True],
        ["worker_shutting_down", "w1@here", ["exitcode", "how", "sig"], False],
        ["worker_process_shutdown", "w1@here", ["exitcode", "pid"], False],
        ["worker_shutdown", "w1@here", [], True],
    ]


repr_of_app = "<Smallage shop>"


def test_each_child_is_set_up_and_one_speaks_for_the_worker(shop: Shop) -> None:
    shop.write(TELLING)
    worker = shop.start("-P", "processes", "-c", "2", "-l", "info", "-f", "log")
    until(lambda: "worker_ready" in [kind for kind, *_ in shop.told])
    until(lambda: "w1@here ready." in shop.log)  # one that is not is not waited for at the end
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE)
    kinds = [kind for kind, *_ in shop.told]
    twice = ("celeryd_init", "worker_init", "worker_process_init", "worker_process_shutdown")
    assert [kinds.count(kind) for kind in twice] == [2] * 4
    assert [kinds.count(kind) for kind in ("worker_ready", "worker_shutting_down", "worker_shutdown")] == [1] * 3


def test_receivers_of_celeryd_init_may_change_settings(shop: Shop) -> None:
    shop.write("""
        @signals.celeryd_init.connect(sender="w1@here")
        def change(conf, instance, **_):
            conf.task_default_queue = "other"
            conf.worker_log_format = "OWN %(message)s"

        @signals.celeryd_init.connect(sender="w2@here")
        def not_this_one(**_):
            tell("wrong")
    """)
    shop.run("work.apply_async(queue='other')")
    said = shop.burst("-P", "solo", "-l", "info")
    assert "OWN Task work[" in said
    assert "succeeded" in said
    assert shop.told == []


def test_signals_of_tasks_besides_those_of_a_run(shop: Shop) -> None:
    shop.write("""
        @signals.task_received.connect
        def received(sender, request, **_):
            tell("received", str(sender), request.name, request.args, request.kwargs)

        @signals.task_unknown.connect
        def unknown(sender, name, id, exc, message, **_):
            tell("unknown", name, type(exc).__name__, message.id == id)

        @signals.task_rejected.connect
        def rejected(sender, message, exc, **_):
            tell("rejected", message.name, type(exc).__name__)

        @signals.task_revoked.connect
        def revoked(sender, request, terminated, signum, expired, **_):
            tell("revoked", sender.name, terminated, signum, expired)

        @app.task(name="hold", bind=True)
        def hold(self):
            app.control.revoke(self.request.id, terminate=True)
            import time
            while True:
                time.sleep(0.01)
    """)
    shop.run("""
from smallage.core.message import Envelope, Message
work.delay(3)
app.send_task("stranger")
shop.hold.delay()
app.store.push([Message("00000000-0000-4000-8000-000000000001", b"broken", Envelope(name="work"))])
""")
    worker = shop.start("-P", "threads", "-c", "4")
    until(lambda: {one[0] for one in shop.told} == {"received", "unknown", "rejected", "revoked"})
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE)
    assert ["received", "w1@here", "work", [3], {}] in shop.told
    assert ["unknown", "stranger", "NotRegistered", True] in shop.told
    assert ["rejected", "work", "DecodeError"] in shop.told
    assert ["revoked", "hold", True, signal.SIGTERM.value, False] in shop.told


# -- settings of the start ------------------------------------------------------------------------------------------
def test_a_queue_of_the_worker_s_own(shop: Shop) -> None:
    shop.write("app.conf.worker_direct = True")
    shop.run("work.apply_async(queue='w1@here.dq2'); work.apply_async(queue='other')")
    assert shop.burst("-P", "solo", "-l", "info").count("succeeded") == 1


AWAY = """
    import pathlib
    from smallage.core.errors import StoreUnavailable
    from smallage.app import stored
    really_open = stored.open_store

    def open_store(url, conf):
        tell("opened", pathlib.Path("there").exists())
        if not pathlib.Path("there").exists():
            raise StoreUnavailable("away")
        return really_open(url, conf)

    stored.open_store = open_store
"""


def test_a_worker_that_is_to_wait_for_its_store(shop: Shop) -> None:
    shop.write(
        AWAY + "    app.conf.update(broker_connection_retry_on_startup=True, broker_connection_max_retries=None)\n"
    )
    worker = shop.start("-P", "solo", "--burst")
    until(lambda: len(shop.told) >= 2)
    (shop.folder / "there").touch()
    said = worker.communicate(timeout=PATIENCE)[1]
    assert worker.returncode == 0, said
    assert "cannot be reached, trying again in 2 s" in said
    assert shop.told[-1] == ["opened", True]


def test_a_worker_that_is_told_to_stop_while_it_waits(shop: Shop) -> None:
    shop.write(AWAY + "    app.conf.broker_connection_retry_on_startup = True\n")
    worker = shop.start("-P", "solo")
    until(lambda: bool(shop.told))
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0


def test_a_worker_that_has_waited_long_enough(shop: Shop) -> None:
    shop.write(AWAY + "    app.conf.update(broker_connection_retry_on_startup=True, broker_connection_max_retries=1)\n")
    worker = shop.start("-P", "solo")
    assert "The store cannot be reached: away" in worker.communicate(timeout=PATIENCE)[1]
    assert worker.returncode == 3
    assert shop.told == [["opened", False]] * 2


def test_a_worker_does_not_wait_unasked(shop: Shop) -> None:
    shop.write(AWAY)
    worker = shop.start("-P", "solo")
    worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 3
    assert shop.told == [["opened", False]]


# -- the log ------------------------------------------------------------------------------------------------------
def test_lines_of_tasks_name_the_task_and_prints_are_lines(shop: Shop) -> None:
    shop.write()
    shop.run("work.apply_async((5,), task_id='00000000-0000-4000-8000-000000000001')")
    said = shop.burst("-P", "solo")
    assert "WARNING/Child-1] work[00000000-0000-4000-8000-000000000001]: logged 5\n" in said
    assert "WARNING/Child-1] printed 5\n" in said


def test_formats_of_the_settings(shop: Shop) -> None:
    shop.write("""
        app.conf.update(worker_log_format="W %(levelname)s %(message)s", worker_log_datefmt="%H",
                        worker_task_log_format="T %(asctime)s %(task_name)s %(message)s",
                        worker_task_log_datefmt="AT", worker_redirect_stdouts_level="ERROR", worker_log_color=True)
    """)
    shop.run("work.delay(5)")
    said = shop.burst("-P", "solo")
    assert "T AT work logged 5" in said
    assert "\033[31mW ERROR printed 5\033[0m\n" in said


def test_prints_are_left_alone(shop: Shop) -> None:
    shop.write("app.conf.worker_redirect_stdouts = False")
    shop.run("work.delay(5)")
    assert "printed" not in shop.burst("-P", "solo")


def test_json_lines_know_the_task_too(shop: Shop) -> None:
    shop.write()
    shop.run("work.apply_async((5,), task_id='00000000-0000-4000-8000-000000000001')")
    lines = [json.loads(line) for line in shop.burst("-P", "solo", "--log-format", "json").splitlines()]
    (logged,) = [line for line in lines if line["message"] == "logged 5"]
    assert (logged["task_name"], logged["task_id"][-1]) == ("work", "1")


@pytest.mark.parametrize(
    ("setting", "own", "ours"),
    [("None", True, False), ("False", True, False), ("True", False, True)],
)
def test_handlers_of_the_app(shop: Shop, setting: str, own: bool, ours: bool) -> None:
    shop.write(f"""
        logging.getLogger().handlers[:] = [logging.FileHandler("own.log")]
        app.conf.worker_hijack_root_logger = {setting}
    """)
    shop.run("work.delay(5)")
    said = shop.burst("-P", "solo", "-l", "info")
    assert ("Task work[" in (shop.folder / "own.log").read_text()) is own
    assert ("Task work[" in said) is ours


def test_who_connects_to_setup_logging_does_it_alone(shop: Shop) -> None:
    shop.write("""
        @signals.setup_logging.connect
        def set_up(loglevel, logfile, format, colorize, **_):
            tell(loglevel, logfile, colorize)
            logging.basicConfig(filename="own.log", level=loglevel, format="OWN %(message)s")
    """)
    shop.run("work.delay(5)")
    said = shop.burst("-P", "solo", "-l", "info")
    assert shop.told == [[20, None, False]]
    assert "Task work[" not in said
    own = (shop.folder / "own.log").read_text()
    assert "OWN logged 5\n" in own
    assert "printed" not in own


def test_handlers_that_receivers_add(shop: Shop) -> None:
    shop.write("""
        @signals.after_setup_logger.connect
        def root(logger, **_):
            logger.addHandler(logging.FileHandler("root.log"))

        @signals.after_setup_task_logger.connect
        def tasks(logger, **_):
            logger.addHandler(logging.FileHandler("tasks.log"))
    """)
    shop.run("work.delay(5)")
    shop.burst("-P", "solo", "-l", "info")
    assert "Task work[" in (shop.folder / "root.log").read_text()
    assert (shop.folder / "tasks.log").read_text() == "logged 5\n"


def test_names_that_are_the_workers_own() -> None:
    from smallage.log import get_logger, get_task_logger

    for name in ("celery", "celery.task"):
        with pytest.raises(RuntimeError, match="reserved"):
            get_task_logger(name)
    above = get_task_logger("tests.some.module").parent
    assert above is not None
    assert above.name == "celery.task"
    assert get_task_logger("celery.task.mine").name == "celery.task.mine"
    assert get_logger("x").name == "x"
