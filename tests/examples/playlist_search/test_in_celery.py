"""The tasks in Celery's spelling, run by smallage-as-celery; `make apps-beside-celery` runs them under Celery too."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.apps_beside_celery.run import Trial, playlists_of, systems, table
from playlist_search.standin.youtube import YouTube, serving
from tests.redis_server import RedisServer


def test_a_playlist_is_indexed_and_nothing_is_missing_after_a_worker_was_killed(start_redis, tmp_path: Path) -> None:
    server: RedisServer = start_redis()
    system = next(one for one in systems(celery="python") if one.title == "smallage-as-celery")
    with serving(YouTube(lambda account: playlists_of(account, 40), delay=0.2)) as youtube:
        trial = Trial(system, server, youtube, tmp_path)
        try:
            trial.start_worker(4)
            trial.start_worker(4)
            seen = trial.visit(40, visitors=1, every=0.2, kills=True)
        finally:
            trial.close()
        asked = youtube.asked_of
    assert seen["missing"] == 0
    assert len(asked) == 50
    assert len(seen["first_results"]) == len(seen["whole_results"]) == 1


def test_the_table_has_a_column_for_each_system() -> None:
    column = {"all videos": "30.1 s"}
    assert table({"one": column, "other": column}).splitlines()[0] == "| | one | other |"
    assert json.dumps(table({"one": column})).count("30.1 s") == 1
