"""Tests and programs that the documentation names as proof exist, and the list of differences is whole."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.celery_diff.run import expected_differences, themes
from tests.docs.pages import PAGES, ROOT, name_of

_TEST = re.compile(r"(?P<file>tests/[\w/]+\.py)::(?P<name>\w+)")
_PROGRAM = re.compile(r"`(?P<theme>[a-z_]+)\.(?P<name>[a-z_]+)`")
DIFFERENCES = ROOT / "docs" / "differences.md"
MOVING = ROOT / "docs" / "coming-from-celery.md"


@cache
def names_of_tests(file: Path) -> frozenset[str]:
    """Names of the test functions of a file, in classes too."""
    if not file.exists():
        return frozenset()
    nodes = ast.walk(ast.parse(file.read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def programs() -> set[str]:
    return {f"{theme.name}.{name}" for theme in themes() for name in theme.programs}


def programs_in(page: Path) -> set[str]:
    """What a page names that looks like a program of a theme there is."""
    known = {theme.name for theme in themes()}
    return {f"{m['theme']}.{m['name']}" for m in _PROGRAM.finditer(page.read_text()) if m["theme"] in known}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_tests_exist(page: Path) -> None:
    missing = [m[0] for m in _TEST.finditer(page.read_text()) if m["name"] not in names_of_tests(ROOT / m["file"])]
    assert missing == []


@pytest.mark.parametrize("page", [DIFFERENCES, MOVING], ids=name_of)
def test_named_programs_exist(page: Path) -> None:
    assert programs_in(page) - programs() == set()


def test_every_difference_is_told() -> None:
    assert set(expected_differences()) - programs_in(DIFFERENCES) == set()


def test_what_is_told_as_a_difference_is_one() -> None:
    assert programs_in(DIFFERENCES) - set(expected_differences()) == set()


@pytest.mark.parametrize("page", [DIFFERENCES, MOVING], ids=name_of)
def test_the_pages_name_their_proofs(page: Path) -> None:
    assert len(_TEST.findall(page.read_text())) > 20
