"""The quick parser reads what click reads, or leaves it to click."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from smallage.cli.worker_options import OPTIONS, parse_quickly


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("worker", {}),
        ("worker proj.tasks:app", {"app": "proj.tasks:app"}),
        ("-A proj worker", {"app": "proj"}),
        ("worker -A proj -c 4 -P threads", {"app": "proj", "concurrency": 4, "pool": "threads"}),
        ("worker proj -Phreads -c8", {"app": "proj", "pool": "hreads", "concurrency": 8}),
        ("worker proj --processes=2 --burst", {"app": "proj", "processes": 2, "burst": True}),
        ("worker proj -Q a,b -l INFO", {"app": "proj", "queues": ("a", "b"), "log_level": "INFO"}),
        ("worker proj --soft-time-limit 1.5", {"app": "proj", "soft_time_limit": 1.5}),
    ],
)
def test_plain_lines_are_read_without_click(line: str, found: dict[str, object]) -> None:
    assert parse_quickly(line.split()) == found


@pytest.mark.parametrize(
    "line",
    [
        "",
        "doctor",
        "worker --help",
        "worker proj other",
        "worker proj --nosuch",
        "worker proj -c 0",
        "worker proj -c many",
        "worker proj -c",
        "worker proj -l loud",
        "worker proj --burst=yes",
        "worker proj --time-limit 0",
        "-A proj call",
    ],
)
def test_everything_else_is_click_s(line: str) -> None:
    assert parse_quickly(line.split()) is None


def test_both_know_the_same_options() -> None:
    from smallage.cli.worker_command import worker

    ours = {(option.name, option.flags) for option in OPTIONS}
    clicks = {(parameter.name, tuple(parameter.opts)) for parameter in worker.params if parameter.name != "where"}
    assert clicks == ours


@pytest.mark.parametrize("wrong", [["-c", "0"], ["-l", "loud"], ["--nosuch"], ["--time-limit", "0"]])
def test_wrong_options_exit_with_2(wrong: list[str]) -> None:
    from smallage.cli.group import cli

    result = CliRunner().invoke(cli, ["worker", "proj", *wrong])
    assert result.exit_code == 2
    assert wrong[0] in result.output


def test_help_lists_every_command_without_loading_it() -> None:
    from smallage.cli.group import COMMANDS, cli

    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)
