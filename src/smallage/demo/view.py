"""What the demonstration shows: the plan, a bar that moves (or a line a second), a table at the end."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import IO

BLOCKS = " ▏▎▍▌▋▊▉█"
LINE_EVERY_S = 1.0
"""Seconds between two lines where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How far the run is."""

    total: int
    done: int = 0
    failed: int = 0
    retried: int = 0

    @property
    def ended(self) -> int:
        return self.done + self.failed


def bar(share: float, width: int) -> str:
    """`width` characters, filled to `share` (0 to 1) in eighths of a character."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (BLOCKS[rest] if rest else "")).ljust(width)


def duration(seconds: float) -> str:
    """12 ms, 3.4 s, 25 min, as a reader would say it."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` (0 to 1) of them do not exceed; 0.0 of none."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0.0


def status(counts: Counts, elapsed: float) -> str:
    """done 412 · failed 0 · retried 9 · 309/s · ETA 1.9 s."""
    rate = counts.ended / elapsed if elapsed > 0 else 0.0
    if counts.ended >= counts.total:
        left = f"in {duration(elapsed)}"
    else:
        left = "ETA " + (duration((counts.total - counts.ended) / rate) if rate else "–")
    return f"done {counts.done:,} · failed {counts.failed:,} · retried {counts.retried:,} · {rate:,.0f}/s · {left}"


class View:
    """Writes to `out`: in place on a terminal, else line after line. Colour obeys NO_COLOR and FORCE_COLOR."""

    def __init__(self, out: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self.live = out.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = (self.live or bool(os.environ.get("FORCE_COLOR"))) and not os.environ.get("NO_COLOR")
        self._started = clock()
        self._next_line = self._started + LINE_EVERY_S
        self._open = False

    def say(self, text: str = "") -> None:
        """A line of its own, above the bar."""
        self._out.write(("\r\x1b[K" if self._open else "") + text + "\n")
        self._out.flush()
        self._open = False

    def start(self) -> None:
        """The time from which rates are counted."""
        self._started = self._clock()
        self._next_line = self._started + LINE_EVERY_S

    def show(self, counts: Counts, last: bool = False) -> None:
        """The counts as they are now: the bar anew, or a line once a second and at the `last` one."""
        now = self._clock()
        text = status(counts, now - self._started)
        share = counts.ended / counts.total if counts.total else 1.0
        if self.live:
            self._redraw(text, share, last)
        elif last or now >= self._next_line:
            self._next_line = max(self._next_line + LINE_EVERY_S, now)
            self.say(f"{now - self._started:5.1f} s  {counts.ended:,}/{counts.total:,} {share:4.0%}  {text}")

    def table(self, rows: Iterable[tuple[str, str]]) -> None:
        """Two columns; the second may have several lines."""
        rows = list(rows)
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            for place, line in enumerate(value.split("\n")):
                self.say(f"  {self.paint((name if not place else '').ljust(width), '2')}  {line}")

    def paint(self, text: str, code: str) -> str:
        """`text` in the ANSI style `code`, where colour is wanted."""
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text

    def _redraw(self, text: str, share: float, last: bool) -> None:
        columns = shutil.get_terminal_size().columns
        width = min(40, columns - len(text) - 10)
        drawn = f"{self.paint(bar(share, width), '32')}▏{share:4.0%}  " if width >= 8 else f"{share:4.0%}  "
        plain = len(drawn) - (len(self.paint("x", "32")) - 1 if width >= 8 else 0)
        self._out.write("\r\x1b[K" + drawn + text[: max(columns - 1 - plain, 0)] + ("\n" if last else ""))
        self._out.flush()
        self._open = not last
