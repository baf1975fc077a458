"""Compare outcomes and lay them out as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIDTH = 90


@dataclass(frozen=True)
class Row:
    """One program: what it shows, what Celery did, what Smallage did on each store."""

    theme: str
    name: str
    told: str
    celery: Any
    seen: Mapping[str, Any]

    @property
    def full_name(self) -> str:
        return f"{self.theme}.{self.name}"

    def differs(self, store: str) -> bool:
        return bool(self.seen[store] != self.celery)


def table(rows: list[Row], stores: list[str], expected: Mapping[str, str]) -> str:
    """The results as Markdown."""
    lines = ["# Celery's programs, under Celery 5.7 and under Smallage", ""]
    lines += ["Written by `make celery-diff`. The full outcomes under Celery are in `recorded/`.", ""]
    for store in stores:
        equal = sum(not row.differs(store) for row in rows)
        listed = sum(row.differs(store) and row.full_name in expected for row in rows)
        lines.append(f"- {store}: {len(rows)} programs, {equal} equal, {listed} differ on purpose,"
                     f" {len(rows) - equal - listed} differ otherwise")  # fmt: skip
    lines += ["", f"| program | what it shows | under Celery | {' | '.join(stores)} |"]
    lines.append(f"|{'---|' * (3 + len(stores))}")
    for row in rows:
        cells = [f"`{row.full_name}`", row.told, code(row.celery)]
        cells += [cell(row, store, expected) for store in stores]
        lines.append(f"| {' | '.join(escaped(text) for text in cells)} |")
    return "\n".join(lines) + "\n"


def cell(row: Row, store: str, expected: Mapping[str, str]) -> str:
    if not row.differs(store):
        return "equal"
    reason = expected.get(row.full_name)
    return f"differs: {reason}" if reason else f"**differs**: {code(row.seen[store])}"


def code(outcome: Any) -> str:
    """The outcome on one line, shortened."""
    if outcome is None:
        return "not recorded"
    words = json.dumps(outcome.get("outcome", outcome), ensure_ascii=False)
    words = words if len(words) <= WIDTH else words[: WIDTH - 2] + " …"
    return "`" + words.replace("`", "'") + "`"


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def verdicts(rows: list[Row], expected: Mapping[str, str], whole: bool) -> list[str]:
    """What is wrong: differences without a reason, reasons without a difference. `whole`: all programs were run."""
    wrong = []
    for row in rows:
        apart = [store for store in row.seen if row.differs(store)]
        if apart and row.full_name not in expected:
            wrong.append(f"{row.full_name} differs on {', '.join(apart)}:\n  Celery: {json.dumps(row.celery)}")
            wrong += [f"  {store}: {json.dumps(row.seen[store])}" for store in apart]
        if not apart and row.full_name in expected:
            wrong.append(f"{row.full_name} is listed as different and is not; take it out of expected_differences.toml")
    if whole:
        names = {row.full_name for row in rows}
        wrong += [
            f"expected_differences.toml names {name}, and no program does" for name in expected if name not in names
        ]
    return wrong
