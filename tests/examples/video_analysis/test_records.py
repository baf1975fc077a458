"""The records, on SQLite and on PostgreSQL: each word of the pipeline may come twice, late, or from two at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tests.examples.video_analysis.databases import connected, new_user
from video_analysis import db, records
from video_analysis.models import Analysis, Charge, Segment, User, minutes_of, now

SAID: list[Segment] = [{"start": 0.0, "end": 2.5, "text": "Hello."}, {"start": None, "end": None, "text": "World."}]


@pytest.fixture(params=["sqlite", "postgresql"], autouse=True)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'app.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    with connected(url):
        yield


def submit(user: int, key: str = "key", **other: Any) -> Analysis:
    asked = {"kind": "url", "source": "https://example.com/v", "title": "A video", "fingerprint": "f", **other}
    analysis, _new = records.submit(user, key, **asked)
    return analysis


def charges(user: int) -> list[int]:
    with db.reading() as session:
        return list(session.scalars(select(Charge.minutes).filter_by(user_id=user)))


def used(user: int) -> int:
    with db.reading() as session:
        return session.get_one(User, user).minutes_used


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls return or raise, all made at the same moment."""
    outcomes: list[Any] = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(place: int) -> None:
        gate.wait(30)
        try:
            outcomes[place] = calls[place]()
        except Exception as error:
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


# -- the way through ------------------------------------------------------------------------------------------------


def test_an_analysis_from_its_submission_to_its_charge() -> None:
    user = new_user(quota=10)
    one = submit(user)
    assert (one.state, one.fraction, one.created.tzinfo is not None) == ("queued", 0.0, True)

    assert records.begin(one.id).state == "running"
    records.named(one.id, "Its real title")
    records.at_step(one.id, "download", 0.5, "1 of 2 MB")
    halfway = records.load(one.id)
    assert (halfway.step, halfway.progress, halfway.note) == ("download", 0.5, "1 of 2 MB")
    assert halfway.fraction == pytest.approx(1 / 12)

    assert records.measured(one.id, 61.0) == 2
    assert (records.minutes_reserved(user), used(user)) == (2, 0)
    assert records.finish(one.id, SAID, "A greeting.", ["hello", "world"])

    done = records.load(one.id)
    assert (done.state, done.title, done.fraction) == ("done", "Its real title", 1.0)
    assert (done.transcript, done.summary, done.key_phrases) == (SAID, "A greeting.", ["hello", "world"])
    assert done.started is not None
    assert done.finished is not None
    assert done.created <= done.started <= done.finished <= now()
    assert (charges(user), used(user), records.minutes_reserved(user)) == ([2], 2, 0)


@pytest.mark.parametrize(("seconds", "minutes"), [(0.1, 1), (60.0, 1), (60.1, 2), (3600.0, 60)])
def test_begun_minutes_count(seconds: float, minutes: int) -> None:
    assert minutes_of(seconds) == minutes


def test_the_bar_never_goes_back() -> None:
    one = submit(new_user())
    records.at_step(one.id, "transcribe", 0.5, "6 of 12 pieces")
    records.at_step(one.id, "transcribe", 0.25, "3 of 12 pieces")  # two workers, one of them late
    records.at_step(one.id, "download", 1.0)  # a step that is run again
    seen = records.load(one.id)
    assert (seen.step, seen.progress, seen.note) == ("transcribe", 0.5, "6 of 12 pieces")
    records.at_step(one.id, "join", 7.0)
    assert records.load(one.id).progress == 1.0


def test_a_step_that_does_not_exist_is_a_mistake() -> None:
    one = submit(new_user())
    with pytest.raises(ValueError, match="the steps are download, split"):
        records.at_step(one.id, "dance")


def test_nul_and_half_characters_do_no_harm() -> None:
    one = submit(new_user(), title="A\0B\ud800")
    records.at_step(one.id, "download", 0.1, "no\0te")
    records.measured(one.id, 1)
    records.finish(one.id, [{"start": None, "end": None, "text": "a\0b"}], "s\0", ["p\0", "\udfff"])
    seen = records.load(one.id)
    assert (seen.title, seen.note, seen.summary, seen.key_phrases) == ("AB?", "note", "s", ["p", "?"])
    assert seen.transcript == [{"start": None, "end": None, "text": "ab"}]


def test_nobody_has_an_analysis_that_does_not_exist() -> None:
    for ask in (records.load, records.begin, records.cancel):
        with pytest.raises(records.NoSuchAnalysis):
            ask("b3f0e3d2-0000-0000-0000-000000000000")


def test_the_newest_comes_first_and_only_ones_own() -> None:
    ann, bob = new_user("ann@example.com"), new_user("bob@example.com")
    first, second = submit(ann, "1"), submit(ann, "2")
    submit(bob, "1")
    assert [one.id for one in records.of_user(ann)] == [second.id, first.id]


# -- the same key ---------------------------------------------------------------------------------------------------


def test_the_same_key_is_the_same_analysis() -> None:
    user = new_user()
    first, is_new = records.submit(user, "k", kind="url", source="s", title="t", fingerprint="f")
    again, is_new_again = records.submit(user, "k", kind="url", source="s", title="t", fingerprint="f")
    assert (first.id, is_new, is_new_again) == (again.id, True, False)
    with pytest.raises(records.KeyInUse):
        records.submit(user, "k", kind="url", source="other", title="t", fingerprint="other")


def test_keys_of_different_users_have_nothing_to_do_with_each_other() -> None:
    assert submit(new_user("ann@example.com")).id != submit(new_user("bob@example.com")).id


def test_one_key_sent_by_many_at_once_is_one_analysis() -> None:
    user = new_user(quota=1)  # the first takes all there is: the others must not be told that it is used up
    seen = at_once(*[lambda: submit(user, "k", seconds=60.0).id] * 6)
    assert len(set(seen)) == 1
    assert len(records.of_user(user)) == 1


def test_the_database_itself_refuses_a_second_row_with_a_key() -> None:
    one = submit(new_user())
    fields = {"kind": "url", "source": "s", "title": "t", "fingerprint": "f"}
    with pytest.raises(IntegrityError), db.writing() as session:
        session.add(Analysis(user_id=one.user_id, idempotency_key=one.idempotency_key, **fields))


# -- the quota ------------------------------------------------------------------------------------------------------


def test_nothing_is_accepted_when_nothing_is_left() -> None:
    user = new_user(quota=1)
    submit(user, "1", seconds=30)
    with pytest.raises(records.OverQuota, match="used up, or reserved"):
        submit(user, "2")
    with pytest.raises(records.OverQuota):
        records.require_room(user)


def test_a_video_that_is_too_long_is_not_accepted() -> None:
    user = new_user(quota=3)
    with pytest.raises(records.OverQuota, match="takes 4 minutes, and you have 3 minutes left"):
        submit(user, seconds=181)
    assert records.of_user(user) == []


def test_a_url_that_turns_out_too_long_is_refused_for_good() -> None:
    user = new_user(quota=2)
    one = submit(user)
    records.begin(one.id)
    for _run in range(2):
        with pytest.raises(records.OverQuota, match="takes 3 minutes, and you have 2 minutes left"):
            records.measured(one.id, 121)
    refused = records.load(one.id)
    assert (refused.state, refused.error) == ("refused", "This video takes 3 minutes, and you have 2 minutes left.")
    assert not records.finish(one.id, SAID, "", [])
    assert (charges(user), used(user), records.minutes_reserved(user)) == ([], 0, 0)


def test_a_second_measure_takes_the_place_of_the_first() -> None:
    user = new_user(quota=2)
    one = submit(user, seconds=100)  # what the file said about itself
    assert records.measured(one.id, 119) == 2
    assert records.measured(one.id, 59) == 1
    assert records.minutes_reserved(user) == 1


def test_what_is_not_finished_is_given_back() -> None:
    user = new_user(quota=2)
    failed, cancelled = submit(user, "1", seconds=60), submit(user, "2", seconds=60)
    assert records.minutes_reserved(user) == 2
    assert records.fail(failed.id, "The video is private.")
    assert records.cancel(cancelled.id)
    assert records.minutes_reserved(user) == 0
    assert records.load(failed.id).error == "The video is private."


def test_submissions_at_once_cannot_overrun_the_quota() -> None:
    user = new_user(quota=5)
    seen = at_once(*[lambda key=str(number): submit(user, key, seconds=60) for number in range(9)])
    assert sum(isinstance(one, Analysis) for one in seen) == 5
    assert sum(isinstance(one, records.OverQuota) for one in seen) == 4
    assert records.minutes_reserved(user) == 5


def test_measures_at_once_cannot_overrun_the_quota() -> None:
    user = new_user(quota=8)
    ids = [submit(user, str(number)).id for number in range(8)]
    seen = at_once(*[lambda one=one: records.measured(one, 60.5) for one in ids])
    assert sorted(map(str, seen))[:4] == ["2"] * 4
    assert sum(isinstance(one, records.OverQuota) for one in seen) == 4
    assert sorted(one.state for one in records.of_user(user)) == ["queued"] * 4 + ["refused"] * 4


def test_addresses_count_before_their_length_is_known() -> None:
    """Else somebody with a minute left could have thousands of videos downloaded."""
    user = new_user(quota=2)
    first, _second = submit(user, "1"), submit(user, "2")
    with pytest.raises(records.OverQuota):
        submit(user, "3")
    assert records.minutes_reserved(user) == 2
    assert records.measured(first.id, 60) == 1


# -- the charge -----------------------------------------------------------------------------------------------------


def test_finishing_twice_charges_once() -> None:
    user = new_user()
    one = submit(user, seconds=90)
    assert records.finish(one.id, SAID, "first", ["a"])
    assert not records.finish(one.id, [], "second", [])
    assert (charges(user), used(user), records.load(one.id).summary) == ([2], 2, "first")


def test_finishing_by_many_at_once_charges_once() -> None:
    user = new_user()
    one = submit(user, seconds=90)
    seen = at_once(*[lambda: records.finish(one.id, SAID, "s", [])] * 6)
    assert sorted(seen) == [False] * 5 + [True]
    assert (charges(user), used(user)) == ([2], 2)


def test_finishing_many_analyses_of_a_user_at_once_charges_each() -> None:
    user = new_user(quota=6)
    ids = [submit(user, str(number), seconds=50).id for number in range(6)]
    assert all(at_once(*[lambda one=one: records.finish(one, SAID, "s", []) for one in ids]))
    assert (charges(user), used(user), records.minutes_reserved(user)) == ([1] * 6, 6, 0)


def test_finish_and_cancel_at_once_agree() -> None:
    user = new_user()
    one = submit(user, seconds=50)
    finished, cancelled = at_once(lambda: records.finish(one.id, SAID, "s", []), lambda: records.cancel(one.id))
    assert finished != cancelled
    assert records.load(one.id).state == ("done" if finished else "cancelled")
    assert charges(user) == ([1] if finished else [])


def test_the_result_and_the_charge_come_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    user = new_user()
    one = submit(user, seconds=50)

    def power_cut(*_: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as cut, pytest.raises(RuntimeError, match="power cut"):
        cut.setattr(records, "_end", power_cut)  # after the charge was added
        records.finish(one.id, SAID, "s", [])
    assert (charges(user), used(user), records.load(one.id).state) == ([], 0, "queued")
    assert records.load(one.id).transcript is None
    assert records.finish(one.id, SAID, "s", [])
    assert charges(user) == [1]


def test_nothing_is_charged_for_a_length_that_nobody_knows() -> None:
    one = submit(new_user())
    with pytest.raises(ValueError, match="call `measured` before"):
        records.finish(one.id, SAID, "s", [])
    assert records.load(one.id).state == "queued"


# -- after the end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_an_analysis_that_has_ended_stays_as_it_is(end: str) -> None:
    one = submit(new_user(), seconds=50)
    ends: dict[str, Callable[[], bool]] = {
        "done": lambda: records.finish(one.id, SAID, "s", ["k"]),
        "failed": lambda: records.fail(one.id, "broken"),
        "cancelled": lambda: records.cancel(one.id),
    }
    assert ends[end]()
    before = vars(records.load(one.id))
    late: list[Callable[[], Any]] = [
        lambda: records.begin(one.id),
        lambda: records.at_step(one.id, "store", 1.0),
        lambda: records.named(one.id, "late"),
        lambda: records.measured(one.id, 9999),
    ]
    for word in late:
        with pytest.raises(records.Ended, match=end):
            word()
    assert not any(again() for again in ends.values())
    after = vars(records.load(one.id))
    before.pop("_sa_instance_state"), after.pop("_sa_instance_state")
    assert after == before


# -- taking turns ---------------------------------------------------------------------------------------------------


def test_a_writer_that_fails_gives_its_turn_away() -> None:
    with pytest.raises(RuntimeError), db.writing():
        raise RuntimeError
    assert new_user() > 0
