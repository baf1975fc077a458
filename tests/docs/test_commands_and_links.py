"""The commands that the documentation names exist with their options, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from smallage.cli.group import cli
from tests.docs.pages import PAGES, ROOT, blocks, name_of

_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.M)


def lines() -> list[tuple[str, str]]:
    """(where, command) of each line in a block of shell commands, without its comment."""
    found = []
    for page in PAGES:
        for block in blocks(page):
            if block.language == "sh":
                for number, line in enumerate(block.code.splitlines()):
                    command = line.partition(" #")[0].strip()
                    if command:
                        found.append((f"{name_of(page)}:{block.line + number}", command))
    return found


COMMANDS = [(where, line) for where, line in lines() if line.startswith("smallage ")]
TARGETS = [(where, line) for where, line in lines() if line.startswith("make ")]


@pytest.mark.parametrize(("where", "line"), COMMANDS, ids=[where for where, _ in COMMANDS])
def test_smallage_knows_the_command_and_its_options(where: str, line: str) -> None:
    """With --help behind them click reads the options, refuses unknown ones, and does nothing."""
    result = CliRunner().invoke(cli, [*shlex.split(line)[1:], "--help"])
    assert result.exit_code == 0, f"{line}\n{result.output}"


def test_an_unknown_option_would_be_seen() -> None:
    assert CliRunner().invoke(cli, ["worker", "--no-such-option", "--help"]).exit_code == 2


@pytest.mark.parametrize(("where", "line"), TARGETS, ids=[where for where, _ in TARGETS])
def test_make_knows_the_target(where: str, line: str) -> None:
    target = line.split()[1]
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.M), line


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(page.read_text())
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target
