"""The tables of docs/configuration.md, made from core/settings.py: `python -m tests.docs.settings_tables` writes them.

What a working setting means is written by hand in its row and kept; everything else comes from the code.
"""

from __future__ import annotations

import re
from itertools import groupby
from operator import itemgetter

from smallage.core.settings import TABLE
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "configuration.md"
UNKNOWN = "(say what it means)"
_ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<default>[^|]*) \| (?P<meaning>[^|]*) \|$", re.M)


def is_read(name: str) -> bool:
    """True if any code but the table itself asks for the setting."""
    asks = re.compile(rf'\bconf\.{name}\b|"{name}"')
    sources = (ROOT / "src" / "smallage").rglob("*.py")
    return any(asks.search(path.read_text()) for path in sources if not path.name.startswith("setting"))


def working() -> tuple[list[str], list[str]]:
    """(settings that are read, settings that are only checked)"""
    names = [name for name, setting in TABLE.items() if setting.fate == "works"]
    read = {name for name in names if is_read(name)}
    return [name for name in names if name in read], [name for name in names if name not in read]


def default_of(name: str) -> str:
    value = TABLE[name].default
    if value is None:
        return "–"
    if isinstance(value, dict) and len(value) > 1:
        return "see below"
    return f"`{value!r}`"


def by_reason(fate: str) -> str:
    pairs = sorted((setting.why, name) for name, setting in TABLE.items() if setting.fate == fate)
    rows = [
        f"| {', '.join(f'`{name}`' for _, name in group)} | {why} |" for why, group in groupby(pairs, itemgetter(0))
    ]
    return "\n".join(["| settings | why |" if fate == "ignored" else "| settings | instead |", "|---|---|", *rows])


def rendered(text: str) -> str:
    """The page with its tables as the code has them."""
    meanings = {m["name"]: m["meaning"] for m in _ROW.finditer(text)}
    read, checked = working()
    rows = [f"| `{name}` | {default_of(name)} | {meanings.get(name, UNKNOWN)} |" for name in read]
    tables = {
        "settings": "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows]),
        "checked": ", ".join(f"`{name}`" for name in checked) + ".",
        "ignored": by_reason("ignored"),
        "refused": by_reason("refused"),
    }
    for mark, table in tables.items():
        start, end = f"<!-- {mark} -->\n", f"\n<!-- end of {mark} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = before + start + table + end + after
    return text


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
