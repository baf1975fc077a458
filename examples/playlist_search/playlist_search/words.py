"""Words of a text, and what somebody types to find them: the same for every search engine that can be chosen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

MOST_WORDS = 12
SHORT = 3
"""Words from this length on also find longer ones that begin with them; the one being typed from two letters on."""

_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Without case and accents."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in spread if not unicodedata.combining(one))


def folded_words(text: str) -> str:
    """The words of a text as they are compared, with spaces between."""
    return " ".join(fold(found.group()) for found in _WORD.finditer(text))


@dataclass(frozen=True)
class Term:
    """A word that is looked for; with `prefix`, also as the beginning of a longer one."""

    word: str
    prefix: bool

    def fits(self, word: str) -> bool:
        return word.startswith(self.word) if self.prefix else word == self.word


@dataclass(frozen=True)
class Query:
    """All of its terms are to be found."""

    terms: tuple[Term, ...]

    def __bool__(self) -> bool:
        return bool(self.terms)

    def fits(self, word: str) -> bool:
        """Whether a word of a text is one that was looked for."""
        folded = fold(word)
        return any(term.fits(folded) for term in self.terms)


def parse(text: str) -> Query:
    """What somebody typed. Signs are no syntax, they only part words, so nothing that is typed can be an error."""
    words = [part for found in _WORD.finditer(text[:500]) for part in fold(found.group()).split()][:MOST_WORDS]
    typing = bool(text) and (text[-1].isalnum())
    terms = []
    for place, word in enumerate(words):
        last = typing and place == len(words) - 1
        terms.append(Term(word, prefix=len(word) >= SHORT or (last and len(word) > 1)))
    return Query(tuple(dict.fromkeys(terms)))


def matches(text: str, query: Query) -> Iterator[tuple[int, int]]:
    """(start, end) of each word of the text that was looked for."""
    for found in _WORD.finditer(text):
        if query.fits(found.group()):
            yield found.span()


def marked(text: str, query: Query, width: int = 240) -> list[tuple[str, bool]]:
    """A piece of the text around the most of what was looked for, in parts: (text, whether it was looked for)."""
    spans = list(matches(text, query))
    start, end = _window(text, spans, width)
    parts: list[tuple[str, bool]] = []
    at = start
    for first, last in spans:
        if start <= first and last <= end:
            parts += [(text[at:first], False), (text[first:last], True)]
            at = last
    parts.append((text[at:end], False))
    if start > 0:
        parts.insert(0, ("… ", False))
    if end < len(text):
        parts.append((" …", False))
    return [part for part in parts if part[0]]


def _window(text: str, spans: list[tuple[int, int]], width: int) -> tuple[int, int]:
    """Where a piece of about `width` characters begins and ends that holds the most of the spans, at whole words."""
    if len(text) <= width:
        return 0, len(text)
    best = max(
        spans, key=lambda one: sum(one[0] <= other[0] < one[0] + width * 2 // 3 for other in spans), default=(0, 0)
    )
    start = max(0, best[0] - width // 6)
    if start > 0:
        gap = text.find(" ", start, best[0])
        start = gap + 1 if gap >= 0 else best[0]
    end = min(len(text), start + width)
    if end < len(text):
        gap = text.rfind(" ", best[1], end)
        end = gap if gap >= 0 else end
    return start, max(end, best[1])
