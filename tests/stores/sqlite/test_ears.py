"""Ears and speakers: nothing is missed, nothing blocks, nothing is left behind."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallage.core.errors import StoreRefused
from smallage.stores.sqlite import ears
from smallage.stores.sqlite.ears import WAITING, Ear, Folder, Speaker, bell, change
from tests.stores.sqlite.conftest import Program, line

LONG = 20.0


@pytest.fixture(params=["short", "long " * 30])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    path = tmp_path / str(request.param)
    path.mkdir(mode=0o700)
    opened = Folder(path)
    yield opened
    opened.close()


@pytest.fixture
def ear(folder: Folder) -> Iterator[Ear]:
    opened = Ear(folder, "w")
    yield opened
    opened.close()


@pytest.fixture
def speaker(folder: Folder) -> Iterator[Speaker]:
    opened = Speaker(folder)
    yield opened
    opened.close()


def test_what_is_wanted_is_heard(ear: Ear, speaker: Speaker) -> None:
    ear.want(["a", "b"])
    speaker.say(["b", "c", "a"])
    assert ear.hear(LONG) == {"a", "b"}
    assert ear.hear(0.0) == set()


def test_what_is_not_wanted_makes_no_noise(ear: Ear, speaker: Speaker) -> None:
    ear.want(["a"])
    ear.drop(["a"])
    speaker.say(["a", "b"])
    assert not ear.drain()


def test_keys_with_any_character(ear: Ear, speaker: Speaker) -> None:
    keys = [bell("a\nb"), change("x\0y"), change("größe 🐌"), "q"]
    ear.want(keys)
    speaker.say(keys)
    assert ear.hear(LONG) == set(keys)


def test_an_ear_that_came_later_is_found(folder: Folder, ear: Ear, speaker: Speaker) -> None:
    speaker.say(["a"])
    second = Ear(folder, "w")
    second.want(["a"])
    speaker.say(["a"])
    assert second.hear(LONG) == {"a"}
    second.close()
    assert len(speaker.listeners()) == 1


def test_a_full_ear_takes_everything_for_changed(ear: Ear, speaker: Speaker) -> None:
    keys = [f"{n:0200}" for n in range(3000)]
    ear.want(keys)
    speaker.say(keys)
    for key in keys[:500]:
        speaker.say([key])
    heard: set[str] = set()
    while new := ear.hear(0.0):
        heard |= new
    assert heard == set(keys)


def test_a_key_too_long_for_a_datagram(ear: Ear, speaker: Speaker) -> None:
    key = "x" * 1_000_000
    ear.want([key])
    speaker.say([key])
    assert ear.hear(LONG) == {key}


def test_a_shout_reaches_all(folder: Folder, ear: Ear, speaker: Speaker) -> None:
    second = Ear(folder, "w")
    ear.want(["a"])
    second.want(["b"])
    speaker.shout()
    assert (ear.hear(LONG), second.hear(LONG)) == ({"a"}, {"b"})
    second.close()


def test_wake_lets_the_waiting_thread_go(ear: Ear) -> None:
    heard: list[set[str] | None] = []
    thread = threading.Thread(target=lambda: heard.append(ear.hear(None)))
    thread.start()
    ear.wake()
    thread.join(LONG)
    assert heard == [set()]


def test_close_lets_the_waiting_thread_go(ear: Ear) -> None:
    thread = threading.Thread(target=ear.hear, args=(None,))
    thread.start()
    ear.close()
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_closed_ear_leaves_nothing(folder: Folder, ear: Ear) -> None:
    ear.close()
    ear.close()
    assert os.listdir(folder.path) == ["board"]


def test_an_ear_whose_files_were_removed_says_so_and_hears_again(folder: Folder, ear: Ear, speaker: Speaker) -> None:
    ear.want(["a"])
    folder.remove(ear._name)
    assert ear.hear(LONG) is None
    speaker.say(["a"])
    assert ear.hear(LONG) == {"a"}


def test_what_a_dead_process_left_is_swept(folder: Folder, speaker: Speaker, program: Program) -> None:
    dead = program(
        """
from pathlib import Path
from smallage.core.errors import StoreRefused
from smallage.stores.sqlite import ears
from smallage.stores.sqlite.ears import Ear, Folder
folder = Folder(Path(sys.argv[2]))
left = [Ear(folder, "w"), Ear(folder, "w")]
left[0].want(["a"])
say("there")
os._exit(0)
""",
        str(folder.path),
    )
    assert line(dead) == "there"
    dead.wait()
    assert len(folder.names()) == 2
    speaker.say(["a"])
    assert len(folder.names()) == 1
    ear = Ear(folder, "w")
    assert len(folder.names()) == 1
    ear.close()


def test_a_folder_that_vanished_is_no_error_for_the_speaker(folder: Folder, ear: Ear, speaker: Speaker) -> None:
    ear.want(["a"])
    assert len(speaker.listeners()) == 1
    shutil.rmtree(folder.path)
    speaker.say(["a"])
    speaker.shout()
    folder.new_round()
    speaker.say(["a"])


def test_processes_meet_again_in_a_folder_made_anew(folder: Folder, ear: Ear, speaker: Speaker) -> None:
    other = Folder(folder.path)
    far_speaker = Speaker(other)
    ear.want(["a"])
    shutil.rmtree(folder.path)
    assert ear.hear(LONG) is None
    other.refresh()
    far_speaker.say(["a"])
    assert ear.hear(LONG) == {"a"}
    far_speaker.close()
    other.close()


def test_a_look_does_not_wait_for_the_other_threads_patience(ear: Ear) -> None:
    """Draining while another thread hears must return at once: a socket's timeout would be shared by both."""
    ear.want(["a"])
    over = threading.Event()

    def hear() -> None:
        while not over.is_set():
            ear.hear(LONG)

    listener = threading.Thread(target=hear)
    listener.start()
    try:
        looker = threading.Thread(target=lambda: [ear.drain() for _ in range(50_000)])
        looker.start()
        for _ in range(2_000):
            ear.wake()  # makes the listener set out anew, which is when it used to set the timeout
        looker.join(LONG / 2)
        assert not looker.is_alive()
    finally:
        over.set()
        ear.wake()
        listener.join()


# -- bells ------------------------------------------------------------------------------------------------------------


def asleep(ear: Ear) -> bool:
    return bool(ear._map[WAITING])


def sleeper(ear: Ear, heard: list[bool]) -> threading.Thread:
    """A thread that sleeps until a bell wakes the ear."""
    thread = threading.Thread(target=lambda: heard.append(ear.hear_bell(LONG)))
    thread.start()
    while not asleep(ear):
        pass
    return thread


def test_a_bell_rung_before_is_heard_once(ear: Ear, speaker: Speaker) -> None:
    ear.want([bell("q")])
    speaker.ring({bell("q"): 1, bell("other"): 1})
    assert ear.hear_bell(LONG)
    assert not ear.hear_bell(0.0)


def test_a_bell_of_another_queue_is_not_heard(ear: Ear, speaker: Speaker) -> None:
    ear.want([bell("q")])
    speaker.ring({bell("other"): 1})
    assert not ear.hear_bell(0.0)


def test_a_stroke_wakes_one_sleeper_and_others_know_when_they_look(folder: Folder, speaker: Speaker) -> None:
    ears = [Ear(folder, "b") for _ in range(3)]
    heard: list[bool] = []
    for each in ears:
        each.want([bell("q")])
    threads = [sleeper(each, heard) for each in ears]
    speaker.ring({bell("q"): 1})
    assert sum(asleep(each) for each in ears) == 2
    speaker.ring({bell("q"): 5})
    for thread in threads:
        thread.join(LONG)
    assert heard == [True] * 3
    for each in ears:
        each.close()


def test_a_sleeper_that_died_is_passed_over(folder: Folder, speaker: Speaker, program: Program) -> None:
    ear = Ear(folder, "b")
    ear.want([bell("q")])
    dead = program(
        """
from pathlib import Path
from smallage.core.errors import StoreRefused
from smallage.stores.sqlite import ears
from smallage.stores.sqlite.ears import Ear, Folder, bell
ears = [Ear(Folder(Path(sys.argv[2])), "b") for _ in range(5)]
for ear in ears:
    ear.want([bell("q")])
    ear._map[2] = 1
say("asleep")
os._exit(0)
""",
        str(folder.path),
    )
    assert line(dead) == "asleep"
    dead.wait()
    heard: list[bool] = []
    thread = sleeper(ear, heard)
    assert len(speaker.listeners()) == 6
    speaker.ring({bell("q"): 1})
    thread.join(LONG)
    assert heard == [True]
    ear.close()


def test_a_long_name_where_descriptors_have_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears, "DESCRIPTORS", "/there/is/no/such/folder")
    folder = Folder(tmp_path / ("long " * 30))
    ear, speaker = Ear(folder, "w"), Speaker(folder)
    ear.want(["a"])
    speaker.say(["a"])
    assert ear.hear(LONG) == {"a"}
    ear.close()
    assert os.listdir(folder.path) == ["board"]
    shutil.rmtree(ears._short_folder(folder.path))
    speaker.close()
    folder.close()


def test_the_short_folder_is_ours_alone(tmp_path: Path) -> None:
    made = Path(ears._short_folder(tmp_path / "x"))
    try:
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        assert ears._short_folder(tmp_path / "x") == str(made)
        assert len(os.fsencode(made)) < 60
        made.chmod(0o755)
        with pytest.raises(StoreRefused):
            ears._short_folder(tmp_path / "x")
    finally:
        made.rmdir()
