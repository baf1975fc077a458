"""Arguments are secrets: however a task fails, no log, error or list tells them. Real processes, logs at DEBUG."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smallage import Smallage, chord, signature
from smallage.cli.group import cli
from smallage.core.errors import MaxRetriesExceededError
from smallage.core.message import Envelope, Message
from tests.worker.conftest import PATIENCE, until

SHOP = """
    import os, sys, time
    from pydantic import BaseModel
    from smallage import Ignore, Reject, Smallage
    app = Smallage("shop")

    @app.task(bind=True, max_retries=0)
    def worn_out(self, secret, *, key=None):
        raise self.retry()

    @app.task(autoretry_for=(KeyError,), retry_kwargs={"max_retries": 1, "countdown": 0}, bind=True)
    def tried_again(self, secret):
        raise KeyError("somewhere")

    @app.task(time_limit=0.2)
    def too_slow(secret):
        time.sleep(60)

    @app.task(soft_time_limit=0.2)
    def slow(secret):
        time.sleep(60)

    @app.task(max_crashes=0)
    def crashes(secret):
        os._exit(9)

    @app.task(max_crashes=0)
    def leaves(secret):
        sys.exit(1)

    @app.task
    def rejects(secret):
        raise Reject("reason")

    @app.task
    def ignores(secret):
        raise Ignore()

    @app.task
    def gives_an_object(secret):
        return object()

    @app.task
    def fails(secret):
        raise ValueError("reason")

    @app.task(bind=True)
    def replaces(self, secret):
        raise self.replace(fails.s(secret))

    @app.task
    def body(values, secret):
        return 1

    @app.task
    def complains(request, error, traceback, secret):
        raise RuntimeError("the complaint fails")

    @app.task
    def takes_one(a):
        return a

    class Order(BaseModel):
        number: int

    @app.task(pydantic=True)
    def orders(order: Order):
        return 1
"""

SIMPLE = [
    "worn_out",
    "tried_again",
    "too_slow",
    "slow",
    "crashes",
    "leaves",
    "rejects",
    "ignores",
    "gives_an_object",
    "fails",
    "replaces",
]
ENDS = {"dead", "done", "parked"}


def send(app: Smallage, secret: str) -> list[str]:
    """One task for each way to fail; their ids."""

    def sig(name: str) -> Any:
        return signature(f"shop.{name}", (secret,), app=app)

    handles = [
        *(app.send_task(f"shop.{name}", (secret,)) for name in SIMPLE),
        app.send_task("shop.worn_out", (secret,), {"key": [secret]}),
        app.send_task("stranger", (secret,), {"key": secret}),
        app.send_task("shop.takes_one", (secret, secret)),
        app.send_task("shop.takes_one", (), {"other": secret}),
        app.send_task("shop.orders", ({"number": secret},)),
        app.send_task("shop.fails", (secret,), expires=1e-6),
        app.send_task("shop.fails", (secret,), link_error=sig("complains")),
        chord([sig("fails"), sig("fails")])(sig("body")),
    ]
    ids = [one.id for one in handles]
    for number, payload in enumerate(damaged(secret.encode())):
        ids.append(f"damaged-{number}")
        app.store.push([Message(ids[-1], payload, Envelope(name="shop.fails"))])
    return ids


def damaged(secret: bytes) -> list[bytes]:
    """Payloads that hold the secret and cannot be read: cut short, none at all, values of our types that are none."""
    values = [b"\x91\x91\xc7" + bytes((len(secret), code)) + secret for code in range(10)]
    return [b"\x91\xd9\xff" + secret, secret, *values]


def test_arguments_are_told_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = uuid.uuid4().hex
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/queue.db")
    app = Smallage("sender", set_as_current=False)
    try:
        ids = send(app, secret)
        told = [work_off(app, ids)]
        for word in ("MaxRetriesExceededError", "stranger", "TimeLimitExceeded", "died", "cannot be read", "parked"):
            assert word in told[0]
        views = app.store.state(ids)
        assert {view.state for view in views if view is not None} == ENDS
        for task_id, view in zip(ids, views, strict=True):
            result = app.AsyncResult(task_id)
            told.append(f"{view!r} {result.state} {result.result!r} {result.traceback}")
            told.append(run("tasks", "show", task_id))
        told += [run("tasks", "list", "-s", state) for state in ("dead", "done", "parked")]
        told += [run(*words.split()) for words in ("status", "workers", "queues list", "doctor", "report")]
        assert [text for text in told if secret in text] == []
    finally:
        app.close()


def work_off(app: Smallage, ids: list[str]) -> str:
    """All that a worker says until these tasks have come to their ends."""
    log = Path("log")
    with log.open("w") as stream:
        command = [sys.executable, "-m", "smallage", "worker", "shop", "-c", "2", "-l", "debug"]
        worker = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        until(lambda: all(view is None or view.state in ENDS for view in app.store.state(ids)))
    finally:
        worker.terminate()
        worker.wait(PATIENCE)
    return log.read_text()


def run(*words: str) -> str:
    """All that a command says."""
    result = CliRunner().invoke(cli, list(words))
    assert result.output, words
    return result.output


def test_nor_by_eager_calls(caplog: pytest.LogCaptureFixture) -> None:
    secret = uuid.uuid4().hex
    caplog.set_level(logging.DEBUG)
    app = Smallage("eager", broker="memory://", set_as_current=False, task_always_eager=True)

    @app.task(bind=True, max_retries=0)
    def worn_out(self: Any, secret: str, key: Any = None) -> None:
        raise self.retry()

    @app.task
    def fails(secret: str) -> None:
        raise ValueError("reason")

    for result in (worn_out.delay(secret, key=[secret]), fails.delay(secret)):
        assert result.failed()
        assert secret not in f"{result.result!r} {result.traceback}"
    with pytest.raises(MaxRetriesExceededError) as raised:
        worn_out.apply((secret,), throw=True)
    assert raised.value.task_args == (secret,)  # for the program itself, in its own process
    assert secret not in str(raised.value)
    assert secret not in caplog.text
    assert caplog.text
