"""Runs: started once, followed to the end, tried again; with the real tasks in threads and a stand-in for YouTube."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from playlist_search import indexing, runs, search, services
from playlist_search.failures import Later, RateLimited
from playlist_search.models import IndexRun, Passage, RunVideo, Video
from playlist_search.runs import Progress, Run
from playlist_search.services import Services
from playlist_search.standin import youtube as standin
from playlist_search.standin.talks import phrase, talk, video_id
from playlist_search.standin.youtube import Faults, Listed
from playlist_search.tasks import native
from tests.examples.playlist_search.backend import PATIENCE, make_settings, new_user, program, worker

EXAMPLE = Path(__file__).parents[3] / "examples" / "playlist_search"
SIX = [Listed("PLsix", "Six", range(6)), Listed("PLthree", "Three of them", range(3))]


@pytest.fixture
def youtube() -> Any:
    with standin.serving(standin.YouTube(lambda _: [*SIX, *standin.PLAYLISTS])) as served:
        yield served


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once."""
    monkeypatch.setattr(native, "countdown", lambda error, retries: 0.0)


def index(user: int, playlist: str = "PLsix", forced: bool = False) -> tuple[Run, Progress]:
    """Index a playlist to the end."""
    run = runs.start(user, playlist, forced)
    with worker():
        *_, last = runs.changes(run)
    return run, last


def outcomes(run: Run) -> Counter[str]:
    with services.current().db.reading() as session:
        return Counter(session.scalars(select(RunVideo.outcome).where(RunVideo.run_id == run.id)))


def passages() -> int:
    with services.current().db.reading() as session:
        return session.scalar(select(func.count()).select_from(Passage)) or 0


# -- to the end ---------------------------------------------------------------------------------------------------
def test_all_pages_of_a_long_playlist_are_indexed(user: int, youtube: standin.YouTube) -> None:
    run, last = index(user, "PLtalks")
    assert last == Progress("done", 120, 120, 0, 0, 0, None)
    assert youtube.asked["playlistItems"] == 3
    assert youtube.asked_of == dict.fromkeys(map(video_id, range(120)), 1)
    for number in (0, 49, 50, 119):
        second, said = phrase(number)
        (hit,) = search.find(user, said.rpartition(" ")[2])
        assert (hit.video_id, hit.second, hit.title) == (video_id(number), second, talk(number).title)
    assert outcomes(run) == {"indexed": 120}


def test_progress_goes_from_waiting_to_done(user: int) -> None:
    run = runs.start(user, "PLsix")
    assert runs.progress(run) == Progress("waiting", 0, 0, 0, 0, 0, None)
    following = runs.changes(run)
    assert next(following).state == "waiting"
    indexing.list_playlist(run.id)
    assert runs.progress(run) == Progress("listing", 6, 0, 0, 0, 0, None)
    with worker():
        shown = list(following)
    assert [one.done for one in shown] == sorted(one.done for one in shown)
    assert shown[-1].state == "done"
    assert [one.state for one in shown].count("done") == 1
    assert {one.total for one in shown if one.state == "indexing"} <= {6}


def test_an_empty_playlist(user: int) -> None:
    assert index(user, "PLempty")[1] == Progress("done", 0, 0, 0, 0, 0, None)


def test_a_video_without_a_transcript_is_no_failure(user: int, youtube: standin.YouTube) -> None:
    youtube.faults = Faults(silent_every=3)
    run, last = index(user)
    assert (last.done, last.failed, last.without_transcript) == (6, 0, 2)
    assert outcomes(run) == {"indexed": 4, "no_transcript": 2}
    assert runs.failures(run) == []
    found = search.find(user, talk(5).title)
    assert video_id(5) in [one.video_id for one in found]


def test_a_video_that_is_twice_in_a_playlist_is_indexed_once(user: int, youtube: standin.YouTube) -> None:
    youtube.playlists_of = lambda _: [Listed("PLsix", "Six", [1, 2, 1, 2, 2])]
    _, last = index(user)
    assert (last.total, last.done) == (2, 2)


# -- YouTube's refusals -------------------------------------------------------------------------------------------
def test_retry_after_is_honoured(user: int, youtube: standin.YouTube) -> None:
    """The stand-in counts who comes too early."""
    youtube.faults = Faults(limited_every=3, retry_after=1)
    _, last = index(user)
    assert (last.done, last.failed) == (6, 0)
    assert youtube.asked["429"] == 2
    assert youtube.asked["early"] == 0


def test_the_countdown_is_what_was_asked_for_and_else_grows_with_jitter() -> None:
    for retries in range(9):
        asked = native.countdown(RateLimited(7), retries)
        assert 7 <= asked <= 8
        backoff = native.countdown(Later("x"), retries)
        assert min(60, 2**retries) / 2 <= backoff <= min(60, 2**retries)


def test_failures_that_pass_are_tried_again(user: int, youtube: standin.YouTube, quick: None) -> None:
    youtube.faults = Faults(flaky_every=3)
    _, last = index(user)
    assert (last.done, last.failed) == (6, 0)
    assert youtube.asked["500"] == 2


def away(*_: Any, **__: Any) -> Any:
    raise OperationalError("UPDATE secret_table", {}, ConnectionError("away"))


def test_a_database_that_is_away_for_a_moment_fails_nothing(
    user: int, youtube: standin.YouTube, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: Counter[str] = Counter()
    record, videos_of = indexing.record, indexing.videos_of

    def twice_away(call: Any) -> Any:
        def called(run_id: str, *given: Any, **more: Any) -> Any:
            turns[key := f"{call.__name__} {given[:1]}"] += 1
            return away() if turns[key] < 3 else call(run_id, *given, **more)

        return called

    monkeypatch.setattr(indexing, "record", twice_away(record))
    monkeypatch.setattr(indexing, "videos_of", twice_away(videos_of))
    _, last = index(user)
    assert (last.state, last.done, last.failed) == ("done", 6, 0)
    assert set(turns.values()) == {3}
    assert len(turns) == 7


def test_errors_that_nobody_has_foreseen_are_not_told_in_their_own_words(
    user: int, youtube: standin.YouTube, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no task could write down how it ended."""
    with monkeypatch.context() as outage:
        outage.setattr(indexing, "record", away)
        run, last = index(user)
    assert (last.state, last.failed) == ("done", 6)
    assert {one.reason for one in runs.failures(run)} == {"The database did not answer."}
    with monkeypatch.context() as outage:
        outage.setattr(indexing, "list_playlist", away)
        _, last = index(user)
    assert (last.state, last.error) == ("failed", "The database did not answer.")


def test_a_playlist_that_cannot_be_listed(user: int, youtube: standin.YouTube) -> None:
    youtube.playlists_of = lambda _: []
    run, last = index(user)
    assert (last.state, last.over) == ("failed", True)
    assert "playlistNotFound" in last.error
    assert list(runs.changes(run)) == [last]
    youtube.playlists_of = lambda _: SIX
    again, last = index(user)
    assert again.id != run.id
    assert last.state == "done"


def test_a_foreman_that_has_failed_for_good_keeps_nobody_waiting(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run_id: str) -> bool:
        raise KeyError("snippet")

    with monkeypatch.context() as broken:
        broken.setattr(indexing, "list_playlist", fail)
        run, last = index(user)
    assert (last.state, last.error) == ("failed", "unexpected: KeyError")
    again, last = index(user)
    assert again.id != run.id
    assert last.state == "done"


# -- twice --------------------------------------------------------------------------------------------------------
def test_a_second_run_fetches_what_is_new(user: int, youtube: standin.YouTube) -> None:
    index(user, "PLthree")
    known = passages()
    run, last = index(user, "PLsix")
    assert last.done == 6
    assert set(youtube.asked_of.values()) == {1}
    assert passages() == 2 * known
    assert outcomes(run) == {"indexed": 6}


def test_a_forced_run_fetches_all_and_doubles_nothing(user: int, youtube: standin.YouTube) -> None:
    index(user)
    known = passages()
    index(user, forced=True)
    assert set(youtube.asked_of.values()) == {2}
    assert passages() == known


def test_a_task_that_runs_twice_changes_nothing(user: int) -> None:
    run, last = index(user)
    known = passages()
    assert indexing.list_playlist(run.id) is False
    assert indexing.index_video(run.id, video_id(2)) == "indexed"
    indexing.finish(run.id)
    assert passages() == known
    assert runs.progress(run) == last


def test_a_foreman_that_was_killed_begins_again(user: int, youtube: standin.YouTube) -> None:
    """It had listed, and it had pushed; neither is done twice."""
    run = runs.start(user, "PLsix")
    indexing.list_playlist(run.id)
    youtube.playlists_of = lambda _: []  # YouTube says something else by now
    native.index_playlist(run.id)
    native.index_playlist(run.id)
    with worker():
        *_, last = runs.changes(run)
    assert (last.total, last.done) == (6, 6)
    assert set(youtube.asked_of.values()) == {1}


# -- joining ------------------------------------------------------------------------------------------------------
def click_at_once(user: int) -> set[str]:
    """The runs that six clicks at the same moment are answered with."""
    started: list[str] = []
    gate = threading.Barrier(6)

    def click() -> None:
        gate.wait()
        started.append(runs.start(user, "PLsix").id)

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 6
    return set(started)


def test_many_clicks_are_one_run(user: int, youtube: standin.YouTube) -> None:
    (started,) = click_at_once(user)
    run = runs.start(user, "PLsix")
    with worker():
        *_, last = runs.changes(run)
    assert run.id == started
    assert last.done == 6
    assert set(youtube.asked_of.values()) == {1}
    current = runs.current(user, "PLsix")
    assert current is not None
    assert current.id == started


def test_a_click_sends_what_the_first_could_not(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first web process died between its record and the queue."""

    def die(run_id: str) -> None:
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr(native, "start", die)
        with pytest.raises(SystemExit):
            runs.start(user, "PLsix")
    before = runs.current(user, "PLsix")
    run, last = index(user)
    assert before is not None
    assert run.id == before.id
    assert last.state == "done"


def test_processes_that_start_at_the_same_time_start_one_run(user: int, parts: Services) -> None:
    """As web processes do that share nothing but the database and the queue."""
    queue = f"sqlite:///{parts.settings.data_dir}/queue.db"
    code = f"from playlist_search import runs, worker; input(); print(runs.start({user}, 'PLsix').id)"
    env = {**os.environ, "DATA_DIR": str(parts.settings.data_dir), "SMALLAGE_URL": queue, "PYTHONPATH": str(EXAMPLE)}
    command = [sys.executable, "-c", code]
    clicks = [subprocess.Popen(command, stdin=PIPE, stdout=PIPE, env=env, text=True) for _ in range(2)]
    for click in clicks:
        assert click.stdin is not None
        click.stdin.write("\n")
        click.stdin.flush()
    first, second = [click.communicate(timeout=PATIENCE)[0].strip() for click in clicks]
    assert first == second
    with parts.db.reading() as session:
        assert list(session.scalars(select(IndexRun.id))) == [first]


def test_after_the_end_comes_a_new_run(user: int) -> None:
    first, _ = index(user)
    second, _ = index(user)
    assert first.id != second.id
    current = runs.current(user, "PLsix")
    assert current is not None
    assert current.id == second.id
    assert runs.get(user, first.id) is not None


def test_a_run_that_never_ends_gives_way_after_its_time(user: int) -> None:
    lost = runs.start(user, "PLsix")
    assert runs.start(user, "PLsix").id == lost.id
    long_ago = runs.now() - dt.timedelta(days=2)
    with services.current().db.writing() as session:
        session.execute(update(IndexRun).values(started=long_ago))
    assert runs.current(user, "PLsix") is None
    assert runs.start(user, "PLsix").id != lost.id


def test_playlists_and_runs_of_others(user: int, parts: Services) -> None:
    grace = new_user("grace", playlists=False)
    with pytest.raises(LookupError):
        runs.start(grace, "PLsix")
    run = runs.start(user, "PLsix")
    assert runs.get(grace, run.id) is None
    assert runs.current(grace, "PLsix") is None


def test_two_users_share_a_video_and_each_finds_her_own(user: int, youtube: standin.YouTube) -> None:
    grace = new_user("grace")
    index(user, "PLsix")
    index(grace, "PLthree")
    assert set(youtube.asked_of.values()) == {1}
    assert len(search.find(user, "remember the word")) == 6
    assert len(search.find(grace, "remember the word")) == 3


# -- what failed --------------------------------------------------------------------------------------------------
@pytest.fixture
def broken(user: int, youtube: standin.YouTube, quick: None) -> Run:
    """A run of which two videos have failed."""
    youtube.faults = Faults(broken=frozenset({1, 4}))
    run, last = index(user)
    assert (last.state, last.done, last.failed) == ("done", 4, 2)
    return run


def test_failures_are_told_and_others_are_not_kept_waiting(user: int, broken: Run) -> None:
    first, second = runs.failures(broken)
    assert (first.video_id, first.title) == (video_id(1), talk(1).title)
    assert first.reason == "YouTube answered 500"
    assert second.video_id == video_id(4)
    assert runs.failures(broken, page=2) == []
    assert len(search.find(user, "remember the word")) == 4


def test_one_video_is_tried_again(user: int, broken: Run, youtube: standin.YouTube) -> None:
    youtube.faults = Faults()
    assert runs.retry_video(broken, video_id(4)).id == broken.id
    assert runs.progress(broken).state == "indexing"
    assert runs.start(user, "PLsix").id == broken.id
    with worker():
        *_, last = runs.changes(broken)
    assert (last.state, last.done, last.failed) == ("done", 5, 1)
    assert [one.video_id for one in runs.failures(broken)] == [video_id(1)]
    assert len(search.find(user, "remember the word")) == 5
    assert runs.retry_video(broken, video_id(4)).id == broken.id  # it is well already: nothing happens
    assert runs.progress(broken).state == "done"


def test_all_failed_videos_are_tried_again(user: int, broken: Run, youtube: standin.YouTube) -> None:
    youtube.faults = Faults(broken=frozenset({4}))
    assert runs.retry_failed(broken).id == broken.id
    with worker():
        *_, last = runs.changes(broken)
    assert (last.done, last.failed) == (5, 1)
    assert [one.video_id for one in runs.failures(broken)] == [video_id(4)]


def test_what_the_queue_has_forgotten_is_tried_again_by_a_new_run(
    user: int, broken: Run, youtube: standin.YouTube
) -> None:
    native.app.GroupResult(broken.group_id).forget()
    assert runs.progress(broken) == Progress("done", 6, 4, 2, 0, 0, None)
    youtube.faults = Faults()
    again = runs.retry_failed(broken)
    assert again.id != broken.id
    with worker():
        *_, last = runs.changes(again)
    assert (last.total, last.done) == (6, 6)
    assert youtube.asked_of[video_id(0)] == 1


def test_while_another_run_is_under_way_that_one_is_followed(user: int, broken: Run) -> None:
    other = runs.start(user, "PLsix")
    assert other.id != broken.id
    assert runs.retry_failed(broken).id == other.id
    assert runs.retry_video(broken, video_id(1)).id == other.id


def test_a_task_whose_worker_died_too_often_is_a_failure_too(user: int, youtube: standin.YouTube) -> None:
    """Nobody could write down how it ended: the run's end does."""
    run = runs.start(user, "PLsix")
    indexing.list_playlist(run.id)
    indexing.record(run.id, video_id(0), "indexed")
    indexing.finish(run.id, [(0, "WorkerLostError: x"), (3, "WorkerLostError: it died")])
    assert [(one.video_id, one.reason) for one in runs.failures(run)] == [(video_id(3), "WorkerLostError: it died")]


# -- on PostgreSQL ------------------------------------------------------------------------------------------------
def test_on_postgresql(tmp_path: Path, youtube: standin.YouTube, postgres_url: str, quick: None) -> None:
    youtube.faults = Faults(silent_every=3, flaky_every=2)
    with program(make_settings(tmp_path, youtube, database_url=postgres_url)):
        user = new_user()
        (started,) = click_at_once(user)
        run, last = index(user)
        assert run.id == started
        assert last == Progress("done", 6, 6, 0, 2, 0, None)
        index(user, forced=True)
        (hit,) = search.find(user, "marker0004")
        assert (hit.video_id, hit.second) == (video_id(4), phrase(4)[0])
        with services.current().db.reading() as session:
            assert session.get_one(Video, video_id(4)).tried is not None
        assert outcomes(run) == {"indexed": 4, "no_transcript": 2}
