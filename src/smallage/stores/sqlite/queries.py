"""Loads the statements of `queries/*.sql`: each begins with a line `-- name: what it does.`"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

_HEAD: Final = re.compile(r"^-- (\w+): (.+)$", re.MULTILINE)


@cache
def _all() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in Path(__file__).with_name("queries").glob("*.sql"):
        found.update(parse(file.read_text(encoding="utf-8")))
    return found


def parse(text: str) -> dict[str, str]:
    """{name: statement} of one file. The sentence may go on in further comment lines."""
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found: dict[str, str] = {}
    for head, end in zip(heads, ends, strict=True):
        lines = [line.strip() for line in text[head.end() : end].splitlines() if not line.startswith("--")]
        found[head[1]] = " ".join(line for line in lines if line).rstrip(";")
    return found


def query(name: str) -> str:
    """The statement called `name`; KeyError at import time of its user if there is none."""
    return _all()[name]
