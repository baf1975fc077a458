"""What Smallage sets itself, read off the figures of run.py: one line each, with the best peer beside it."""

from dataclasses import dataclass

OURS = ("smallage_redis", "smallage_sqlite")
ON_SQLITE = ("smallage_sqlite", "huey_sqlite")


def value(figure):
    """The median of a figure with repetitions, or the figure itself."""
    return figure["median"] if isinstance(figure, dict) and "median" in figure else figure


@dataclass(frozen=True)
class Figure:
    """A key of a scenario's rows; `most`: more is better. `label` must be part of a row's label, `but` must not."""

    scenario: str
    key: str
    most: bool = False
    label: str = ""
    but: str = "\0"

    def of(self, data, system):
        """Values by label, rows that failed left out."""
        rows = data["systems"].get(system, {}).get(self.scenario, {})
        found = {k: value(r.get(self.key)) for k, r in rows.items() if self.label in k and self.but not in k}
        return {k: v for k, v in found.items() if v is not None}

    def best(self, values):
        return max(values) if self.most else min(values)

    def peers(self, data, ours):
        """(value, system, label) of the best peer on the same kind of store; without fsync does not count."""
        rows = [
            (v, system, label)
            for system in data["systems"]
            if system not in OURS and (system in ON_SQLITE) == (ours in ON_SQLITE)
            for label, v in self.of(data, system).items()
            if "synchronous=0" not in label
        ]
        return (max if self.most else min)(rows, key=lambda x: x[0]) if rows else None


@dataclass(frozen=True)
class Target:
    """`bound` in the unit of the figure; `scale` multiplies a figure for showing it."""

    text: str
    system: str
    figure: Figure
    bound: float
    unit: str = ""
    peers: Figure | None = None
    versus: str = ""
    """Name of a rule that stands beside or instead of the bound: see `met`."""

    def ours(self, data):
        found = list(self.figure.of(data, self.system).values())
        return self.figure.best(found) if found else None

    def peer(self, data):
        return (self.peers or self.figure).peers(data, self.system)

    def met(self, data):
        """True, False, or None when there is no figure."""
        ours = self.ours(data)
        if ours is None:
            return None
        if self.versus == "bare":
            return ours <= self.bound or _least(data, self.system, "bare", "ratio") <= 1.3
        return ours >= self.bound if self.figure.most else ours <= self.bound


def _least(data, system, scenario, key):
    return min(Figure(scenario, key).of(data, system).values(), default=float("inf"))


R, S = OURS
ONE = "1 process x 8 threads, results"
DRAIN = Figure("noop", "drained_per_s", True, ONE, "group")
BEST = Figure("noop", "drained_per_s", True, "results", "group")
BULK = Figure("enqueue", "bulk_per_s", True, "", "group")
FAN = Figure("enqueue", "bulk_per_s", True, "group")
P50, P99 = Figure("latency", "p50_ms"), Figure("latency", "p99_ms")
RTT = Figure("latency", "rtt_p50_ms")
IO = Figure("fanout_io", "over_ideal")
CHORD = Figure("chord", "wall_s")
MIXED = Figure("mixed", "done_per_s", True)
QUEUED = Figure("memory", "bytes_per_queued_task")
FINISHED = Figure("memory", "bytes_per_finished_task")
START, IMPORT = Figure("startup", "exec_to_first_task_s"), Figure("startup", "import_s")
RERUN = Figure("crash", "long_rerun_worst_s")


def idle(key):
    return Figure("idle", key)


def of(figure, label, but="\0"):
    return Figure(figure.scenario, figure.key, figure.most, label, but)


TARGETS = [
    Target("no-op drain, results kept, Redis, 1 worker process", R, DRAIN, 40_000, "/s", BEST),
    Target("no-op drain, results kept, Redis, best of 1 or 2 processes", R, BEST, 50_000, "/s"),
    Target("no-op drain, results kept, SQLite synchronous=FULL, best of 1 or 2", S, BEST, 25_000, "/s"),
    Target(
        "`.delay()` p50, Redis (or ≤ 1.3 × a bare RPUSH)",
        R,
        Figure("bare", "call_p50_us"),
        60,
        "µs",
        Figure("enqueue", "call_p50_us"),
        versus="bare",
    ),
    Target("`.delay()` p50, Redis, beside a bare RPUSH", R, Figure("bare", "ratio"), 1.3, "×"),
    Target("`.delay()` p50, SQLite, beside a bare durable insert", S, Figure("bare", "ratio"), 2, "×"),
    Target("bulk, independent tasks, Redis", R, BULK, 80_000, "/s"),
    Target("bulk, independent tasks, SQLite", S, BULK, 80_000, "/s"),
    Target("fan-out of one group, Redis", R, FAN, 300_000, "/s", BULK),
    Target("fan-out of one group, SQLite", S, FAN, 200_000, "/s", BULK),
    Target("enqueue → start, idle worker, p50, Redis", R, P50, 0.7, "ms"),
    Target("enqueue → start, idle worker, p99, Redis", R, P99, 1.8, "ms"),
    Target("enqueue → start, idle worker, p50, SQLite", S, P50, 3, "ms"),
    Target("enqueue → start, idle worker, p99, SQLite", S, P99, 10, "ms"),
    Target("result round trip p50, Redis", R, RTT, 0.9, "ms"),
    Target("1,000 × 0.15 s at 50 threads, over the ideal, Redis", R, of(IO, "threads"), 1.01, "×", IO),
    Target("1,000 × 0.15 s at 50 threads, over the ideal, SQLite", S, of(IO, "threads"), 1.01, "×", IO),
    Target("group of 1,000 and its callback, Redis", R, CHORD, 0.12, "s"),
    Target("group of 1,000 and its callback, SQLite", S, CHORD, 0.12, "s"),
    Target("producer and workers together, done, Redis", R, MIXED, 15_000, "/s"),
    Target("Redis bytes a queued task, single", R, of(QUEUED, "", "group"), 230, "B"),
    Target("Redis bytes a queued task, in a group", R, of(QUEUED, "group"), 110, "B", QUEUED),
    Target("Redis bytes a finished task with result, single", R, of(FINISHED, "", "group"), 250, "B"),
    Target("Redis bytes a finished task with result, in a group", R, of(FINISHED, "group"), 60, "B", FINISHED),
    Target("idle worker, CPU in 20 s, Redis", R, idle("cpu_s"), 0.02, "s"),
    Target("idle worker, CPU in 20 s, SQLite", S, idle("cpu_s"), 0.02, "s"),
    Target("idle worker, round trips", R, idle("round_trips_per_s"), 1, "/s"),
    Target("idle worker, Redis in commands a second", R, idle("redis_in_commands_ms_per_s"), 0.1, "ms"),
    Target("idle worker, memory (PSS), one child and its supervisor, Redis", R, idle("pss_mib"), 35, "MiB"),
    Target("idle worker, memory (PSS), one child and its supervisor, SQLite", S, idle("pss_mib"), 35, "MiB"),
    Target("Redis time for claim and settle, in batches", R, Figure("redis_time", "redis_us_per_task"), 9, "µs"),
    Target("exec → first task, Redis", R, START, 0.20, "s"),
    Target("exec → first task, SQLite", S, START, 0.20, "s"),
    Target("import", R, IMPORT, 0.045, "s"),
    Target("all workers killed with 4 tasks running, new one at once: re-run, Redis", R, RERUN, 1.5, "s"),
    Target("all workers killed with 4 tasks running, new one at once: re-run, SQLite", S, RERUN, 1.5, "s"),
]


def bullmq_ratio(data):
    """(ours, BullMQ's, ratio) of the no-op drain with results, one process each."""
    ours = max(DRAIN.of(data, R).values(), default=None)
    theirs = max(
        Figure("noop", "drained_per_s", True, "1 process, concurrency 50, results").of(data, "bullmq").values(),
        default=None,
    )
    return (ours, theirs, ours / theirs) if ours and theirs else None


def lines(data):
    """Rows of the table: figure, Smallage, best peer, target, met."""
    for t in TARGETS:
        ours, peer, met = t.ours(data), t.peer(data), t.met(data)
        yield [
            t.text,
            show(ours, t.unit),
            f"{show(peer[0], t.unit)} ({peer[1].removesuffix('_redis')}, {peer[2]})" if peer else "–",
            f"{'≥' if t.figure.most else '≤'} {show(t.bound, t.unit)}",
            {True: "yes", False: "**no**", None: "not measured"}[met],
        ]
    ratio = bullmq_ratio(data)
    if ratio:
        yield [
            "no-op drain, results kept, 1 worker process, beside BullMQ",
            show(ratio[2], "×"),
            show(ratio[1], "/s"),
            "≥ 1.8 ×",
            "yes" if ratio[2] >= 1.8 else "**no**",
        ]


def show(v, unit):
    if v is None:
        return "–"
    digits = 0 if abs(v) >= 100 else 1 if abs(v) >= 10 else 3 if abs(v) < 0.1 else 2
    text = f"{v:,.{digits}f}"
    return f"{text} {unit}".strip() if unit != "/s" else f"{text}/s"
