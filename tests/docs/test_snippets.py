"""The examples of the documentation run, and print what they say they print.

A Python block is run if the line before it is `<!-- run -->` (`<!-- run: flask -->`: if that module is there). The
blocks of a page share one module, an SQLite store of their own, and a worker beside them as soon as there is an `app`.
Each `print(…)  # text` must print that text. `<!-- program: app.py -->` is a file that is run while a worker serves it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smallage import Smallage
from smallage.testing import InProcessWorker, start_worker
from tests.docs.pages import PAGES, Block, blocks, name_of

_PROMISE = re.compile(r"^\s*print\(.*\)  # (.*)$", re.M)
WITH_CODE = [page for page in PAGES if any(block.kind == "run" for block in blocks(page))]
PROGRAMS = [block for page in PAGES for block in blocks(page) if block.kind == "program"]


class Reader:
    """Somebody who types a page's blocks into one module."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.worker: InProcessWorker | None = None

    def type(self, block: Block) -> None:
        code = compile("\n" * (block.line - 1) + block.code, str(block.page), "exec")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(code, self.module.__dict__)
        assert said.getvalue().splitlines() == _PROMISE.findall(block.code), f"{block.page.name}, line {block.line}"
        app = getattr(self.module, "app", None)
        if app is not None and self.worker is None:
            self.worker = start_worker(app)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/queue.db")
    monkeypatch.chdir(tmp_path)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    made = Reader(module)
    yield made
    if made.worker is not None:
        made.worker.stop()
    for app in {value for value in vars(module).values() if isinstance(value, Smallage)}:
        app.close()


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_blocks_run_and_print_what_they_say(page: Path, reader: Reader) -> None:
    ran = 0
    for block in blocks(page):
        if block.kind == "run" and (not block.detail or importlib.util.find_spec(block.detail) is not None):
            reader.type(block)
            ran += 1
    assert ran


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_compile(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile("\n" * (block.line - 1) + block.code, str(page), "exec")


@pytest.mark.slow
@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: f"{block.page.name}:{block.line}")
def test_programs_do_what_their_page_says(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMALLAGE_URL", raising=False)
    program = tmp_path / block.detail
    program.write_text(block.code)
    (promise,) = _PROMISE.findall(block.code)

    def run(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True)

    with run("-m", "smallage", "worker", f"{program.stem}:app") as worker:
        try:
            said, _ = run(program.name).communicate(timeout=40)
        finally:
            worker.terminate()
    assert said.strip() == promise
    assert worker.returncode == 0


def test_what_is_not_run_is_not_forgotten() -> None:
    """Python blocks without a mark are those that show a signature or a fragment; there are few."""
    unmarked: list[Any] = [
        f"{name_of(page)}:{block.line}"
        for page in PAGES
        for block in blocks(page)
        if block.language == "python" and not block.mark
    ]
    assert unmarked == []
