"""The distribution smallage-as-celery: what it holds, and that it does not share a place with Celery."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import smallage

ROOT = Path(smallage.__path__[0]).parents[1]
PACKAGE = ROOT / "packages" / "smallage-as-celery"


def test_each_module_has_a_stub() -> None:
    wanted = runpy.run_path(str(PACKAGE / "write_stubs.py"))["stubs"]()
    written = {
        str(path.relative_to(PACKAGE / "src" / "celery")): path.read_text()
        for path in (PACKAGE / "src" / "celery").rglob("*.pyi")
    }
    assert written == wanted, f"run {PACKAGE.name}/write_stubs.py"


def test_versions_are_the_same() -> None:
    assert runpy.run_path(str(PACKAGE / "src" / "celery" / "_version.py"))["__version__"] == smallage.__version__


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the distribution in it, as pip puts it there."""
    place = tmp_path_factory.mktemp("installed")
    quiet = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *quiet, "--target", str(place), str(PACKAGE)], check=True, timeout=120
    )
    return place


def run(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT / "src")])}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, cwd=installed)


@pytest.mark.slow
def test_the_name_the_module_and_the_command(installed: Path) -> None:
    version = f"5.7.0 (smallage {smallage.__version__})\n"
    assert run(installed, sys.executable, "-m", "celery", "--version").stdout == version
    assert run(installed, sys.executable, str(installed / "bin" / "celery"), "--version").stdout == version
    code = "import celery; from celery.result import AsyncResult; print(celery.__name__, AsyncResult.__module__)"
    assert run(installed, sys.executable, "-c", code).stdout.split() == ["smallage.as_celery", "smallage.result"]


@pytest.mark.slow
def test_it_refuses_to_work_beside_celery(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "celery-5.7.0.dist-info").mkdir()
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import celery"
    done = run(installed, sys.executable, "-c", code)
    assert done.returncode == 1
    assert "Celery itself (celery-5.7.0) is installed beside smallage-as-celery" in done.stderr
    assert "pip uninstall -y celery smallage-as-celery" in done.stderr
