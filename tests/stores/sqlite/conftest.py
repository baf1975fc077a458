"""A store in a folder of its own, and programs that use it from other processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smallage.stores.sqlite import open as open_store
from smallage.stores.sqlite.store import SqliteStore

PREAMBLE = """
import os, sys
from smallage.core.message import *
from smallage.stores.base import *
from smallage.stores.sqlite import open as open_store
store = open_store(sys.argv[1])

def task(n, **env):
    return Message(f"00000000-0000-4000-8000-{int(n):012x}", b"work", Envelope(name="add", **env))

def say(*words):
    print(*words, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own" / "queue.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = open_store(f"sqlite:///{path}")
    opened.setup()
    yield opened
    opened.close()


Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def program(path: Path) -> Iterator[Program]:
    """`program(text, *arguments)` runs Python text in a process of its own, with `store`, `task` and `say` at hand; its
    words come out line by line, and it waits for a line of input where it calls `input()`."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + text, f"sqlite:///{path}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that a program says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], text: str = "go") -> None:
    """Let a program that waits in `input()` go on."""
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
