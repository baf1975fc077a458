"""Lists in the guide are those of the code: task options with their defaults, signals that are sent, pools' sizes."""

from __future__ import annotations

import re

import pytest

from smallage import Signature, Smallage, Task, signals
from smallage.core.settings import TABLE
from smallage.worker.options import DEFAULT_CONCURRENCY
from tests.docs.pages import ROOT

GUIDE = (ROOT / "docs" / "guide.md").read_text()
NOT_ATTRIBUTES = {"name": "module and function", "bind": "`False`", "base": "`app.Task`"}
SPOKEN = {"none": None, '"late"': None}


def section(title: str) -> str:
    return GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows."""
    found = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in found[1:]]


def options() -> dict[str, str]:
    """{option: default} of the guide's table"""
    told: dict[str, str] = {}
    for names, defaults, _ in rows(section("An app and its tasks")):
        found = re.findall(r"`(\w+)`", names)
        values = defaults.split(", ") if len(found) > 1 and ", " in defaults else [defaults] * len(found)
        told.update(zip(found, values, strict=True) if names.startswith("`") else ())
    return told


def test_task_options_have_the_defaults_that_the_guide_tells() -> None:
    conf = Smallage(set_as_current=False).conf
    settings = {
        "queue": f'`task_default_queue`, "{conf.task_default_queue}"',
        "max_crashes": str(conf.task_max_crashes),
        "max_lost": str(conf.task_max_lost),
        "ignore_result": f"`{conf.task_ignore_result}`",
        "priority": str(conf.task_default_priority or 0),
    }
    told = options()
    told["queue"] = rows(section("An app and its tasks"))[2][1]
    for name, default in told.items():
        if name in NOT_ATTRIBUTES:
            assert default == NOT_ATTRIBUTES[name]
        elif name in settings:
            assert getattr(Task, name) is None
            assert default == settings[name], name
        else:
            value = getattr(Task, name)
            assert SPOKEN[default] is value if default in SPOKEN else default.strip("`") == str(value), name


def test_the_guide_names_the_signals_that_are_sent() -> None:
    told = section("Signals and hooks").partition("The signals that are sent:")[2].partition("Celery's other")[0]
    told = told.replace("`headers`", "")
    source = "".join(path.read_text() for path in (ROOT / "src" / "smallage").rglob("*.py"))
    sent = set(re.findall(r"\bsignals\.(\w+)\.send\(", source)) | set(
        re.findall(r"^\s+(\w+)\.send\(sender", source, re.M)
    )
    named = {name for name in vars(signals) if isinstance(getattr(signals, name), signals.Signal)}
    assert set(re.findall(r"`(\w+)`", told)) == sent & named


def test_the_guide_tells_the_pools_sizes() -> None:
    for pool, size in DEFAULT_CONCURRENCY.items():
        row = next(line for line in section("Workers").splitlines() if line.startswith(f"| `{pool}`"))
        assert pool == "solo" or f"default {size} " in row, row


def test_what_is_not_there_yet_is_not_there() -> None:
    """When one of these comes, the lists of what is missing (README, guide, SECURITY) are out of date."""
    assert TABLE["security_key"].fate == "refused"
    with pytest.raises(NotImplementedError):
        Signature("a.task").stamp(mark="x")
