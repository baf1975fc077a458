"""Data on stdout, talk on stderr: a table on a terminal, JSON elsewhere or when asked for."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (as when stdout is no terminal).")


def wants_json(asked: bool) -> bool:
    """Whether to print JSON."""
    return asked or not sys.stdout.isatty()


def print_json(value: Any) -> None:
    """One JSON document. What JSON does not know is printed as text."""
    click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool, empty: str) -> None:
    """Like things, one a row."""
    if wants_json(as_json):
        print_json(list(rows))
        return
    if not rows:
        click.echo(empty, err=True)
        return
    cells = [[_shown(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[at]) for line in cells)) for at, column in enumerate(columns)]
    for line in ([column.upper() for column in columns], *cells):
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def print_fields(fields: dict[str, Any], as_json: bool) -> None:
    """One thing, a line for each field that has a value."""
    if wants_json(as_json):
        print_json(fields)
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        if value not in (None, "", [], {}):
            click.echo(f"{name.ljust(width)}  {_shown(value)}")


def instant(us: int | None) -> str | None:
    """A store's instant as ISO 8601."""
    if not us:
        return None
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)).isoformat(timespec="milliseconds")


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
