"""What is put into a search engine: a video as passages of about half a minute, and what comes back."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from playlist_search.words import Query, best_place, marked

WATCH = "https://www.youtube.com/watch"
PASSAGE_CHARACTERS = 500


@dataclass(frozen=True)
class Line:
    """Something that was said, and the second at which."""

    second: float
    text: str


@dataclass(frozen=True)
class Passage:
    """Some text of a video that is found as one.

    `lines` has [place in the text, second of the video] of each line; a description has none.
    """

    text: str
    lines: list[tuple[int, float]] = field(default_factory=list)

    def second_at(self, place: int) -> int:
        """The second of the line that this place in the text is in."""
        found = bisect.bisect_right(self.lines, place, key=lambda line: line[0]) - 1
        return int(self.lines[found][1]) if found >= 0 else 0


@dataclass(frozen=True)
class Document:
    """A video to be searched."""

    video_id: str
    title: str
    description: str = ""
    transcript: Sequence[Line] = ()

    def passages(self) -> Iterator[Passage]:
        """The description first, so that every video has one passage, then the transcript in pieces, of which each
        begins with the last line of the one before: what was said across the seam is found too."""
        yield Passage(self.description)
        text, lines = "", list[tuple[int, float]]()
        last: Line | None = None
        for line in self.transcript:
            said = " ".join(line.text.split())
            if not said:
                continue
            if len(text) + len(said) > PASSAGE_CHARACTERS and len(lines) > 1:
                yield Passage(text, lines)
                assert last is not None
                text, lines = " ".join(last.text.split()), [(0, last.second)]
            lines.append((len(text) + 1 if text else 0, line.second))
            text = f"{text} {said}" if text else said
            last = line
        if text:
            yield Passage(text, lines)


@dataclass(frozen=True)
class Hit:
    """A place in a video."""

    video_id: str
    title: str
    second: int
    url: str
    """Opens the video at that second."""
    snippet: list[tuple[str, bool]]
    """Parts of the text around: (text, whether it was looked for)."""


def hit(video_id: str, title: str, passage: Passage, query: Query) -> Hit:
    """The hit that a passage is."""
    place = best_place(passage.text, query)
    second = 0 if place is None else passage.second_at(place)
    url = f"{WATCH}?v={video_id}" + (f"&t={second}s" if second else "")
    return Hit(video_id, title, second, url, marked(passage.text, query))
