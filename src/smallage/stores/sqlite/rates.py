"""Limits: who may take a token, what waits for one, and when the next one comes. See "Limits" in `stores.base`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from smallage.stores.base import LimitSpec, LimitView
from smallage.stores.sqlite.queries import query

if TYPE_CHECKING:
    from smallage.stores.sqlite.lines import Lines
    from smallage.stores.sqlite.rows import Reader

RATE_LOAD = query("rate_load")
RATE_NEW = query("rate_new")
RATE_LIMITS = query("rate_limits")
RATE_SAVE = query("rate_save")
RATE_DELETE = query("rate_delete")
RATES_ALL = query("rates_all")
ENTRY_INSERT = query("rate_entry_insert")
ENTRY_DUE = query("rate_entry_due")
HELD_ANY = query("held_back_any")
HELD_COUNT = query("held_back_count")
HELD_LAST = query("held_back_last")
HELD_LINE = query("held_back_line")
LINE_OF_KEY = query("line_of_key")
LINE_COUNT = query("line_of_key_count")
HOLD_BACK = query("hold_back")
LET_GO_QUEUE = query("let_go_queue")
TASK_DELETE = query("task_delete")
SLACK_US: Final = 20_000
"""Lateness of a wake-up that is made good at most."""

_encode: Final = msgspec.json.Encoder().encode


class Rate:
    """A row of `rate`: a key's limits and its theoretical arrival time `tat`. `every` 0: nothing limits it now."""

    __slots__ = ("arms", "before", "burst", "default", "due_us", "entry", "every", "key", "override", "tat", "touched")

    def __init__(self, row: Any) -> None:
        self.key: str = row[0]
        self.default = LimitSpec(*row[1:4]) if row[1] is not None else None
        self.override = LimitSpec(*row[4:7]) if row[4] is not None else None
        self.tat: int = row[7]
        self.entry: int | None = row[8]
        self.due_us: int | None = row[9]
        self.before = self.tat, self.entry
        self.arms = False
        self.touched = False
        self.reckon()

    def reckon(self) -> None:
        """What counts of the two limits."""
        spec = self.view(0).effective
        self.every, self.burst = (spec.every_us, spec.burst) if spec else (0, 1)

    def view(self, held_back: int) -> LimitView:
        return LimitView(self.key, self.default, self.override, held_back)

    @property
    def forgotten(self) -> bool:
        return self.default is None and self.override is None

    @property
    def instant(self) -> int:
        """When the next token is there; 0 without a limit."""
        return self.tat - (self.burst - 1) * self.every if self.every else 0

    def has_token(self, now: int) -> bool:
        """Whether a claim may take a token; the token time is cut if the clock went back. If there is none, those who
        wait for it are to hear of the next one."""
        if self.every and self.tat > now + self.burst * self.every:
            self.tat = now + self.burst * self.every
        if self.instant <= now:
            return True
        self.arms = self.touched = True
        return False

    def pay(self, now: int) -> None:
        """Take a token."""
        if self.every:
            self.tat = max(self.tat, now - min(self.every // 2, SLACK_US)) + self.every
            self.arms = self.touched = True


class Rates:
    """The limits as one act sees and changes them; nothing is read while the store has none."""

    def __init__(self, act: Lines) -> None:
        self._act = act
        self._known: dict[str, Rate | None] = {}

    def of(self, key: str) -> Rate | None:
        if key not in self._known:
            row = self._act.row(RATE_LOAD, key)
            self._known[key] = Rate(row) if row is not None else None
        return self._known[key]

    def of_task(self, name: str) -> Rate | None:
        """The limit that tasks of a name are under."""
        rate = self.of("task:" + name)
        return rate if rate is not None and rate.every else None

    # -- what is held back ------------------------------------------------------------------------------------------
    def lines(self, queue: str) -> list[tuple[int, Rate]]:
        """What is held back in a queue: priorities and limits, in the order in which a claim looks at them."""
        found = [(priority, self.of(key)) for priority, key in held_back_lines(self._act.run, queue)]
        return [(priority, rate) for priority, rate in found if rate is not None]

    def hold(self, rate: Rate, queue: str, priority: int, seqs: Sequence[int]) -> None:
        """Ready entries of one queue and priority go to the end of a held back line."""
        last = self._act.row(HELD_LAST, queue, priority, rate.key)[0] or 0
        pairs = list(zip(seqs, range(last + 1, last + 1 + len(seqs)), strict=True))
        self._act.run(HOLD_BACK, (_encode(pairs).decode(), rate.key))
        rate.arms = rate.touched = True

    def let_go(self, key: str) -> None:
        """An entry has left a held back line: at the end it is seen whether it was the last one."""
        if (rate := self.of(key)) is not None:
            rate.touched = True

    def let_go_queue(self, queue: str) -> None:
        """All that is held back in a queue returns to it."""
        if self._act.book.rates:
            for _, rate in self.lines(queue):
                rate.touched = True
            self._act.run(LET_GO_QUEUE, (queue,))

    def _ring(self, rate: Rate) -> None:
        """One token, one stroke for each line; without a limit all that it held back may run."""
        act = self._act
        line = ("", -1)
        while (row := act.row(LINE_OF_KEY, rate.key, *line)) is not None:
            line = row
            act.ring(row[0], 1 if rate.every else act.row(LINE_COUNT, rate.key, *row)[0])

    # -- when they come due -----------------------------------------------------------------------------------------
    def save(self) -> None:
        """Write the token times; keys come due at their next token if they hold something back, else not at all."""
        act = self._act
        for rate in self._known.values():
            if rate is None or not rate.touched:
                continue
            holds = (rate.arms or rate.entry is not None or rate.forgotten) and act.row(HELD_ANY, rate.key) is not None
            if holds and rate.arms:
                self._arm(rate, rate.instant)
            elif not holds:
                self._disarm(rate)
            rate.arms = rate.touched = False
            if rate.forgotten and not holds:
                act.run(RATE_DELETE, (rate.key,))
                act.book.rates -= 1
                self._known[rate.key] = None
            else:
                self._write(rate)

    def _write(self, rate: Rate) -> None:
        if rate.before != (rate.tat, rate.entry):
            rate.before = rate.tat, rate.entry
            self._act.run(RATE_SAVE, (rate.key, rate.tat, rate.entry))

    def _arm(self, rate: Rate, due: int) -> None:
        act = self._act
        if rate.entry is None:
            (rate.entry,) = act.row(ENTRY_INSERT, rate.key, due, act.now)
        elif rate.due_us != due:
            act.run(ENTRY_DUE, (rate.entry, due))
        rate.due_us = due
        act.forget_due()

    def _disarm(self, rate: Rate) -> None:
        if rate.entry is not None:
            self._act.run(TASK_DELETE, (rate.entry,))
            self._act.forget_due()
            rate.entry = rate.due_us = None

    def come_due(self, key: str, entry: int) -> None:
        """A key's place among the scheduled has come up: who waits for a token may try."""
        rate = self.of(key)
        if rate is None:
            self._act.run(TASK_DELETE, (entry,))
            return
        self._disarm(rate)
        self._write(rate)
        self._ring(rate)

    # -- the verb ---------------------------------------------------------------------------------------------------
    def limit(self, key: str, spec: LimitSpec | None, default: bool) -> None:
        """See `Store.limit`."""
        act = self._act
        rate = self.of(key)
        if rate is None:
            if spec is None:
                return
            act.run(RATE_NEW, (key,))
            act.book.rates += 1
            rate = self._known[key] = Rate(act.row(RATE_LOAD, key))
        if default:
            rate.default = spec
        else:
            rate.override = spec
        rate.reckon()
        if rate.every:
            rate.tat = min(rate.tat, act.now + rate.burst * rate.every)
        if rate.forgotten:
            rate.tat = 0
        act.run(RATE_LIMITS, (key, *_columns(rate.default), *_columns(rate.override)))
        rate.touched = True
        if act.row(HELD_ANY, key) is not None:
            self._arm(rate, rate.instant if rate.every else act.now)
            self._ring(rate)


def _columns(spec: LimitSpec | None) -> tuple[int | None, int | None, int | None]:
    return (spec.tokens, spec.per_us, spec.burst) if spec is not None else (None, None, None)


def limits(reader: Reader, keys: Sequence[str] | None) -> dict[str, LimitView]:
    """See `Store.limits`."""
    if keys is None:
        rows = reader.execute(RATES_ALL).fetchall()
    else:
        found = [reader.execute(RATE_LOAD, (key,)).fetchone() for key in dict.fromkeys(keys)]
        rows = [row for row in found if row is not None]
    rates = [rate for rate in map(Rate, rows) if not rate.forgotten]
    return {rate.key: rate.view(reader.execute(HELD_COUNT, (rate.key,)).fetchone()[0]) for rate in rates}


def held_back_lines(run: Any, queue: str) -> Iterator[tuple[int, str]]:
    """What limits hold back in a queue: priorities and keys, in order, however long the lines are."""
    line = (-1, "")
    while (row := run(HELD_LINE, (queue, *line)).fetchone()) is not None:
        line = row
        yield line


def token_for(reader: Reader, queue: str, now: int) -> bool:
    """Whether a claim would find a token for what is held back in a queue, or has a key to wake up or set right."""
    for _, key in held_back_lines(reader.execute, queue):
        row = reader.execute(RATE_LOAD, (key,)).fetchone()
        rate = Rate(row) if row is not None else None
        if rate is None or rate.entry is None or rate.has_token(now) or rate.due_us != rate.instant:
            return True
    return False
