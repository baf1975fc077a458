"""`app.Worker(...)`, `app.Beat(...)` and what else programs do with the insides of an app."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from smallage import Smallage
from smallage.app.refused import NotOffered
from smallage.core.errors import ImproperlyConfigured, SmallageWarning
from smallage.result import EagerResult


def an_app() -> Smallage:
    return Smallage("programs", broker="memory://", set_as_current=False)


app = an_app()


def test_keywords_are_words_of_a_command_line() -> None:
    worker = app.Worker(
        pool="solo", queues=["a", "b"], loglevel=20, autoscale=(4, 1), beat=True, purge=False, hostname="w1@here",
        optimization="fair", without_gossip=True, concurrency=None,
    )  # fmt: skip
    assert worker._words == [
        "worker", "--pool=solo", "--queues=a,b", "--loglevel=info", "--autoscale=4,1", "--beat", "--hostname=w1@here",
    ]  # fmt: skip
    assert worker.hostname == "w1@here"
    assert app.Beat(loglevel="DEBUG", max_interval=5)._words == ["beat", "--loglevel=DEBUG", "--max-interval=5"]
    with pytest.warns(SmallageWarning, match="Without effect here: colour, size"):
        app.Worker(size=3, colour="red")


def test_one_that_cannot_start_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImproperlyConfigured, match="worker cannot be started"):
        app.Worker(pool="nonsense").start()
    assert "'nonsense' is not a pool" in capsys.readouterr().err


PROGRAM = """
    import sys, threading
    from smallage import Smallage

    app = Smallage("in_a_thread", broker=sys.argv[-1] if "sqlite" in sys.argv[-1] else None)

    @app.task(name="add")
    def add(a, b):
        return a + b

    worker = app.Worker(pool="solo", loglevel="WARNING", hostname="beside@%h")
    thread = threading.Thread(target=worker.start, daemon=True)
    thread.start()  # its processes come by here, too, and start none
    if __name__ == "__main__":
        print(add.delay(1, 2).get(timeout=40))
        while not app.control.ping(destination=[worker.hostname]):
            pass
        worker.stop()
        thread.join(40)
        print(worker.exitcode, thread.is_alive())
"""


@pytest.mark.slow
def test_a_worker_in_a_thread_of_a_program(tmp_path: Path) -> None:
    script = tmp_path / "beside.py"
    script.write_text(textwrap.dedent(PROGRAM))
    url = f"sqlite:///{tmp_path}/queue.db"
    done = subprocess.run(
        [sys.executable, str(script), url],
        env={**os.environ, "SMALLAGE_URL": url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.stdout == "3\n0 False\n", done.stderr


def test_modules_with_tasks_are_loaded_by_name() -> None:
    loader = an_app().loader
    assert loader.import_task_module("textwrap") is textwrap
    assert loader.conf.task_default_queue == "celery"


@pytest.mark.parametrize("name", ["default_channel", "channel", "transport", "SimpleQueue", "Consumer", "drain_events"])
def test_a_connection_has_no_channels(name: str) -> None:
    with an_app().connection_or_acquire() as connection:
        assert not hasattr(connection, name)
        with pytest.raises(NotOffered, match=rf"connection\.{name} is not offered: .*app\.store\.counts\(\)"):
            getattr(connection, name)


@pytest.mark.parametrize("name", ["client", "get", "database", "get_key_for_task", "wait_for"])
def test_results_have_no_keys(name: str) -> None:
    with pytest.raises(NotOffered, match=rf"app\.backend\.{name} is not offered: .*AsyncResult\(id\)"):
        getattr(an_app().backend, name)


def test_libraries_ask_a_task_for_its_app() -> None:
    one = an_app()
    assert one.task(name="asked")(lambda: None)._get_app() is one


def test_all_that_is_known_of_a_task() -> None:
    one = an_app()
    meta = one.AsyncResult("nobody")._get_task_meta()
    assert (meta["status"], meta["result"], meta["children"]) == ("PENDING", None, None)
    one.conf.task_always_eager = True
    here = one.task(name="here")(lambda: 7).delay()
    assert isinstance(here, EagerResult)
    assert here._get_task_meta() == {
        "task_id": here.id, "status": "SUCCESS", "result": 7, "traceback": None, "children": [], "name": "here",
        "date_done": None,
    }  # fmt: skip
