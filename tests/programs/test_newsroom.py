"""An application's own tests: Celery's fixtures, eager mode, mocks, and questions about queues and schedules."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.programs.conftest import HERE, PACKAGE

pytestmark = pytest.mark.slow


def test_an_application_s_own_tests_pass() -> None:
    folder = HERE / "newsroom"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--confcutdir", str(folder), "-c", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "suite"],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if "CELERY" not in name and "SMALLAGE" not in name},
            "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(folder)]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "11 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
