"""Index against state, running against session and token, groups against their members: for tests and `doctor`.

Reads the whole namespace page by page, so it is exact only while nothing else writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from smallage.stores.redis.indexes import is_group, is_key
from smallage.stores.redis.keys import STATES, decode_id, uuid_text
from smallage.stores.redis.link import Link
from smallage.stores.redis.receiving import MemberEnd, number
from smallage.stores.redis.wire import ServerError, Word

_WAITING = {"ready": "r", "scheduled": "s", "running": "n", "waiting": "w", "parked": "p"}
_COUNTERS = {"done": b"D", "dead": b"F", "cancelled": b"C"}


@dataclass
class Row:
    """A record as far as its indexes matter."""

    raw: bytes
    fields: dict[bytes, bytes]
    state: str = ""
    session: str = ""
    group: bytes = b""
    place: int = -1

    def __post_init__(self) -> None:
        mark = self.fields.get(b"s")
        if mark is None:
            self.state = "ready"
        elif mark[:1] == b"@":
            self.state, self.session = "running", mark[1:].decode()
        else:
            self.state = STATES.get(mark.decode(errors="replace"), f"unknown state {mark!r}")
        if (member := self.fields.get(b"i")) is not None:
            self.group, self.place = member[:16], number(member[16:], -1)
        elif b"n" not in self.fields and self.raw[:1] == b"m" and len(self.raw) > 17:
            self.group, self.place = self.raw[1:17], number(self.raw[17:], -1)

    @property
    def like(self) -> bool:
        return bool(self.group) and b"i" not in self.fields

    @property
    def name(self) -> str:
        return decode_id(self.raw)


@dataclass
class Books:
    """Everything in the namespace that the audit compares."""

    link: Link
    records: dict[bytes, Row] = field(default_factory=dict)
    groups: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)
    outlived: set[bytes] = field(default_factory=set)
    """Groups whose life is over: the ids of their members are free for others."""
    ends: dict[bytes, dict[int, str]] = field(default_factory=dict)
    lines: dict[bytes, list[bytes]] = field(default_factory=dict)
    parked: Counter[bytes] = field(default_factory=Counter)
    held: dict[str, set[bytes]] = field(default_factory=dict)
    listed: Counter[bytes] = field(default_factory=Counter)
    ahead: set[bytes] = field(default_factory=set)
    held_back: dict[tuple[bytes, bytes, bytes], list[bytes]] = field(default_factory=dict)
    """By key, queue and priority."""

    def ask(self, verb: str, key: str, *words: Word) -> list[bytes]:
        reply: list[bytes] = self.link.command(verb, f"{self.link.prefix}{key}", *words)
        return reply

    def keys(self) -> Iterator[bytes]:
        """Names of all keys, without the prefix."""
        prefix = self.link.prefix.encode()
        pattern = "".join(f"\\{sign}" if sign in "*?[]^\\" else sign for sign in self.link.prefix) + "*"
        cursor = b"0"
        seen: set[bytes] = set()
        while True:
            cursor, page = self.link.command("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            for key in page:
                if key not in seen:
                    seen.add(key)
                    yield key[len(prefix) :]
            if cursor == b"0":
                return

    def raw_ask(self, verb: str, key: bytes, *words: Word) -> list[bytes]:
        reply: list[bytes] = self.link.command(verb, self.link.prefix.encode() + key, *words)
        return reply


def breaches(link: Link) -> list[str]:
    """A sentence for each broken invariant; see `Store.audit`."""
    books = Books(link)
    found: list[str] = []
    for key in list(books.keys()):
        try:
            _collect(books, key)
        except ServerError as error:
            found.append(f"key {key!r} cannot be read: {error.code}")
    return [
        *found, *_records(books), *_orders(books), *_limits(books), *_sessions(books), *_groups(books), *_counts(books),
    ]  # fmt: skip


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _collect(books: Books, key: bytes) -> None:
    kind, _, rest = key.partition(b":")
    if kind == b"t":
        fields = _pairs(books.raw_ask("HGETALL", key))
        if fields.get(b"s") == b"7":
            books.ahead.add(rest)
        else:
            books.records[rest] = Row(rest, fields)
    elif kind == b"hq":
        _collect_held(books, rest)
    elif kind == b"r":
        books.lines[rest] = books.raw_ask("LRANGE", key, 0, -1)
    elif kind == b"pn" and rest:
        books.parked.update(books.raw_ask("LRANGE", key, 0, -1))
    elif kind == b"s":
        books.held[rest.decode()] = set(books.raw_ask("SMEMBERS", key))
    elif (kind == b"f" and rest) or kind == b"ts":
        books.listed.update(books.raw_ask("LRANGE", key, 0, -1))
    elif kind == b"g":
        _collect_group(books, key, rest)


def _collect_held(books: Books, queue: bytes) -> None:
    for line in books.raw_ask("ZRANGE", b"hq:" + queue, 0, -1):
        priority, _, key = line.partition(b":")
        entries = books.raw_ask("LRANGE", b"hb:" + queue + b":" + line, 0, -1)
        books.held_back[key, queue, priority] = entries


def _collect_group(books: Books, key: bytes, rest: bytes) -> None:
    raw, part = rest[:16], rest[16:]
    if not part:
        books.groups[raw] = _pairs(books.raw_ask("HGETALL", key))
        if b"e" in books.groups[raw] and books.link.run("group", raw) is None:
            books.outlived.add(raw)
    elif part.startswith(b":r:"):
        chunk = int(part[3:])
        ends = books.ends.setdefault(raw, {})
        for entry in books.raw_ask("LRANGE", key, 0, -1):
            end = MemberEnd(entry)
            ends[chunk * 128 + end.place] = end.state


def _records(books: Books) -> Iterator[str]:
    due = set(books.ask("ZRANGE", "d", 0, -1))
    dead = set(books.ask("ZRANGE", "x", 0, -1))
    waiting = set(books.ask("ZRANGE", "w", 0, -1))
    ready = {entry for line in (*books.lines.values(), *books.held_back.values()) for entry in line}
    token = number(books.link.command("GET", f"{books.link.prefix}k"))
    for row in books.records.values():
        for state, index in (("scheduled", due), ("dead", dead), ("waiting", waiting), ("parked", books.parked)):
            if (row.raw in index) != (row.state == state):
                yield f"{row.name} is {row.state}, which disagrees with the index of {state} tasks"
        if row.state == "ready" and row.raw not in ready:
            yield f"{row.name} is ready and stands in no line"
        if (row.raw in books.held.get(row.session, ())) != (row.state == "running"):
            yield f"{row.name} is {row.state}, which disagrees with its session"
        if row.state == "running" and not (number(row.fields.get(b"k")) and row.fields.get(b"o")):
            yield f"{row.name} runs without a token"
        if number(row.fields.get(b"k")) > token:
            yield f"{row.name} has a token above the last issued one"
        if row.state in _COUNTERS and not row.group and row.fields.get(b"t") != b"-1" and not books.listed[row.raw]:
            yield f"{row.name} has ended and nothing will remove it"
        if row.like and row.group not in books.groups:
            yield f"{row.name} is a member of a group that is not there"
    remembered = set(books.ask("ZRANGE", "ra", 0, -1))
    for raw in books.ahead - remembered:
        yield f"the revoke of {decode_id(raw)} before it came would be remembered for ever"
    for raw in (due | dead | waiting | set(books.parked)) - books.records.keys():
        if not is_group(raw) and not is_key(raw):
            yield f"an index lists {decode_id(raw)}, of which there is no record"


def _orders(books: Books) -> Iterator[str]:
    places: Counter[bytes] = Counter()
    for where, line in books.lines.items():
        queue, _, priority = where.rpartition(b":")
        if priority != b"0" and line:
            bits = number(books.link.command("HGET", f"{books.link.prefix}q:{queue.decode()}", "m"))
            if not bits >> int(priority) & 1:
                yield f"priority {priority.decode()} of queue {queue.decode()} has entries that no claim looks at"
        places.update(
            entry for entry in line if is_group(entry) or (entry in books.records and _is_ready(books, entry))
        )
    for line in books.held_back.values():
        places.update(entry for entry in line if _is_held(books, entry))
    for entry, n in places.items():
        if n > 1:
            yield f"{_shown(entry)} stands {n} times in ready lines"
    scheduled = set(books.ask("ZRANGE", "d", 0, -1))
    for raw, group in books.groups.items():
        if b"g" not in group:
            continue
        open_rows = number(group.get(b"c")) < _rows(group)
        in_line, in_due = places[b"g" + raw] > 0, b"g" + raw in scheduled
        if in_due != (b"P" in group):
            yield f"group {uuid_text(raw)} disagrees with the scheduled order"
        if open_rows != (in_line or in_due):
            has = "has" if open_rows else "has no"
            yield f"group {uuid_text(raw)} {has} unclaimed rows, which disagrees with its line"


def _rows(group: dict[bytes, bytes]) -> int:
    """Like members; behind them stand those that came late."""
    return number(group.get(b"T")) - number(group.get(b"L"))


def _is_ready(books: Books, raw: bytes) -> bool:
    return books.records[raw].state == "ready"


def _is_held(books: Books, entry: bytes) -> bool:
    """Held back in truth: a task that left its line otherwise leaves its entry behind."""
    if is_group(entry):
        return b"M" in books.groups.get(entry[1:], {})
    row = books.records.get(entry)
    return row is not None and row.state == "ready" and number(row.fields.get(b"f")) & 2052 == 2048


def _limits(books: Books) -> Iterator[str]:
    """What limits hold back against its counts, and the keys in the scheduled order."""
    by_key: Counter[bytes] = Counter()
    lines: Counter[bytes] = Counter()
    for (key, queue, priority), line in books.held_back.items():
        n = sum(_is_held(books, entry) for entry in line)
        by_key[key] += n
        lines[queue] += 1
        counted = number(books.link.command("HGET", books.link.prefix.encode() + b"hl:" + key, priority + b":" + queue))
        if not n or counted != n:
            yield f"{key.decode()} holds back {n} in queue {queue.decode()} and {counted} are counted"
    for queue, n in lines.items():
        if number(books.link.command("HGET", books.link.prefix.encode() + b"q:" + queue, "h")) != n:
            yield f"queue {queue.decode()} does not know how many lines are held back"
    for key in books.ask("SMEMBERS", "lk"):
        counted = number(books.link.command("HGET", books.link.prefix.encode() + b"m:" + key, "h"))
        if by_key.pop(key, 0) != counted:
            yield f"{key.decode()} miscounts what it holds back: {counted}"
    for key in by_key:
        yield f"{key.decode()} holds entries back and is no key"
    held = {row.raw for row in books.records.values() if row.state == "ready" and _is_held(books, row.raw)}
    held |= {b"g" + raw for raw, group in books.groups.items() if b"M" in group}
    for entry in held - {entry for line in books.held_back.values() for entry in line}:
        yield f"{_shown(entry)} is held back and stands in no line"


def _shown(entry: bytes) -> str:
    return f"group {uuid_text(entry[1:])}" if is_group(entry) else decode_id(entry)


def _sessions(books: Books) -> Iterator[str]:
    announced = {name.decode() for name in books.ask("ZRANGE", "l", 0, -1)}
    for session, held in books.held.items():
        if held and session not in announced:
            yield f"session {session} holds tasks and is not announced"
        for raw in held:
            row = books.records.get(raw)
            if row is None or row.session != session:
                yield f"session {session} holds {decode_id(raw)}, which does not know it"
    leases = Counter(books.link.command("HGET", f"{books.link.prefix}h:{name}", "L") for name in announced)
    counted = {lease: int(n) for lease, n in _pairs(books.ask("HGETALL", "lc")).items()}
    if leases != counted:
        yield f"sessions have leases {dict(leases)} and {counted} are counted"


def _groups(books: Books) -> Iterator[str]:
    members: dict[bytes, list[Row]] = {}
    for row in books.records.values():
        if row.group in books.groups:
            members.setdefault(row.group, []).append(row)
    for raw, group in books.groups.items():
        if raw in books.outlived:
            continue
        name = uuid_text(raw)
        states = Counter(row.state for row in members.get(raw, ()))
        states.update(books.ends.get(raw, {}).values())
        for start, end in _ranges(group.get(b"V", b"")):
            states["cancelled"] += sum(index not in books.ends.get(raw, {}) for index in range(start, end))
        for state, letter in (*_COUNTERS.items(), ("running", b"R")):
            if states[state] != number(group.get(letter)):
                yield f"group {name} counts {number(group.get(letter))} {state} members and has {states[state]}"
        ended = sum(number(group.get(letter)) for letter in _COUNTERS.values())
        total = number(group.get(b"T"))
        if bool(number(group.get(b"e"))) != (b"z" in group and ended >= total):
            yield f"group {name} is {'' if number(group.get(b'e')) else 'not '}ended with {ended} of {total} members"
        if ended > total:
            yield f"group {name} has more ends than members"


def _ranges(text: bytes) -> Iterable[tuple[int, int]]:
    for part in text.split(b";")[:-1]:
        start, end, _ = part.split()
        yield int(start), int(end)


def _counts(books: Books) -> Iterator[str]:
    """The open counts by queue and state against the records and the unclaimed rows."""
    expected: Counter[bytes] = Counter()
    for row in books.records.values():
        if letter := _WAITING.get(row.state):
            group = books.groups.get(row.group, {}) if row.like else {}
            queue = row.fields.get(b"q", group.get(b"q", b"0"))
            expected[queue + letter.encode()] += 1
    for group in books.groups.values():
        rows = _rows(group) - number(group.get(b"c")) - number(group.get(b"w"))
        if b"g" in group and rows > 0:
            expected[group.get(b"q", b"0") + (b"s" if b"P" in group else b"r")] += rows
    counted = Counter({name: int(n) for name, n in _pairs(books.ask("HGETALL", "n")).items() if int(n)})
    for name in expected.keys() | counted.keys():
        if expected[name] != counted[name]:
            yield f"counter {name.decode()} says {counted[name]} and there are {expected[name]} tasks"
