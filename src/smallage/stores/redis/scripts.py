"""The Lua scripts: read from the package, put together from shared pieces, named by verb.

A line `--#include NAME` in a script is replaced by `lua/include/NAME.lua`, once each; pieces may include pieces.
Comments and indentation are dropped, since the server keeps every script's text.

A line `--#scope` opens a function around all that follows it. A script defines its functions anew on every run, and a
closure finds a local of the function around it by walking a list of all such locals in use: in one flat script those
walks cost more than the commands. What belongs to a function further out is copied without a walk. Lua allows 60 such
names in a function, so not every piece can open one.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent / "lua"
_INCLUDE = "--#include "
_SCOPE = "--#scope"
_OPEN, _CLOSE = "return (function()", "end)()"


class Script(NamedTuple):
    """A script and the name under which a server that has seen it keeps it."""

    text: str
    sha: str


@cache
def load(verb: str) -> Script:
    """The script of a verb."""
    lines = _lines(_FOLDER / f"{verb}.lua", set())
    text = "\n".join(lines + [_CLOSE] * lines.count(_OPEN)) + "\n"
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def verbs() -> list[str]:
    """All verbs that have a script."""
    return sorted(path.stem for path in _FOLDER.glob("*.lua"))


def _lines(path: Path, seen: set[str]) -> list[str]:
    lines: list[str] = []
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if line.startswith(_INCLUDE):
            name = line.removeprefix(_INCLUDE).strip()
            if name not in seen:
                seen.add(name)
                lines += _lines(_FOLDER / "include" / f"{name}.lua", seen)
        elif line == _SCOPE:
            lines.append(_OPEN)
        elif line and not line.startswith("--"):
            lines.append(line)
    return lines
