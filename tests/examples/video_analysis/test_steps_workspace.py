"""The folder of an analysis: whole files or none, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from video_analysis.steps.errors import StepFailed
from video_analysis.steps.workspace import Workspace, left_overs


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path, "0b7c1f2e-1111")
    made.create()
    return made


def test_a_file_is_there_whole_or_not_at_all(space: Workspace) -> None:
    with pytest.raises(RuntimeError), space.writing("words") as draft:
        draft.write_text("half of")
        assert not space.has("words")
        raise RuntimeError("a crash")
    assert list(space.folder.iterdir()) == []
    with space.writing("words") as draft:
        draft.write_text("all of it")
    assert space.path("words").read_text() == "all of it"
    assert [path.name for path in space.folder.iterdir()] == ["words"]


def test_two_runs_of_a_step_do_not_meet(space: Workspace) -> None:
    with space.writing("words") as first, space.writing("words") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert space.path("words").read_text() == "first", "the last to end"


def test_scratch_is_gone_after_the_block(space: Workspace) -> None:
    with space.scratch() as folder:
        (folder / "large").write_text("x")
    assert list(space.folder.iterdir()) == []


def test_what_has_been_removed_is_said_to_be_gone(space: Workspace) -> None:
    space.write_json("words", [1])
    assert space.read_json("words") == [1]
    space.remove()
    space.remove()
    for act in (lambda: space.read_json("words"), lambda: space.write_json("words", []), space.scratch().__enter__):
        with pytest.raises(StepFailed, match="submit the video again"):
            act()


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", ".hidden", "-x", "a" * 65, "a b"])
def test_an_id_that_is_no_name_of_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError):
        Workspace(tmp_path, name)


def test_left_overs_are_folders_in_which_nothing_happens(tmp_path: Path) -> None:
    assert left_overs(tmp_path / "none", 0) == []
    for name in ("old", "new"):
        Workspace(tmp_path, name).create()
    (tmp_path / "file").touch()
    os.utime(tmp_path / "old", (0, 0))
    assert left_overs(tmp_path, older_than=3600) == ["old"]
    assert left_overs(tmp_path, older_than=-10) == ["new", "old"]
