"""What a program that only sends tasks has to load; the static import rules are import-linter's."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import smallage

EDGES = ("web", "cli", "contrib", "as_celery", "testing", "demo")
ABOVE_THE_CLIENT = {f"smallage.{name}" for name in ("worker", *EDGES)}
NOT_FOR_SQLITE = {"redis", "hiredis", "gevent", "multiprocessing", "pydantic", "rich"}


def modules_after(code: str, folder: Path) -> set[str]:
    """Names in sys.modules after a fresh interpreter has run `code` in `folder`."""
    script = f"{code}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_loads_no_worker_no_edge_and_no_redis(tmp_path: Path) -> None:
    loaded = modules_after("import smallage", tmp_path)
    assert "smallage" in loaded
    assert not loaded & (ABOVE_THE_CLIENT | NOT_FOR_SQLITE)


def imported_names(source: Path) -> set[str]:
    """Modules that the file names in its import statements, wherever they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("floor", ["core", "stores"])
def test_lower_floors_take_nothing_from_the_package_root(floor: str) -> None:
    """The root loads the client, and import-linter's layers leave the root out."""
    sources = sorted((Path(smallage.__path__[0]) / floor).rglob("*.py"))
    assert sources
    assert [source.name for source in sources if "smallage" in imported_names(source)] == []
