"""Runs inside every system's own environment: task bodies and the journal.

Each task appends fixed-size records (task id, wall clock in ns, pid, kind) to
one file opened with O_APPEND, so completion is measured the same way for every
system, without asking the system itself. One record costs about 1 us.
"""

import asyncio
import json
import os
import struct
import time

IN_VENV = os.environ.get("BENCH_IN_VENV") == "1"
RECORD = struct.Struct("<qqii")
START, END, CALLBACK = 1, 2, 3
_fd = None


def opts():
    return json.loads(os.environ.get("BENCH_OPTS", "{}"))


def redis_url(db=0):
    return f"redis://127.0.0.1:{os.environ['BENCH_REDIS_PORT']}/{db}"


def record(ident, kind):
    global _fd
    if _fd is None:
        _fd = os.open(os.environ["BENCH_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(_fd, RECORD.pack(ident, time.time_ns(), os.getpid(), kind))


def noop(a, b):
    record(a, START)
    return a


async def anoop(a, b):
    record(a, START)
    return a


def sleep(a, seconds):
    record(a, START)
    time.sleep(seconds)
    record(a, END)
    return a


async def asleep(a, seconds):
    record(a, START)
    await asyncio.sleep(seconds)
    record(a, END)
    return a


def callback():
    record(-1, CALLBACK)
