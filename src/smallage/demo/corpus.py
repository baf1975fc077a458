"""Real prose for the demonstration, out of the texts that come with Python: its language topics and its docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pydoc_data import topics
from types import ModuleType

MODULES = (
    "argparse", "asyncio", "builtins", "calendar", "collections", "configparser", "contextlib", "csv", "datetime",
    "decimal", "difflib", "email.message", "enum", "fractions", "functools", "gettext", "heapq", "http.client",
    "imaplib", "inspect", "io", "ipaddress", "itertools", "json", "locale", "logging", "math", "optparse", "os",
    "pathlib", "random", "re", "shutil", "smtplib", "socket", "statistics", "string", "struct", "subprocess",
    "tarfile", "tempfile", "textwrap", "threading", "timeit", "tokenize", "traceback", "types", "unittest.case",
    "unittest.mock", "urllib.parse", "urllib.request", "uuid", "warnings", "weakref", "zipfile",
)  # fmt: skip
"""Modules with much to read that load quickly."""

SHORTEST = 320
"""Characters; what is shorter joins its neighbour or is left out."""
USUAL = 700
"""Characters that a piece is filled up to with whole paragraphs."""


@dataclass(frozen=True, slots=True)
class Document:
    """One transcript: `number` counts from 0 and `id` is what the playlist calls it."""

    number: int
    id: str
    title: str
    text: str


def documents(n: int) -> list[Document]:
    """The first `n` documents, the same ones at every call under one Python.

    There are somewhat more than 1,000 distinct texts; beyond them they come again under further ids.
    """
    texts: list[tuple[str, str]] = []
    for found in _distinct():
        texts.append(found)
        if len(texts) >= n:
            break
    made = []
    for number in range(n):
        round_, place = divmod(number, len(texts))
        title, text = texts[place]
        made.append(Document(number, f"v{number:04d}", f"{title}, take {round_ + 1}" if round_ else title, text))
    return made


def _distinct() -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for title, text in _mixed(_topics(), _docstrings()):
        key = " ".join(text.split())
        if key not in seen and _is_prose(text):
            seen.add(key)
            yield title, text


def _is_prose(text: str) -> bool:
    """More letters and spaces than drawings of tables."""
    return sum(letter.isalpha() or letter.isspace() for letter in text) > len(text) * 0.6


def _mixed(*sources: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """One of each in turn, until all are empty."""
    open_ = list(sources)
    while open_:
        for source in list(open_):
            found = next(source, None)
            if found is None:
                open_.remove(source)
            else:
                yield found


def _topics() -> Iterator[tuple[str, str]]:
    for name in sorted(topics.topics):
        paragraphs = _paragraphs(topics.topics[name])
        title = _title(paragraphs[0]) or name.capitalize()
        for part, text in enumerate(_pieces(paragraphs), start=1):
            yield (title if part == 1 else f"{title}, part {part}"), text


def _docstrings() -> Iterator[tuple[str, str]]:
    for name in MODULES:
        module = importlib.import_module(name)
        for title, text in _described(module):
            if len(text) < SHORTEST:
                continue
            for part, piece in enumerate(_pieces(_paragraphs(text)), start=1):
                yield (title if part == 1 else f"{title}, part {part}"), piece


def _described(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Everything in `module` that has a text of its own, with its dotted name."""
    yield module.__name__, inspect.cleandoc(module.__doc__ or "")
    for name, thing in sorted(vars(module).items()):
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(thing) or inspect.isroutine(thing):
            yield f"{module.__name__}.{name}", inspect.cleandoc(thing.__doc__ or "")
        if inspect.isclass(thing):
            for part, method in sorted(vars(thing).items()):
                if not part.startswith("_") and inspect.isroutine(method):
                    yield f"{module.__name__}.{name}.{part}", inspect.cleandoc(method.__doc__ or "")


def _paragraphs(text: str) -> list[str]:
    return [paragraph.strip("\n") for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


def _pieces(paragraphs: list[str]) -> Iterator[str]:
    """Runs of paragraphs of a readable length; a short rest stays with the piece before it."""
    pieces: list[str] = []
    for paragraph in paragraphs:
        if pieces and (len(pieces[-1]) < SHORTEST or len(pieces[-1]) + len(paragraph) < USUAL):
            pieces[-1] += "\n\n" + paragraph
        else:
            pieces.append(paragraph)
    if len(pieces) > 1 and len(pieces[-1]) < SHORTEST:
        rest = pieces.pop()
        pieces[-1] += "\n\n" + rest
    yield from pieces


def _title(paragraph: str) -> str | None:
    """The heading of a topic: its first line, if the second one underlines it."""
    lines = paragraph.splitlines()
    if len(lines) >= 2 and len(set(lines[1].strip())) == 1:
        return lines[0].strip()
    return None
