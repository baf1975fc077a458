"""Turn the JSON of run.py into markdown tables: report.py bench.json [more.json …] > bench.md"""

import json
import sys

import targets

d = {"systems": {}}
for path in sys.argv[1:]:
    part = json.load(open(path))
    for system, rows in part.pop("systems").items():
        d["systems"].setdefault(system, {}).update(rows)
    d.update(part)


def num(v, digits=None):
    if v is None:
        return "–"
    if isinstance(v, (int, float)) and not isinstance(v, bool):
        if digits is None:
            digits = 0 if abs(v) >= 100 else 1 if abs(v) >= 10 else 2
        return f"{v:,.{digits}f}"
    return str(v)


def sp(v, digits=None):
    """median (min–max)"""
    if not isinstance(v, dict):
        return num(v, digits)
    if v["n"] == 1:
        return num(v["median"], digits)
    return f"{num(v['median'], digits)} ({num(v['min'], digits)}–{num(v['max'], digits)})"


def table(title, head, rows):
    if rows:
        print(f"\n### {title}\n\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for r in rows:
            print("| " + " | ".join(r) + " |")


def section(scenario, title, columns):
    rows = []
    for system, rec in d["systems"].items():
        for label, r in rec.get(scenario, {}).items():
            if "error" in r:
                rows.append(
                    [system, label, "FAILED: " + r["error"].replace("\n", " ").replace("|", "/")[:200]]
                    + [""] * (len(columns) - 1)
                )
            else:
                rows.append([system, label] + [f(r) for _, f in columns])
    table(title, ["system", "configuration"] + [c for c, _ in columns], rows)


def col(key, digits=None):
    return lambda r: sp(r.get(key), digits)


def limit(v):
    rows = [[k] + [sp(x[c]) for c in ("lpush", "rpop", "xadd")] for k, x in v["redis_benchmark"].items()]
    table(
        "j. limit: redis-benchmark, 100-byte values, operations/s", ["clients, pipeline", "LPUSH", "RPOP", "XADD"], rows
    )
    rows = [[k, sp(x["push"]), sp(x["pop"])] for k, x in v["python_loop"].items()]
    table("j. limit: bare Python loop through redis-py + hiredis, tasks/s", ["loop", "push", "pop, decode, call"], rows)


print("Machine:", json.dumps(d.get("machine")), "\n")
print("Throughput cells are: median (min–max) of the repetitions.\n")
table(
    "Versions",
    ["system", "versions"],
    [[s, ", ".join(f"{k} {v}" for k, v in r.get("versions", {}).items())] for s, r in d["systems"].items()],
)
if "limit" in d:
    limit(d["limit"])
section(
    "enqueue",
    "a. enqueue, one producer process",
    [
        ("push", col("push")),
        ("single, tasks/s", col("single_per_s")),
        ("call p50 µs", col("call_p50_us", 0)),
        ("call p99 µs", col("call_p99_us", 0)),
        ("bulk, tasks/s", lambda r: sp(r["bulk_per_s"]) + ("" if r["has_bulk"] else " (no bulk call; loop)")),
    ],
)
section(
    "noop",
    "b. noop drain of a prefilled queue",
    [
        ("push", col("push")),
        ("tasks/s to the last start", col("per_s")),
        ("tasks/s to the last result read by another process", col("drained_per_s")),
        ("with start-up, tasks/s", lambda r: num(r["incl_startup_per_s"]["median"])),
        ("worker CPU µs/task", lambda r: num(r["worker_cpu_us_per_task"] and r["worker_cpu_us_per_task"]["median"], 0)),
        ("Redis CPU µs/task", lambda r: num(r["redis_cpu_us_per_task"] and r["redis_cpu_us_per_task"]["median"], 0)),
        ("Redis commands/task", lambda r: num(r["redis_commands_per_task"]["median"])),
        ("reads by Redis/task", lambda r: num((r.get("redis_reads_per_task") or {}).get("median"))),
        ("other CPU, cores", lambda r: num((r.get("other_processes_cpu") or {}).get("median"), 2)),
        ("N", col("n")),
        ("duplicates", col("duplicates")),
    ],
)
section(
    "redis_time",
    "b. Redis's own time for a task, while workers claim and settle",
    [
        ("µs a task", col("redis_us_per_task")),
        ("of which, µs", lambda r: ", ".join(f"{k} {v}" for k, v in r["by_command_us"].items())),
    ],
)
section(
    "bare",
    "a. single calls beside the store's bare operation (RPUSH; durable SQLite insert)",
    [
        ("call p50 µs", col("call_p50_us", 0)),
        ("bare p50 µs", col("bare_p50_us", 0)),
        ("ratio", col("ratio", 2)),
        ("disk", col("disk")),
    ],
)
for key, title in (
    ("fanout_io", "c. fanout_io: 1,000 sleeps of 0.15 s at 50 (ideal 3.0 s)"),
    ("io_real", "c. real: 1,000 sleeps of 1.5 s at 50 (ideal 30 s)"),
):
    section(
        key,
        title,
        [
            ("wall s", col("wall_s")),
            ("over ideal", col("over_ideal", 2)),
            ("peak concurrency", col("peak_concurrency")),
            ("worker CPU s", lambda r: num(r["worker_cpu_s"]["median"])),
        ],
    )
section(
    "latency",
    "d. latency, idle worker, one task each 20 ms",
    [
        ("enqueue→start p50 ms", col("p50_ms")),
        ("p99 ms", col("p99_ms")),
        ("max ms", col("max_ms")),
        ("result round trip p50 ms", col("rtt_p50_ms")),
        ("p99 ms", col("rtt_p99_ms")),
    ],
)
section(
    "memory",
    "e. Redis memory",
    [
        ("push", col("push")),
        ("bytes per queued task", col("bytes_per_queued_task", 0)),
        ("queued N", col("n")),
        ("bytes per finished task with result", col("bytes_per_finished_task", 0)),
        ("finished N", col("results_n")),
    ],
)
section(
    "idle",
    "f. idle worker over 20 s",
    [
        ("CPU s in 20 s", col("cpu_s", 3)),
        ("store round trips/s", col("round_trips_per_s")),
        ("Redis commands/s", col("redis_commands_per_s")),
        ("Redis CPU ms/s, above its own", col("redis_cpu_ms_per_s", 2)),
        ("Redis ms/s in commands", col("redis_in_commands_ms_per_s", 2)),
        ("processes", col("processes")),
        ("RSS MiB", col("rss_mib")),
        ("PSS MiB", col("pss_mib")),
    ],
)
section(
    "startup",
    "g. startup",
    [
        ("exec → first task, s", col("exec_to_first_task_s", 2)),
        ("import, s", col("import_s", 3)),
        ("bare interpreter, s", col("bare_interpreter_s", 3)),
    ],
)
section(
    "crash",
    "h. crash: kill -9 all workers with 4 long (3 s) tasks running and 40 short waiting; new worker at once",
    [
        ("long re-run", lambda r: f"{r['long_rerun']} of 4"),
        ("after s", lambda r: ", ".join(map(str, r["long_rerun_after_s"])) or f">{r['cap_s']}"),
        ("short never run by cap", lambda r: f"{r['short_never_finished']} of 40"),
        ("short delayed >10 s", col("short_delayed_over_10s")),
        ("first / last short s", lambda r: f"{num(r['short_first_s'])} / {num(r['short_last_s'])}"),
        ("finished twice", col("finished_twice")),
    ],
)
section(
    "chord",
    "i. chord: 1,000 no-ops then a callback",
    [("wall s", col("wall_s", 2)), ("of which submit s", col("submit_s", 2)), ("callbacks", col("callbacks"))],
)
WORKFLOWS = ("chain of 100", "chord of 10,000", "100 groups of 100")
section(
    "workflows",
    "i2. workflows: seconds; MiB that Redis holds at the most / when all is over",
    [
        (f"{name}, {what}", lambda r, name=name, keys=keys: " / ".join(sp(r[name][key]) for key in keys))
        for name in WORKFLOWS
        for what, keys in (("s", ("wall_s",)), ("MiB", ("redis_peak_mib", "redis_after_mib")))
    ],
)
section(
    "mixed",
    "mixed: two worker processes and one producer at full speed, 20 s",
    [("enqueued/s", col("sent_per_s")), ("done/s", col("done_per_s")), ("backlog at end", col("backlog", 0))],
)
table("Targets", ["figure", "Smallage", "best peer", "target", "met"], list(targets.lines(d)))
