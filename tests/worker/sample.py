"""The app that the workers under test run. Its tasks say through a pipe where they are, and wait at named pipes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from smallage import signals
from smallage.app import Smallage
from smallage.core.errors import SoftTimeLimitExceeded

app = Smallage("sample")


def say(*words: object) -> None:
    """Tell the test."""
    with open(os.environ["SAMPLE_MOMENTS"], "ab", buffering=0) as pipe:
        pipe.write(" ".join(map(str, words)).encode() + b"\n")


def wait_at(gate: str) -> None:
    """Block until the test opens the gate, in a read that signals can interrupt."""
    while not Path(gate).exists():
        time.sleep(0.005)


async def await_at(gate: str) -> None:
    while not os.path.exists(gate):  # noqa: ASYNC110, ASYNC240 - the test is another process
        await asyncio.sleep(0.005)


if "SAMPLE_MOMENTS" in os.environ:
    say("imported", os.getpid())

if pool := os.environ.get("SAMPLE_POOL"):
    app.conf.update(worker_pool=pool, worker_concurrency=600)


if "SAMPLE_SOFT" in os.environ:
    app.conf.worker_soft_shutdown_timeout = float(os.environ["SAMPLE_SOFT"])
if "SAMPLE_DEAF" in os.environ:
    app.conf.worker_enable_remote_control = False


def _tell_of(signal: signals.Signal) -> None:
    def tell(**_: Any) -> None:
        if "SAMPLE_MOMENTS" in os.environ:
            say("signal", signal.name)

    signal.connect(tell, weak=False)


for _one in (
    signals.worker_init,
    signals.worker_process_init,
    signals.worker_ready,
    signals.worker_process_shutdown,
    signals.worker_shutdown,
):
    _tell_of(_one)

_kept: list[bytearray] = []


@app.task(name="add")
def add(a: int, b: int) -> int:
    return a + b


@app.task(name="aadd")
async def aadd(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


@app.task(name="pid")
def pid() -> int:
    return os.getpid()


@app.task(name="hold", bind=True)
def hold(self: Any, gate: str) -> str:
    say("started", self.request.id, os.getpid())
    wait_at(gate)
    say("ended", self.request.id, os.getpid())
    return "held"


@app.task(name="hold_long", bind=True, time_limit=3600)
def hold_long(self: Any, gate: str) -> str:
    say("started", self.request.id, os.getpid())
    wait_at(gate)
    return "held"


@app.task(name="hold_once", bind=True, acks_late=False)
def hold_once(self: Any, gate: str) -> str:
    say("started", self.request.id, os.getpid())
    wait_at(gate)
    return "held"


@app.task(name="ahold", bind=True)
async def ahold(self: Any, gate: str) -> str:
    say("started", self.request.id, os.getpid())
    await await_at(gate)
    say("ended", self.request.id, os.getpid())
    return "held"


@app.task(name="die", max_crashes=1)
def die(how: str) -> str:
    say("dying", os.getpid())
    if how == "exit":
        os._exit(0)
    if how == "segfault":
        import ctypes

        ctypes.string_at(0)
    sys.exit(0)


@app.task(name="sweep", max_crashes=1)
def sweep() -> None:
    os.closerange(3, 200)


@app.task(name="asweep", max_crashes=1)
async def asweep() -> None:
    os.closerange(3, 200)


@app.task(name="die_once", bind=True)
def die_once(self: Any) -> int:
    crashes: int = self.request.crashes
    if not crashes:
        os._exit(1)
    return crashes


@app.task(name="soft", soft_time_limit=0.2)
def soft() -> str:
    try:
        while True:
            time.sleep(0.01)
    except SoftTimeLimitExceeded:
        return "cleaned up"


@app.task(name="asoft", soft_time_limit=0.2)
async def asoft() -> str:
    try:
        await asyncio.sleep(60)
    except SoftTimeLimitExceeded:
        return "cleaned up"
    return "never"


@app.task(name="hard", time_limit=0.3)
def hard() -> None:
    while True:
        time.sleep(0.01)


@app.task(name="ahard", time_limit=0.3)
async def ahard() -> None:
    await asyncio.sleep(60)


@app.task(name="stubborn", time_limit=0.3)
def stubborn() -> None:
    """Ignores every exception."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            while time.monotonic() < end:
                time.sleep(0.01)
        except BaseException:
            say("ignored", os.getpid())


@app.task(name="endless", bind=True)
def endless(self: Any) -> None:
    """Ignores every exception, and has no limit."""
    say("started", self.request.id, os.getpid())
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            say("ignored", os.getpid())


def hold_the_interpreter(seconds: int) -> None:
    """Run C code that never lets go of the interpreter's lock."""
    import ctypes

    ctypes.PyDLL(None).sleep(seconds)


@app.task(name="seize", bind=True)
def seize(self: Any, seconds: int) -> None:
    say("started", self.request.id, os.getpid())
    hold_the_interpreter(seconds)


@app.task(name="seize_limited", time_limit=0.3)
def seize_limited() -> None:
    hold_the_interpreter(60)


@app.task(name="deaf", soft_time_limit=0.1, time_limit=0.4)
def deaf() -> None:
    """Blocks all signals."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(60)


@app.task(name="forks")
def forks(how: str) -> int:
    """What the child of a fork in the body ended with."""
    child = os.fork()
    if child == 0:
        if how == "returns":
            return 99
        if how == "exits":
            sys.exit(7)
        raise ValueError("in the child")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@app.task(name="grow")
def grow(mib: int) -> int:
    _kept.append(bytearray(b"x") * (mib << 20))
    return os.getpid()
