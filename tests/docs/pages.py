"""The documentation's pages, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("**/README.md")),
]
_BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block. `mark` is the comment on the line before it: `run`, `run: MODULE` or `program: FILE`."""

    page: Path
    line: int
    language: str
    mark: str
    code: str

    @property
    def kind(self) -> str:
        return self.mark.partition(":")[0]

    @property
    def detail(self) -> str:
        return self.mark.partition(":")[2].strip()


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in order; `line` is that of the first line of code."""
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, m.start("code")) + 1, m["language"], m["mark"] or "", m["code"])
        for m in _BLOCK.finditer(text)
    ]
