"""The Lua scripts: read from the package, put together from shared pieces, named by verb.

A line `--#include NAME` in a script is replaced by `lua/include/NAME.lua`, once each; pieces may include pieces. A line
`--#paste NAME` is replaced so wherever it stands.
Comments and indentation are dropped, since the server keeps every script's text.

A line `--#scope` opens a function around all that follows it. A script defines its functions anew on every run, and a
closure finds a local of the function around it by walking a list of all such locals in use: in one flat script those
walks cost more than the commands. What belongs to a function further out is copied without a walk. Lua allows 60 such
names in a function, so not every piece can open one.

A line `--#const NAME VALUE` makes NAME stand for VALUE in the whole script: it costs neither a name nor a walk.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import NamedTuple

_FOLDER = os.path.join(os.path.dirname(__file__), "lua")
_INCLUDE = "--#include "
_PASTE = "--#paste "
_SCOPE = "--#scope"
_CONST = "--#const "
_OPEN, _CLOSE = "return (function()", "end)()"


class Script(NamedTuple):
    """A script and the name under which a server that has seen it keeps it."""

    text: str
    sha: str


@cache
def load(verb: str) -> Script:
    """The script of a verb."""
    from hashlib import sha1

    constants: dict[str, str] = {}
    lines = _lines(os.path.join(_FOLDER, f"{verb}.lua"), set(), constants)
    text = "\n".join(lines + [_CLOSE] * lines.count(_OPEN)) + "\n"
    if constants:
        text = re.sub(rf"\b({'|'.join(constants)})\b", lambda found: constants[found[0]], text)
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def verbs() -> list[str]:
    """All verbs that have a script."""
    return sorted(name.removesuffix(".lua") for name in os.listdir(_FOLDER) if name.endswith(".lua"))


def _lines(path: str, seen: set[str], constants: dict[str, str]) -> list[str]:
    lines: list[str] = []
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(_INCLUDE):
            name = line.removeprefix(_INCLUDE).strip()
            if name not in seen:
                seen.add(name)
                lines += _lines(_piece(name), seen, constants)
        elif line.startswith(_PASTE):
            lines += _lines(_piece(line.removeprefix(_PASTE).strip()), seen, constants)
        elif line.startswith(_CONST):
            name, value = line.removeprefix(_CONST).split()
            constants[name] = value
        elif line == _SCOPE:
            lines.append(_OPEN)
        elif line and not line.startswith("--"):
            lines.append(line)
    return lines


def _piece(name: str) -> str:
    return os.path.join(_FOLDER, "include", f"{name}.lua")
