"""Words of a text, and what somebody types to find them: the same for every search engine that can be chosen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

MOST_WORDS = 12
SHORT = 3
"""Words from this length on also find longer ones that begin with them; the one being typed from two letters on."""

SNIPPET, BEFORE, CLOSE = 240, 40, 160
"""Characters of a piece of text, of what stands in it before the place, and within which words are close together."""

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


def best_place(text: str, query: Query) -> int | None:
    """Where the most of the words that were looked for stand closest together; None if there is none of them."""
    spans = list(matches(text, query))

    def gathered(first: int) -> tuple[int, int]:
        """How many different ones follow within `CLOSE` characters, and how little room they take."""
        start = spans[first][0]
        seen: set[str] = set()
        room = 0
        for a, b in spans[first:]:
            if a >= start + CLOSE:
                break
            if (word := fold(text[a:b])) not in seen:
                seen.add(word)
                room = b - start
        return len(seen), -room

    best = max(range(len(spans)), key=gathered, default=None)
    return None if best is None else spans[best][0]


def marked(text: str, query: Query) -> list[tuple[str, bool]]:
    """A piece of the text around `best_place`, in parts: (text, whether it was looked for)."""
    start, end = _window(text, best_place(text, query) or 0)
    parts: list[tuple[str, bool]] = []
    at = start
    for first, last in matches(text, query):
        if start <= first and last <= end:
            parts += [(text[at:first], False), (text[first:last], True)]
            at = last
    parts.append((text[at:end], False))
    if start > 0:
        parts.insert(0, ("… ", False))
    if end < len(text):
        parts.append((" …", False))
    return [part for part in parts if part[0]]


def _window(text: str, place: int) -> tuple[int, int]:
    """Where a piece of the text begins and ends that holds `place` near its beginning, at whole words."""
    if len(text) <= SNIPPET:
        return 0, len(text)
    start = max(0, min(place - BEFORE, len(text) - SNIPPET))
    if start > 0:
        gap = text.find(" ", start, place)
        start = gap + 1 if gap >= 0 else place
    end = min(len(text), start + SNIPPET)
    if end < len(text):
        gap = text.rfind(" ", place + 1, end)
        end = gap if gap >= 0 else end
    return start, end
