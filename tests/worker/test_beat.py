"""The scheduler on a clock that the test owns: every tick once, whoever dies; edits without a restart."""

from __future__ import annotations

import datetime as dt
import random
from time import monotonic
from zoneinfo import ZoneInfo

import pytest
import redis

from smallage.app import Smallage
from smallage.core import codec, entries
from smallage.core.canvas import chord, group
from smallage.core.entries import BeatLazyFunc
from smallage.core.errors import ImproperlyConfigured, StoreFull, StoreUnavailable
from smallage.core.schedule import BaseSchedule, instant, moment
from smallage.schedules import crontab, schedule, ticks
from smallage.schedules.ticks import tick_id
from smallage.stores import base
from smallage.testing import start_worker
from smallage.testing.clock import FakeClock
from smallage.testing.faulty import FaultyStore
from smallage.testing.wrapper import Wrapper
from smallage.worker.beat import Beat
from tests.worker.conftest import PATIENCE, Told

DAY = 86_400
BERLIN = ZoneInfo("Europe/Berlin")


def us(text, zone=dt.UTC):
    return instant(dt.datetime.fromisoformat(text).replace(tzinfo=zone))


@pytest.fixture
def clock():
    return FakeClock(us("2026-10-20T12:00"))


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def store(request, clock, tmp_path):
    urls = {
        "memory": lambda: "memory://",
        "sqlite": lambda: f"sqlite:///{tmp_path}/queue.db",
        "redis": lambda: request.getfixturevalue("redis_url"),
    }
    made = base.open(urls[request.param](), clock=clock)
    made.setup()
    yield made
    made.close()


def an_app(store, entries=None, **settings):
    app = Smallage("shop", broker="memory://", set_as_current=False, **settings)
    app.use_store(store)
    app.conf.beat_schedule = entries or {}

    @app.task(name="work")
    def work(*args, **kwargs):
        pass

    return app


def pushed(store):
    """The tasks that wait, in order of their ids."""
    return store.find("ready", 1000)


def payloads(store):
    return [codec.decode_payload(store.payload(view.id)[0]) for view in pushed(store)]


def info(schedules, name):
    found = schedules.get(name)
    assert found is not None
    return found


def due_times(when, begin, end, zone=dt.UTC):
    """Minutes at which a crontab's fields match on the wall, walked one by one."""
    found = []
    for one in range(begin // 60_000_000 + 1, end // 60_000_000 + 1):
        wall = moment(one * 60_000_000, zone)
        if wall.minute in when.minute and wall.hour in when.hour and wall.isoweekday() % 7 in when.day_of_week:
            found.append(one * 60_000_000)
    return found


class Mortal(Wrapper):
    """A store whose process dies at its next verb, before or after the act."""

    def __init__(self, inner, rng):
        super().__init__(inner)
        self.rng, self.doomed, self.dead = rng, False, False

    def around(self, verb, act, args, kwargs):
        if self.dead:
            raise StoreUnavailable("dead")
        if self.doomed and verb in ("fire", "tick", "schedules"):
            self.dead = True
            if self.rng.random() < 0.5:
                act(*args, **kwargs)
            raise StoreUnavailable("dies")
        return act(*args, **kwargs)


# -- every tick once ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(5))
def test_five_beats_one_killed_at_random_ticks_equal_due_times(store, clock, seed):
    rng = random.Random(seed)
    when = crontab("*/7,30", "6-22", "mon-fri")
    entries = {
        "often": {"task": "work", "schedule": when, "catch_up": "all"},
        "every": {"task": "work", "schedule": 1000, "catch_up": "all"},
    }
    begin = clock.now_us
    mortals = [Mortal(store, rng) for _ in range(5)]
    beats = [Beat(an_app(mortal, entries)) for mortal in mortals]
    for beat in beats:
        beat.step()
    killed = 0
    for _ in range(300):
        clock.advance(rng.choice([1, 20, 61, 400, 3600]))
        if killed < 4 and rng.random() < 0.05:
            mortals[rng.choice([n for n, mortal in enumerate(mortals) if not mortal.dead])].doomed = True
            killed += 1
        for beat, mortal in rng.sample(list(zip(beats, mortals, strict=True)), 5):
            if mortal.dead or rng.random() < 0.3:  # some sleep through it
                continue
            try:
                beat.step()
            except StoreUnavailable:
                assert mortal.dead
                break
    survivor = next(beat for beat, mortal in zip(beats, mortals, strict=True) if not mortal.doomed)
    while survivor.step() == 0.0:
        pass
    wanted = {tick_id("often", one) for one in due_times(when, begin, clock.now_us)}
    wanted |= {tick_id("every", one) for one in range(begin + 10**9, clock.now_us + 1, 10**9)}
    found = []
    after = None
    while page := store.find("ready", 500, after):
        found += [view.id for view in page]
        after = page[-1].id
    assert len(found) == len(set(found)) == len(wanted)
    assert set(found) == wanted
    assert killed >= 2


def test_a_daily_job_fires_once_on_the_autumn_change(store, clock):
    app = an_app(store, {"nightly": {"task": "work", "schedule": crontab(30, 2)}}, timezone="Europe/Berlin")
    beats = [Beat(app), Beat(app)]
    beats[0].step()
    clock.advance(us("2026-10-25T00:00", BERLIN) / 1e6 - clock.now_us / 1e6)
    beats[0].step()  # the days before
    before = len(pushed(store))
    hours = []
    for _ in range(25 * 12):  # the day has 25 hours
        clock.advance(300)
        for beat in beats:
            beat.step()
        if len(pushed(store)) > before:
            before = len(pushed(store))
            hours.append(moment(clock.now_us, BERLIN).isoformat())
    assert hours == ["2026-10-25T02:30:00+02:00"]


def test_a_tick_whose_firer_dies_after_it_is_there_once(store, clock):
    class DiesAfterFiring(Wrapper):
        def around(self, verb, act, args, kwargs):
            answer = act(*args, **kwargs)
            if verb == "fire":
                raise StoreUnavailable("killed")
            return answer

    entries = {"x": {"task": "work", "schedule": 60}}
    first, second = Beat(an_app(DiesAfterFiring(store), entries)), Beat(an_app(store, entries))
    first.step()
    second.step()
    clock.advance(60)
    with pytest.raises(StoreUnavailable):
        first.step()
    assert len(pushed(store)) == 1
    second.step()
    second.step()
    assert [view.id for view in pushed(store)] == [tick_id("x", clock.now_us)]
    assert store.schedules()[0].fired == 1


def test_a_step_says_when_to_look_again(store, clock):
    beat = Beat(an_app(store, {"x": {"task": "work", "schedule": 60}, "y": {"task": "work", "schedule": 7}}))
    assert beat.step() == 7.0
    clock.advance(5)
    assert beat.step() == 2.0
    beat.max_interval = 1.5
    assert beat.step() == 1.5


def test_a_thousand_schedules_are_looked_at_when_they_are_due(store, clock, monkeypatch):
    looks = []
    look_at = ticks.look_at

    def counted(*given):
        looks.append(given)
        return look_at(*given)

    monkeypatch.setattr(ticks, "look_at", counted)
    entries = {f"s{n}": {"task": "work", "schedule": 1000 + n} for n in range(1000)}
    beat = Beat(an_app(store, entries))
    beat.step()
    assert len(looks) == 1000
    clock.advance(1000)
    assert beat.step() == 1.0
    assert len(looks) == 1001
    clock.advance(5)
    beat.step()
    assert len(looks) == 1001 + 5


def test_without_schedules_there_is_nothing_to_wait_for(store):
    verbs = []

    class Counted(Wrapper):
        def around(self, verb, act, args, kwargs):
            verbs.append(verb)
            return act(*args, **kwargs)

    beat = Beat(an_app(Counted(store)))
    assert beat.step() is None
    assert beat.step() is None
    assert verbs == ["schedules"]


def test_a_new_interval_waits_one_interval_first(store, clock):
    beat = Beat(an_app(store, {"x": {"task": "work", "schedule": 60}}))
    beat.step()
    assert pushed(store) == []
    clock.advance(59.9)
    beat.step()
    assert pushed(store) == []


# -- what is sent -------------------------------------------------------------------------------------------------
def test_what_a_tick_carries(store, clock):
    entries = {
        "x": {
            "task": "work",
            "schedule": 60,
            "args": (1, BeatLazyFunc(lambda: "now")),
            "kwargs": {"k": BeatLazyFunc(lambda n: n + 1, 1)},
            "options": {"queue": "q", "priority": 3, "headers": {"mine": 1}, "expires": 30},
        }
    }
    beat = Beat(an_app(store, entries))
    beat.step()
    clock.advance(60)
    beat.step()
    [view] = pushed(store)
    assert (view.name, view.queue, view.priority, view.expires_us) == ("work", "q", 3, clock.now_us + 30_000_000)
    [(args, kwargs, extras)] = payloads(store)
    assert (args, kwargs) == ([1, "now"], {"k": 2})
    assert extras["h"] == {"mine": 1, "celery_beat_task": True}


def test_tasks_that_are_not_registered_are_sent_by_name(store, clock):
    beat = Beat(an_app(store, {"x": {"task": "elsewhere.job", "schedule": 1}}, task_routes={"elsewhere.*": "far"}))
    beat.step()
    clock.advance(1)
    beat.step()
    [view] = pushed(store)
    assert (view.name, view.queue) == ("elsewhere.job", "far")


def test_workflows_are_sent_with_everything_that_follows(store, clock):
    app = an_app(store)
    work, seen = app.tasks["work"], Told()

    @app.task(name="note")
    def note(*values):
        seen.append(values)
        return len(seen)

    app.add_periodic_task(60, work.s(1) | note.s(2), name="chain")
    app.add_periodic_task(60, group(note.s(n) for n in range(3)), name="group")
    app.add_periodic_task(60, chord([work.s(), work.s()], note.s("body")), name="chord")
    app.add_periodic_task(60, work.s(), name="linked", link=note.s("linked"))
    beats = [Beat(app), Beat(app)]
    for beat in beats:
        beat.step()
    for _ in range(2):
        clock.advance(60)
        for beat in beats:
            beat.step()
    with start_worker(app):
        seen.wait(12)
    assert sorted(map(str, seen)) == sorted(
        map(str, 2 * [(None, 2), (0,), (1,), (2,), ([None, None], "body"), (None, "linked")])
    )
    assert store.audit() == []


def test_a_tick_that_cannot_be_sent_does_not_hold_up_the_others(store, clock, caplog):
    def broken():
        raise RuntimeError("no")

    entries = {
        "a": {"task": "work", "schedule": 60, "args": (BeatLazyFunc(broken),)},
        "b": {"task": "work", "schedule": 60},
    }
    beat = Beat(an_app(store, entries))
    beat.step()
    clock.advance(60)
    beat.step()
    beat.step()
    assert [view.id for view in pushed(store)] == [tick_id("b", clock.now_us)]
    assert sum("'a' cannot send" in record.getMessage() for record in caplog.records) == 1


def test_a_tick_that_the_store_does_not_take_does_not_hold_up_the_others(store, clock, caplog):
    class Picky(Wrapper):
        def around(self, verb, act, args, kwargs):
            if verb == "fire" and args[0] == "a":
                raise ValueError("not this one")
            return act(*args, **kwargs)

    beat = Beat(an_app(Picky(store), {name: {"task": "work", "schedule": 60} for name in "abc"}))
    beat.step()
    clock.advance(60)
    beat.step()
    assert {view.id for view in pushed(store)} == {tick_id("b", clock.now_us), tick_id("c", clock.now_us)}
    assert "not this one" in caplog.text
    clock.advance(60)
    assert beat.step() == 60.0


def test_a_store_that_is_full_for_some_ticks_gets_them_later(store, clock):
    class Filling(Wrapper):
        room = 2

        def around(self, verb, act, args, kwargs):
            if verb == "fire":
                self.room -= 1
                if self.room < 0:
                    raise StoreFull("full")
            return act(*args, **kwargs)

    filling = Filling(store)
    beat = Beat(an_app(filling, {f"s{n}": {"task": "work", "schedule": 60} for n in range(5)}))
    beat.step()
    clock.advance(60)
    with pytest.raises(StoreFull):
        beat.step()
    assert len(pushed(store)) == 2
    filling.room = 9
    assert beat.step() == 60.0
    assert len(pushed(store)) == 5


@pytest.mark.parametrize("name", ["work", "elsewhere.job"])
def test_a_limit_of_arguments_below_the_warning_holds(store, clock, caplog, name):
    entries = {"x": {"task": name, "schedule": 60, "args": ("x" * 2_000,)}}
    beat = Beat(an_app(store, entries, task_payload_limit=1_000))
    beat.step()
    clock.advance(60)
    beat.step()
    assert pushed(store) == []
    assert "the limit is 1,000" in caplog.text


def test_after_an_absence_the_policy_decides(store, clock):
    entries = {
        policy: {"task": "work", "schedule": crontab(0, "*"), "catch_up": policy}
        for policy in ("none", "latest", "all")
    }
    Beat(an_app(store, entries)).step()
    clock.advance(5 * 3600 + 600)  # everybody was down; it is ten past
    beat = Beat(an_app(store, entries))
    beat.step()
    fired = {view.name: view.fired for view in store.schedules()}
    assert fired == {"none": 0, "latest": 1, "all": 5}
    clock.advance(3000)
    beat.step()
    assert {view.name: view.fired for view in store.schedules()} == {"none": 1, "latest": 2, "all": 6}


def test_the_deadline_leaves_out_old_crontabs_and_no_intervals(store, clock):
    entries = {"cron": {"task": "work", "schedule": crontab(0)}, "every": {"task": "work", "schedule": 3600}}
    app = an_app(store, entries, beat_cron_starting_deadline=300)
    Beat(app).step()
    clock.advance(3600 + 301)
    Beat(app).step()
    assert {view.name: view.fired for view in store.schedules()} == {"cron": 0, "every": 1}


def test_a_schedule_of_its_own_kind_ticks_once_for_many_beats(store, clock):
    class Primes(BaseSchedule):
        """Due so many seconds after its last run."""

        def remaining_estimate(self, last_run_at):
            return last_run_at + dt.timedelta(seconds=17) - self.now()

        def is_due(self, last_run_at):
            left = self.remaining_estimate(last_run_at).total_seconds()
            return (True, 17.0) if left <= 0 else (False, left)

    beats = [Beat(an_app(store, {"x": {"task": "work", "schedule": Primes()}})) for _ in range(3)]
    for beat in beats:
        beat.step()
    for _ in range(100):
        clock.advance(1)
        for beat in beats:
            beat.step()
    assert store.schedules()[0].fired == 5


# -- the code's entries -------------------------------------------------------------------------------------------
def test_add_periodic_task(store, clock):
    app = an_app(store)
    work = app.tasks["work"]
    assert app.add_periodic_task(10, work.s(1), name="ten") == "ten"
    assert app.add_periodic_task(crontab(0, 3), work.s("a"), (), {"k": 2}, queue="q") == repr(work.s("a", k=2))
    Beat(app).step()
    assert [info.schedule for info in app.schedules.list() if info.name == "ten"] == ["every 10 s"]
    assert sorted(info.name for info in app.schedules.list()) == sorted(["ten", repr(work.s("a", k=2))])
    assert set(app.conf.beat_schedule) == {"ten", repr(work.s("a", k=2))}
    with pytest.raises(ImproperlyConfigured, match="at least"):
        app.add_periodic_task(0, work.s())


@pytest.mark.parametrize("moment", ["on_after_configure", "on_after_finalize"])
def test_entries_are_added_when_the_app_is_ready(store, moment):
    app = Smallage("shop", broker="memory://", set_as_current=False)
    app.use_store(store)

    @getattr(app, moment).connect
    def setup(sender, **_):
        sender.add_periodic_task(10, sender.signature("work", ("hello",)), name="ten", expires=5)

    beat = Beat(app)
    assert beat.step() == 10.0
    assert beat.code["ten"].options == {"expires": 5}


def test_faults_are_told_at_the_start(store):
    with pytest.raises(ImproperlyConfigured, match=r"'x'.*'arg'"):
        Beat(an_app(store, {"x": {"task": "work", "schedule": 1, "arg": 1}}))
    with pytest.raises(ImproperlyConfigured, match=r"app\.schedules"):
        Beat(an_app(store, beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler"))
    Beat(an_app(store, beat_scheduler="celery.beat:PersistentScheduler"))


def test_entries_of_other_code_are_fired_by_those_who_have_it(store, clock):
    Beat(an_app(store, {"x": {"task": "work", "schedule": 1}})).step()
    clock.advance(10)
    stranger = Beat(an_app(store))
    assert stranger.step() is None
    assert pushed(store) == []


def test_a_restart_with_the_same_code_changes_nothing(store, clock):
    entries = {"x": {"task": "work", "schedule": 60}}
    Beat(an_app(store, entries)).step()
    before = store.schedules()
    clock.advance(30)
    beat = Beat(an_app(store, entries))
    beat.step()
    assert store.schedules() == before
    clock.advance(30)
    beat.step()
    assert store.schedules()[0].fired == 1


# -- changes at run time ------------------------------------------------------------------------------------------
def after_change(beat):
    """What a notice of the store makes a beat do."""
    beat.forget()
    return beat.step()


def test_pause_and_resume(store, clock):
    app = an_app(store, {"x": {"task": "work", "schedule": crontab()}})
    beat, schedules = Beat(app), app.schedules
    beat.step()
    schedules.pause("x")
    assert info(schedules, "x").paused
    clock.advance(3 * DAY)
    beat.step()  # it has not heard of it yet
    assert pushed(store) == []
    assert after_change(beat) is None
    schedules.resume("x")
    assert after_change(beat) == 60.0
    assert pushed(store) == []  # what would have been due meanwhile is left out
    clock.advance(60)
    beat.step()
    assert len(pushed(store)) == 1
    before = store.schedules()
    schedules.resume("x")
    assert store.schedules() == before
    Beat(an_app(store, {"x": {"task": "work", "schedule": crontab()}})).step()
    assert store.schedules() == before  # a restart does not take the pause for a change of the code


def test_an_edit_holds_until_the_code_changes(store, clock):
    entries = {"x": {"task": "work", "schedule": 60, "args": (1,)}}
    app = an_app(store, entries)
    beat, schedules = Beat(app), app.schedules
    beat.step()
    made = schedules.set("x", 5, args=(2,))
    assert (made.schedule, made.source, made.task) == ("every 5 s", "operator", "work")
    assert after_change(beat) == 5.0
    again = Beat(an_app(store, entries))
    assert again.step() == 5.0
    clock.advance(5)
    again.step()
    assert [args for args, _, _ in payloads(store)] == [[2]]
    changed = Beat(an_app(store, {"x": {"task": "work", "schedule": 30}}))
    assert changed.step() == 30.0
    assert info(schedules, "x").source == "app"


def test_schedules_of_operators_are_fired_by_everybody(store, clock):
    app = an_app(store)
    beat, schedules = Beat(app), app.schedules
    assert beat.step() is None
    schedules.set("new", "0 3 * * *", task="work", kwargs={"a": 1}, zone="Europe/Berlin", catch_up="all")
    assert after_change(beat) == beat.max_interval
    assert info(schedules, "new").next.isoformat() == "2026-10-21T03:00:00+02:00"
    schedules.set("new", "0 4 * * *")
    assert info(schedules, "new").next.isoformat() == "2026-10-21T04:00:00+02:00"
    assert info(schedules, "new").catch_up == "all"
    clock.advance(DAY)
    assert after_change(beat) is not None
    assert len(pushed(store)) == 1
    schedules.remove("new")
    clock.advance(DAY)
    beat.step()
    assert after_change(beat) is None
    assert len(pushed(store)) == 1


def test_lazy_arguments_stay_those_of_the_code_when_the_time_is_edited(store, clock):
    app = an_app(store, {"x": {"task": "work", "schedule": 60, "args": (BeatLazyFunc(lambda: 7),)}})
    beat = Beat(app)
    beat.step()
    app.schedules.set("x", 5)
    after_change(beat)
    clock.advance(5)
    beat.step()
    assert [args for args, _, _ in payloads(store)] == [[7]]
    stranger = Beat(an_app(store))
    assert stranger.step() is None


def test_run_now_is_no_tick(store, clock):
    app = an_app(store, {"x": {"task": "work", "schedule": 60, "args": (3,)}})
    Beat(app).step()
    app.schedules.pause("x")
    result = app.schedules.run_now("x")
    assert [view.id for view in pushed(store)] == [result.id]
    assert store.schedules()[0].fired == 0
    from_elsewhere = an_app(store).schedules.run_now("x")
    assert from_elsewhere.id != result.id
    assert [args for args, _, _ in payloads(store)] == [[3], [3]]


def test_what_cannot_be_changed(store, clock):
    app = an_app(store, {"lazy": {"task": "work", "schedule": 1, "args": (BeatLazyFunc(int),)}})
    schedules = app.schedules
    Beat(app).step()
    for act in (schedules.pause, schedules.resume, schedules.remove, schedules.run_now):
        with pytest.raises(KeyError, match="no schedule 'none'"):
            act("none")
    assert schedules.get("none") is None
    with pytest.raises(ImproperlyConfigured, match="needs a schedule and a task"):
        schedules.set("none", 5)
    with pytest.raises(ImproperlyConfigured, match="plain values"):
        schedules.set("lazy", args=(object(),))
    with pytest.raises(ImproperlyConfigured, match="time zone"):
        schedules.set("lazy", zone="Moon/Base")
    with pytest.raises(ImproperlyConfigured, match="code can compute"):
        an_app(store).schedules.run_now("lazy")


def test_the_list_says_what_comes_next(store, clock):
    app = an_app(
        store, {"x": {"task": "work", "schedule": schedule(60)}, "y": {"task": "work", "schedule": crontab(0)}}
    )
    beat = Beat(app)
    beat.step()
    clock.advance(61)
    beat.step()
    infos = {info.name: info for info in app.schedules.list()}
    assert infos["x"].last == moment(clock.now_us - 1_000_000)
    assert infos["x"].next == moment(clock.now_us + 59_000_000)
    assert (infos["y"].last, infos["y"].next, infos["y"].fired) == (None, moment(us("2026-10-20T13:00")), 0)
    assert beat.upcoming()[0][1:] == ("x", "work")


# -- changes between a look and its ticks ---------------------------------------------------------------------------
def test_a_tick_of_a_schedule_that_was_changed_meanwhile_is_not_sent(store, clock):
    """The beat has read the schedule, and not heard yet of the change."""
    app = an_app(store, {"x": {"task": "work", "schedule": crontab(), "args": (1,)}})
    beats = [Beat(app), Beat(app)]
    for beat in beats:
        beat.step()
    clock.advance(59)
    app.schedules.set("x", "30 12 * * *", args=(2,))
    clock.advance(1)
    for beat in beats:
        beat.step()
        assert pushed(store) == []
        beat.step()
    clock.advance(29 * 60)
    for beat in beats:
        beat.step()
    assert [args for args, _, _ in payloads(store)] == [[2]]


def test_what_is_changed_while_due_is_sent_as_it_is_now(store, clock):
    app = an_app(store, {"x": {"task": "work", "schedule": crontab(), "args": (1,)}})
    beat = Beat(app)
    beat.step()
    clock.advance(61)
    app.schedules.set("x", args=(2,))
    beat.step()
    beat.step()
    assert [args for args, _, _ in payloads(store)] == [[2]]


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
def test_ticks_that_nobody_served_outlive_a_change_of_arguments(store, clock, policy):
    """A deploy in whose downtime ticks were due, and that changes what they carry."""

    def entries(arg, minute=0):
        return {"x": {"task": "work", "schedule": crontab(minute), "args": (arg,), "catch_up": policy}}

    Beat(an_app(store, entries(1))).step()
    clock.advance(3 * 3600 + 600)
    beat = Beat(an_app(store, entries(2)))
    beat.step()
    found = {"none": 0, "latest": 1, "all": 3}[policy]
    assert [args for args, _, _ in payloads(store)] == [[2]] * found
    clock.advance(3600)
    Beat(an_app(store, entries(3, minute=5))).step()  # another time begins anew
    assert len(pushed(store)) == found


def test_an_interval_keeps_its_beat_when_its_arguments_are_edited(store, clock):
    app = an_app(store, {"x": {"task": "work", "schedule": 60}})
    Beat(app).step()
    clock.advance(50)
    app.schedules.set("x", args=[5])
    assert Beat(an_app(store, {"x": {"task": "work", "schedule": 60, "kwargs": {"a": 1}}})).step() == 10.0
    clock.advance(5)
    app.schedules.set("x", 60, args=[6])
    assert Beat(app).step() == 5.0
    app.schedules.set("x", 59)
    assert Beat(app).step() == 59.0


def test_a_pause_and_a_resume_between_a_look_and_its_tick(store, clock):
    app = an_app(store, {"x": {"task": "work", "schedule": crontab()}})
    beat = Beat(app)
    beat.step()
    clock.advance(61)
    app.schedules.pause("x")
    app.schedules.resume("x")
    beat.step()
    beat.step()
    assert pushed(store) == []  # what was due during the pause is left out
    clock.advance(59)
    beat.step()
    assert [view.id for view in pushed(store)] == [tick_id("x", clock.now_us)]


def test_edits_at_the_same_time_are_both_kept(store, clock):
    app = an_app(store)
    app.schedules.set("x", 60, task="work", args=[1])
    app.schedules.pause("x")

    class Overtaken(Wrapper):
        """Somebody else is faster, once."""

        meanwhile = [lambda: app.schedules.set("x", args=[2]), lambda: app.schedules.set("x", catch_up="all")]

        def around(self, verb, act, args, kwargs):
            if verb == "schedules_put" and self.meanwhile:
                self.meanwhile.pop()()
            return act(*args, **kwargs)

    slow = an_app(Overtaken(store))
    slow.schedules.set("x", 30)
    slow.schedules.resume("x")
    [view] = store.schedules()
    spec = entries.unpack(view.spec)
    assert (spec.every_us, spec.args, spec.catch_up, spec.resumes) == (30_000_000, [2], "all", 1)
    assert not view.paused


def test_removed_while_due(store, clock):
    app = an_app(store, {"x": {"task": "work", "schedule": 60}})
    beats = [Beat(app), Beat(app)]
    for beat in beats:
        beat.step()
    clock.advance(60)
    app.schedules.remove("x")
    for beat in beats:
        beat.step()
        assert beat.step() is None
    assert pushed(store) == []


def test_run_now_beside_a_tick_that_is_due(store, clock):
    app = an_app(store, {"x": {"task": "work", "schedule": 60}})
    beat = Beat(app)
    beat.step()
    clock.advance(60)
    result = app.schedules.run_now("x")
    beat.step()
    assert {view.id for view in pushed(store)} == {result.id, tick_id("x", clock.now_us)}


def test_another_zone_begins_anew(store, clock):
    entries = {"x": {"task": "work", "schedule": crontab(0, 15), "catch_up": "all"}}
    Beat(an_app(store, entries)).step()
    clock.advance(3600)  # it is 13:00 UTC, 15:00 in Berlin
    beat = Beat(an_app(store, entries, timezone="Europe/Berlin"))
    beat.step()
    clock.advance(2 * 3600)
    beat.step()
    assert pushed(store) == []
    clock.advance(22 * 3600)
    beat.step()
    assert [view.id for view in pushed(store)] == [tick_id("x", us("2026-10-21T15:00", BERLIN))]


def test_own_kinds_of_schedules_hear_of_the_last_tick_from_the_store(store, clock):
    class Unsaid(BaseSchedule):
        """It does not say when it became due."""

        def is_due(self, last_run_at):
            left = 60 - (self.now() - last_run_at).total_seconds()
            return (True, 60.0) if left <= 0 else (False, left)

    beats = [Beat(an_app(store, {"x": {"task": "work", "schedule": Unsaid()}})) for _ in range(2)]
    for beat in beats:
        beat.step()
    clock.advance(60)
    beats[0].step()
    clock.advance(2)
    beats[1].step()
    assert len(pushed(store)) == 1


# -- deploys ------------------------------------------------------------------------------------------------------
def test_while_old_workers_run_on_new_code_decides(store, clock):
    """Both are there for a while; a time of the day that was changed comes once."""
    old = Beat(an_app(store, {"x": {"task": "work", "schedule": crontab(0, 13), "args": ("old",)}}))
    old.step()
    clock.advance(60)
    new = Beat(an_app(store, {"x": {"task": "work", "schedule": crontab(0, 14), "args": ("new",)}}))
    new.step()
    for _ in range(3 * 60):
        clock.advance(60)
        for beat in (old, new):
            after_change(beat)
    assert [args for args, _, _ in payloads(store)] == [["new"]]
    clock.advance(21 * 3600)
    del new  # it is stopped; the old one knows what is to be done
    clock.advance(2 * 3600)
    old.step()
    assert [args for args, _, _ in payloads(store)] == [["new"], ["new"]]


def test_a_child_of_an_old_worker_does_not_bring_its_code_back(store, clock, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("smallage.worker.beat.monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds
        clock.advance(seconds)

    def beat(schedule, began):
        made = Beat(an_app(store, {"x": {"task": "work", "schedule": schedule}}), began=began)
        made.step()
        return info(made.app.schedules, "x").schedule

    first = now[0]
    assert beat(60, first) == "every 60 s"
    advance(600)
    second = now[0]
    assert beat(30, second) == "every 30 s"
    advance(600)
    assert beat(60, first) == "every 30 s"
    assert beat(30, second) == "every 30 s"
    advance(600)
    assert beat(60, now[0]) == "every 60 s"  # rolled back
    assert beat(30, second) == "every 60 s"
    assert beat(20, now[0]) == "every 20 s"  # the code of one worker was changed where it is
    clock.back(0.5)  # the same age, reckoned by a clock that was set a little
    assert beat(60, now[0]) == "every 60 s"


def test_a_child_does_not_bring_back_what_was_removed(store, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("smallage.worker.beat.monotonic", lambda: now[0])
    app = an_app(store, {"x": {"task": "work", "schedule": 60}})
    Beat(app, began=now[0]).step()
    app.schedules.remove("x")
    now[0] += 600
    assert Beat(app, began=1000.0).step() is None
    assert Beat(app).step() == 60.0  # a worker that starts does


def test_what_only_new_code_can_compute_is_left_to_it(store, clock):
    def entries(value, every):
        return {"x": {"task": "work", "schedule": every, "args": (BeatLazyFunc(lambda: value),)}}

    old = Beat(an_app(store, entries(1, 60)))
    old.step()
    clock.advance(1)
    new = Beat(an_app(store, entries(2, 30)))
    new.step()
    assert after_change(old) is None
    clock.advance(30)
    new.step()
    assert [args for args, _, _ in payloads(store)] == [[2]]


def test_apps_that_share_a_name_of_a_schedule_are_told(store, clock, caplog):
    Beat(an_app(store, {"x": {"task": "work", "schedule": 60}})).step()
    other = Smallage("other", broker="memory://", set_as_current=False)
    other.use_store(store)
    other.conf.beat_schedule = {"x": {"task": "theirs", "schedule": 60}}
    clock.advance(60)
    Beat(other).step()
    assert "'x' of the app 'other'" in caplog.text


def test_objects_without_a_text_of_their_own_are_the_same_in_every_process(store):
    class Sun(BaseSchedule):
        def is_due(self, last_run_at):
            return False, 60.0

    specs = [entries.spec_of(entries.entry("x", {"task": "work", "schedule": Sun()}), dt.UTC) for _ in range(2)]
    assert specs[0] == specs[1]
    assert "0x" not in specs[0].custom


# -- clocks that jump ---------------------------------------------------------------------------------------------
def test_a_clock_that_is_set_back_repeats_no_tick(store, clock):
    entries = {
        "cron": {"task": "work", "schedule": crontab(), "catch_up": "all"},
        "every": {"task": "work", "schedule": 60, "catch_up": "all"},
    }
    beats = [Beat(an_app(store, entries)) for _ in range(2)]
    beats[0].step()
    begin = clock.now_us
    for minutes in (5, -3, 1, 1, 2, -30, 29, 3):
        (clock.advance if minutes > 0 else clock.back)(60 * abs(minutes))
        for beat in beats:
            beat.step()
        beats.append(Beat(an_app(store, entries)))  # one that starts just then
        beats.pop(0)
        beats[-1].step()
    instants = [begin + n * 60_000_000 for n in range(1, 9)]
    assert {view.id for view in pushed(store)} == {tick_id(n, one) for n in ("cron", "every") for one in instants}
    assert {view.fired for view in store.schedules()} == {8}


def test_a_clock_that_jumps_ahead_is_an_absence(store, clock):
    entries = {
        policy: {"task": "work", "schedule": crontab(0, "*"), "catch_up": policy}
        for policy in ("none", "latest", "all")
    }
    beats = [Beat(an_app(store, entries)) for _ in range(2)]
    beats[0].step()
    clock.advance(DAY + 600)
    for beat in beats:
        beat.step()
    assert {view.name: view.fired for view in store.schedules()} == {"none": 0, "latest": 1, "all": 24}


@pytest.mark.parametrize("seed", range(3))
def test_changes_and_deaths_and_jumps_send_no_instant_twice(store, clock, seed):
    """Everything at once: each tick is there once, and is of the spec that stood when it was sent."""
    rng = random.Random(seed)
    app = an_app(store, {"x": {"task": "work", "schedule": 60, "args": (0,), "catch_up": "all"}})
    entries = app.conf.beat_schedule
    mortals = [Mortal(store, rng) for _ in range(3)]
    beats = [Beat(an_app(mortal, entries)) for mortal in mortals]
    beats[0].step()
    newest, paused = 0, False
    for turn in range(1, 120):
        before = {view.id for view in pushed(store)}
        match rng.choice(("edit", "time", "pause", "kill", "back", "pass", "pass", "pass")):
            case "edit":
                app.schedules.set("x", args=(turn,))
                newest = turn
            case "time":
                app.schedules.set("x", rng.choice((crontab(), crontab("*/2"), 60, 90)))
            case "pause":
                (app.schedules.resume if paused else app.schedules.pause)("x")
                paused = not paused
            case "kill":
                mortals[rng.randrange(3)].doomed = True
            case "back":
                clock.back(rng.choice((1, 59, 200)))
        clock.advance(rng.choice((1, 30, 61, 125)))
        for n in rng.sample(range(3), 2):
            if rng.random() < 0.7:
                beats[n].forget()  # it hears of a change; else it works on with what it knows
            try:
                beats[n].step()
            except StoreUnavailable:
                assert mortals[n].dead
                mortals[n] = Mortal(store, rng)
                beats[n] = Beat(an_app(mortals[n], entries))
        new = [view.id for view in pushed(store) if view.id not in before]
        assert not (new and paused)
        assert all(codec.decode_payload(store.payload(one)[0])[0] == [newest] for one in new)
    [view] = store.schedules()
    assert view.fired >= len(pushed(store)) > 10  # an instant that came again, under another time, has its task already
    assert store.audit() == []


# -- a store that was emptied -------------------------------------------------------------------------------------
@pytest.mark.redis
def test_entries_of_the_code_come_back_into_a_server_that_was_emptied(redis_url, clock):
    made = base.open(redis_url, clock=clock)
    made.setup()
    app = an_app(made, {name: {"task": "work", "schedule": 60} for name in ("x", "y")})
    beat = Beat(app, began=monotonic() - 3600)
    assert beat.step() is None  # a child that takes the place of another
    beat = Beat(app)
    assert beat.step() == 60.0
    clock.advance(60)
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    beat.step()
    assert beat.step() == 60.0
    assert [view.name for view in made.schedules()] == ["x", "y"]
    app.schedules.remove("y")
    assert after_change(beat) == 60.0
    assert [view.name for view in made.schedules()] == ["x"]
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    assert after_change(beat) == 60.0
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    clock.advance(10)  # nothing is due, but it looks from time to time
    assert beat.step() == 0.0
    assert beat.step() == 60.0
    assert [view.name for view in made.schedules()] == ["x", "y"]
    made.close()


# -- the loop -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("after", [False, True])
def test_an_outage_delays_and_doubles_nothing(after):
    store = FaultyStore(base.open("memory://", shared=False))
    app = Smallage("loop", broker="memory://", set_as_current=False)
    app.use_store(store)
    ran = Told()
    app.task(name="note")(lambda: ran.append(1))
    app.conf.beat_schedule = {"x": {"task": "note", "schedule": 0.02, "catch_up": "all"}}
    with start_worker(app, beat=True):
        ran.wait(3)
        faults = [store.fail("fire", after=after, times=3), store.fail("schedules", times=2)]
        for fault in faults:
            fault.wait(fault.times or 1, PATIENCE)
        ran.wait(len(ran) + 3)
    [view] = store.schedules()
    assert view.fired == len(ran) + store.counts().get("celery", {}).get("ready", 0)
    assert view.last_us == view.since_us + view.fired * 20_000  # each due time, none twice
    app.close()


def test_the_loop_hears_of_changes_and_ends_when_told():
    app = Smallage("loop", broker="memory://", set_as_current=False)
    store = FaultyStore(base.open("memory://", shared=False))
    fired = Told()
    store.after.append(lambda call, answer: fired.append(call) if answer == "fired" else None)
    app.use_store(store)
    beat = Beat(app)
    thread = beat.start()
    app.schedules.set("x", 0.02, task="elsewhere")
    fired.wait(2)
    app.schedules.pause("x")
    app.schedules.set("y", 3600, task="elsewhere")
    app.schedules.remove("x")
    beat.stop()
    thread.join(30.0)
    assert not thread.is_alive()
    assert [one.name for one in app.schedules.list()] == ["y"]
    app.close()
