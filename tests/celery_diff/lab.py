# mypy: ignore-errors
"""What the programs share: an app made from the environment, a journal written by tasks, outcomes made comparable.

Runs under the real Celery and under Smallage's `celery` alike, so it imports nothing but `celery` and the standard
library. A program is a function of no arguments, marked `@program`; what it returns is its outcome.
"""

from __future__ import annotations

import datetime
import enum
import json
import os
import re
import socket
import time
from decimal import Decimal

from celery import Celery
from celery.result import AsyncResult, GroupResult, ResultSet

HERE = "tests.celery_diff.programs."
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
JOURNAL = os.environ.get("CELERY_DIFF_JOURNAL", "")

_programs = {}
_start = 0


def program(function):
    """Mark a function as one program; its name is the program's."""
    _programs[function.__module__, function.__name__] = function
    return function


def programs_of(module):
    return {name: function for (where, name), function in _programs.items() if where == module}


def make_app(name, **settings):
    """An app on the store or broker that the environment names."""
    app = Celery(name, broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
    app.conf.update(broker_connection_retry_on_startup=True, **settings)
    return app


# --- the journal: one line for each call of note(), in any process, in the order they happened


def note(*words):
    """Write one line into the journal; appends of one short line are atomic."""
    line = json.dumps(plain(list(words))) + "\n"
    descriptor = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def start_journal():
    global _start
    _start = os.path.getsize(JOURNAL) if os.path.exists(JOURNAL) else 0


def notes(first=None):
    """The lines written since the program began; with `first`, only those whose first word it is, without it."""
    if not os.path.exists(JOURNAL):
        return []
    with open(JOURNAL, "rb") as stream:
        stream.seek(_start)
        lines = [json.loads(line) for line in stream]
    if first is None:
        return lines
    return [line[1:] for line in lines if line[0] == first]


def wait_notes(count, first=None, timeout=8.0):
    """Wait for so many lines; what there is after the timeout, else."""
    wait_until(lambda: len(notes(first)) >= count, timeout)
    return notes(first)


def wait_until(condition, timeout=8.0):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.03)
    return bool(condition())


def stays(condition, seconds=0.7):
    """Does the condition hold, and go on to hold for so long?"""
    return not wait_until(lambda: not condition(), seconds)


# --- outcomes


def tried(function, *args, **kwargs):
    """What the call returns, or how it fails."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return shown(error)


def kind(function, *args, **kwargs):
    """As `tried`, but of a failure only the class: where the wording is nobody's promise."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return {"raises": type(error).__name__}


def shown(error):
    return {"raises": type(error).__name__, "args": plain([word for word in error.args if word is not error])}


def plain(value):
    """The value as JSON can carry it, sorted where its order means nothing."""
    if value is None or isinstance(value, (bool, int)):
        return int(value) if isinstance(value, enum.Enum) else value
    if isinstance(value, float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if isinstance(value, BaseException):
        return shown(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, GroupResult):
        return {"group": value.id, "members": [plain(item) for item in value.results]}
    if isinstance(value, AsyncResult):
        return {"result": value.id}
    if isinstance(value, ResultSet):
        return {"set": [plain(item) for item in value.results]}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=json.dumps)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, Decimal)):
        return {type(value).__name__: str(value)}
    if isinstance(value, type):
        return f"class {value.__name__}"
    return f"{type(value).__name__} object"


def canonical(outcome):
    """The outcome with the names of this machine taken out and ids numbered in the order they are met."""
    known = {}
    host = socket.gethostname()

    def text(words):
        words = ID.sub(lambda match: known.setdefault(match[0], f"id{len(known) + 1}"), words)
        words = re.sub(rf"gen\d+@{re.escape(host)}", "genPID@HOST", words)
        return words.replace(host, "HOST").replace(HERE, "")

    def walk(value):
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, dict):
            return {text(key): walk(item) for key, item in value.items()}
        return value

    return walk(plain(outcome))


# --- looking at canvases and results


def shape(sig):
    """A signature in the notation of a canvas: c[a,b] a chain, G[a,b] a group, {h -> b} a chord."""
    if sig is None:
        return None
    name = sig.get("task", "")
    tasks = (sig.get("kwargs") or {}).get("tasks") or []
    if name == "celery.chain":
        return f"c[{','.join(map(shape, tasks))}]"
    if name == "celery.group":
        return f"G[{','.join(map(shape, tasks))}]"
    if name == "celery.chord":
        header = sig["kwargs"]["header"]
        header = shape(header) if isinstance(header, dict) else f"G[{','.join(map(shape, header))}]"
        return f"{{{header} -> {shape(sig['kwargs']['body'])}}}"
    args = ",".join(repr(arg) for arg in sig.get("args") or ())
    return name.rsplit(".", 1)[-1] + (f"({args})" if args else "") + ("!" if sig.get("immutable") else "")


def settled(result, timeout=8.0):
    """Wait for the end and return state and value, of a failure class and arguments."""
    wait_until(result.ready, timeout)
    return [result.state, plain(result.result)]


def ancestry(result):
    """Ids from a result up its parents; a group counts as one."""
    found = []
    while result is not None:
        found.append(result.id)
        result = result.parent
    return found
