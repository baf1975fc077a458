"""The tasks in Celery's spelling, run by smallage-as-celery; `make apps-beside-celery` runs them under Celery too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.apps_beside_celery import video
from tests.examples.video_analysis import speech

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_an_upload_is_analysed_and_charged_once() -> None:
    system = next(one for one in video.systems(celery="python") if one.title == "smallage-as-celery")
    seen = video.measure(system, speech.RECORDED, times=1)
    assert (seen["done"], seen["missing"], seen["errors"]) == (1, 0, [])
    assert seen["minutes_used"] == 1
    said = " ".join(one["text"] for one in seen["transcript"])
    assert speech.share_of_words(said) >= 0.6, said


def test_later_steps_go_first_in_both_spellings(tmp_path: Path) -> None:
    """In a process of its own, for the module sets itself up by the environment when it is imported."""
    code = (
        "from video_analysis.tasks import in_celery, native\n"
        "names = ('download', 'split', 'transcribe', 'join', 'analyse', 'store')\n"
        "for module in (native, in_celery):\n"
        "    print([getattr(module, name).priority or 0 for name in names])"
    )
    path = os.pathsep.join(map(str, (video.EXAMPLE, video.ROOT / "packages" / "smallage-as-celery" / "src")))
    environment = {**os.environ, "PYTHONPATH": path, "VIDEO_ANALYSIS_DATA": str(tmp_path)}
    argv = [sys.executable, "-c", code]
    ran = subprocess.run(argv, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines() == ["[9, 6, 3, 0, 0, 0]"] * 2
