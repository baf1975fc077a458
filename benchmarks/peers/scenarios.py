"""The scenarios: each takes (make, adapter, settings, repetitions) and returns the figures of one row.

`make(settings)` gives a fresh Session. Rates run from the first journal record to the last; with results kept a drain
ends when another process has read the results of the tasks that were sent last.
"""

import statistics
import subprocess
import time

import lib
import probe
from lib import spread

ARG = "some-video-id"


def pushed(o):
    """Which push a row's tasks came by."""
    return "one group" if o.get("group") else "independent tasks"


def quantiles(ms):
    ms = sorted(ms)
    return {
        "p50_ms": ms[len(ms) // 2],
        "p99_ms": ms[min(len(ms) - 1, int(0.99 * len(ms)))],
        "max_ms": ms[-1],
        "n": len(ms),
    }


def enqueue(make, a, o, reps):
    n, single, many = a.N["enqueue"], [], []
    for _ in range(reps):
        if not o.get("group"):
            single.append(make(o).client("enqueue", n=n, task="noop", arg=ARG))
        many.append(make(o).client("bulk", n=o.get("n_bulk", n), task="noop", arg=ARG))
    return {
        "push": pushed(o),
        "single_per_s": spread([x["rate"] for x in single]),
        "call_p50_us": spread([x["p50_us"] for x in single]),
        "call_p99_us": spread([x["p99_us"] for x in single]),
        "bulk_per_s": spread([x["rate"] for x in many]),
        "has_bulk": many[0]["has_bulk"],
        "n": n,
    }


def noop(make, a, o, reps):
    n = o.get("n", a.N["noop"])
    rows = [_drain(make(o), a, n) for _ in range(reps)]
    names = {
        "rate": "per_s",
        "steady": "steady_per_s",
        "incl_startup": "incl_startup_per_s",
        "drained": "drained_per_s",
        "cpu": "worker_cpu_us_per_task",
        "rcpu": "redis_cpu_us_per_task",
        "cmds": "redis_commands_per_task",
        "trips": "redis_reads_per_task",
        "foreign": "other_processes_cpu",
    }  # cores used by neither side: noise
    return {"n": n, "push": pushed(o), "duplicates": sum(r["dup"] for r in rows)} | {
        name: spread([r[k] for r in rows]) for k, name in names.items()
    }


def _drain(s, a, n):
    """Send n no-ops, then start the workers and follow them to the end."""
    s.client("bulk", n=n, task="noop", arg=ARG)
    watcher = s.watch_results(n) if s.opts.get("results") and a.HAS_RESULTS else None
    use = s.redis.usage()
    begin = time.time_ns()
    s.start()
    try:
        s.wait(1, 60, 0.002)
        pids = s.pids()
        cpu, at, rcpu = lib.cpu_seconds(pids), s.count(), lib.cpu_seconds([s.servers["redis"].proc.pid])
        busy, t = lib.machine_busy(), time.monotonic()
        s.wait(n, 120)
        cpu2, rcpu2 = lib.cpu_seconds(set(pids) | set(s.pids())), lib.cpu_seconds([s.servers["redis"].proc.pid])
        foreign = (lib.machine_busy() - busy - (cpu2 - cpu) - (rcpu2 - rcpu)) / (time.monotonic() - t)
        drained = s.client_end(watcher, 60)["drained_ns"] if watcher else None
        time.sleep(0.1)
        got = s.records()
        use2 = s.redis.usage()
    finally:
        s.stop()
    ts = sorted(r[1] for r in got)
    return {
        "rate": (len(ts) - 1) / ((ts[-1] - ts[0]) / 1e9),
        "steady": len(ts) * 0.8 / ((ts[int(len(ts) * 0.9)] - ts[int(len(ts) * 0.1)]) / 1e9),
        "incl_startup": len(ts) / ((ts[-1] - begin) / 1e9),
        "dup": len(got) - len({r[0] for r in got}),
        "drained": (len(ts) - 1) / ((drained - ts[0]) / 1e9) if drained else None,
        "cpu": (cpu2 - cpu) / (n - at) * 1e6 if at < n else None,
        "rcpu": (rcpu2 - rcpu) / (n - at) * 1e6 if at < n else None,
        "cmds": (use2["commands"] - use["commands"]) / n,
        "trips": (use2["reads"] - use["reads"]) / n,
        "foreign": foreign,
    }


def redis_time(make, a, o, reps):
    """Time Redis spends in commands for each task while workers claim and settle, from its own statistics.

    A script's time includes its inner calls, which are counted again under their own names, and EXEC's likewise. A
    short drain under MONITOR tells which share of each command's calls came from clients; only those count.
    """
    n, small = o.get("n", a.N["noop"]), 1000
    s = make(o)
    s.client("bulk", n=small, task="noop", arg=ARG)
    monitor = lib.Monitor(s.servers["redis"].port)
    _follow(s, a, small)
    monitor.stop()
    share = {c: monitor.sent[c] / (monitor.sent[c] + monitor.inner[c]) for c in monitor.sent | monitor.inner}
    share["exec"] = 0.0
    rows, commands = [], []
    for _ in range(reps):
        s = make(o)
        s.client("bulk", n=n, task="noop", arg=ARG)
        before = s.redis.usage()
        _follow(s, a, n)
        after = s.redis.usage()
        cost = {
            c: (u - before["usec"].get(c, 0)) / n * share.get(c.split("|")[0], 1.0) for c, u in after["usec"].items()
        }
        cost.pop("info", None)
        rows.append(sum(cost.values()))
        commands.append({c: round(v, 2) for c, v in sorted(cost.items(), key=lambda x: -x[1])[:4]})
    return {"n": n, "push": pushed(o), "redis_us_per_task": spread(rows), "by_command_us": commands[-1]}


def _follow(s, a, n):
    watcher = s.watch_results(n) if s.opts.get("results") and a.HAS_RESULTS else None
    s.start()
    try:
        s.wait(n, 120)
        if watcher:
            s.client_end(watcher, 60)
        time.sleep(0.1)
    finally:
        s.stop()


def bare(make, a, o, reps, n=4000):
    """Single calls beside the store's bare operation (a bare RPUSH, a bare durable insert), in turns in one process."""
    rows = [make(o).client("versus", n=n, store=a.BACKEND, arg=ARG) for _ in range(reps)]
    return {
        "n": n,
        "disk": " ".join(lib.disk(lib.WORK)[:2]) if a.BACKEND == "sqlite" else None,
        "ratio": spread([r["call_p50_us"] / r["bare_p50_us"] for r in rows]),
    } | {k: spread([r[k] for r in rows]) for k in rows[0]}


def _fanout(make, o, reps, n, nap, ideal):
    rows = []
    for _ in range(reps):
        s = make(o)
        s.client("bulk", n=n, task="sleep", arg=nap)
        s.start()
        try:
            s.wait(2 * n, 120)
            cpu, got = lib.cpu_seconds(s.pids()), s.records()
        finally:
            s.stop()
        wall = (max(r[1] for r in got) - min(r[1] for r in got)) / 1e9
        level = peak = 0
        for r in sorted(got, key=lambda r: r[1]):
            level += 1 if r[3] == probe.START else -1
            peak = max(peak, level)
        rows.append((wall, peak, cpu))
    return {
        "n": n,
        "wall_s": spread([r[0] for r in rows]),
        "over_ideal": spread([r[0] / ideal for r in rows]),
        "peak_concurrency": max(r[1] for r in rows),
        "worker_cpu_s": spread([r[2] for r in rows]),
    }


def fanout_io(make, a, o, reps):
    return _fanout(make, o, reps, 1000, 0.15, 3.0)


def io_real(make, a, o, reps):
    return _fanout(make, o, 1, 1000, 1.5, 30.0)


def latency(make, a, o, reps):
    s, n = make(o), o.get("n_latency", 500)
    s.start()
    try:
        s.warm()
        sent = s.client("latency", n=n, gap=0.02)["sent_ns"]
        s.wait(n + 1, 30)
        first = {}
        for r in s.records():
            first.setdefault(r[0], r[1])
        out = quantiles([(first[i] - t) / 1e6 for i, t in enumerate(sent)])
        if a.HAS_RESULTS and o.get("results"):
            out.update(s.client("roundtrip", n=100, first=10**6))
    finally:
        s.stop()
    return out


def memory(make, a, o, reps, n=50_000):
    s = make(o)
    base = int(s.redis.info()["used_memory"])
    s.client("bulk", n=1, task="noop", arg=ARG, first=12345)
    s.client("bulk", n=n - 1, task="noop", arg=ARG, first=12345)
    time.sleep(0.5)
    out = {"n": n, "push": pushed(o), "bytes_per_queued_task": (int(s.redis.info()["used_memory"]) - base) / n}
    m = o.get("n_results", 10_000)
    s = make(o)
    base = int(s.redis.info()["used_memory"])
    s.client("bulk", n=m, task="noop", arg=ARG, first=12345)
    s.start()
    try:
        s.wait(m, 120)
        time.sleep(1)
    finally:
        s.stop()
    out.update(results_n=m, bytes_per_finished_task=(int(s.redis.info()["used_memory"]) - base) / m)
    return out


def spent(usage):
    """Microseconds in commands, ours to ask for this left out."""
    return sum(usec for command, usec in usage["usec"].items() if command != "info")


def idle(make, a, o, reps):
    s, seconds = make(o), o.get("seconds", 20)
    t0, u0 = time.monotonic(), s.redis.usage()
    time.sleep(seconds / 2)
    alone = (s.redis.usage()["cpu_s"] - u0["cpu_s"]) / (time.monotonic() - t0)  # what the server spends on itself
    s.start()
    try:
        s.warm()
        time.sleep(2)
        pids = s.pids()
        c0, u0, t0 = lib.thread_seconds(pids), s.redis.usage(), time.monotonic()
        time.sleep(seconds)
        c1, u1, t1 = lib.thread_seconds(pids), s.redis.usage(), time.monotonic()
        rss, pss = lib.memory_mib(pids)
    finally:
        s.stop()
    on_redis = a.BACKEND == "redis"
    return {
        "seconds": seconds,
        "cpu_s": (c1 - c0) / seconds * 20,
        "processes": len(pids),
        "rss_mib": rss,
        "pss_mib": pss,
        "redis_commands_per_s": (u1["commands"] - u0["commands"] - 1) / (t1 - t0) if on_redis else None,
        "round_trips_per_s": (u1["reads"] - u0["reads"] - 1) / (t1 - t0) if on_redis else None,
        "redis_cpu_ms_per_s": ((u1["cpu_s"] - u0["cpu_s"]) / (t1 - t0) - alone) * 1e3 if on_redis else None,
        "redis_alone_ms_per_s": alone * 1e3 if on_redis else None,
        # By its own statistics of commands: no noise of its timers. What a script calls counts twice, so at the most.
        "redis_in_commands_ms_per_s": (spent(u1) - spent(u0)) / (t1 - t0) / 1e3 if on_redis else None,
    }


def startup(make, a, o, reps):
    rows = []
    for _ in range(reps):
        s = make(o)
        s.client("bulk", n=1, task="noop", arg=ARG)
        t = time.time_ns()
        s.start()
        try:
            s.wait(1, 60, 0.002)
            rows.append((s.records()[0][1] - t) / 1e9)
        finally:
            s.stop()
    imports = []
    for _ in range(reps + 1):
        if getattr(a, "NPM", None):
            argv = [
                "node",
                "-e",
                f"let t = performance.now(); require('{a.MODULE}'); console.log((performance.now() - t) / 1e3)",
            ]
        else:
            line = getattr(a, "IMPORT", f"import {a.MODULE}")
            argv = [
                str(s.bin / "python"),
                "-c",
                f"import time; t = time.perf_counter(); {line}; print(time.perf_counter() - t)",
            ]
        cwd = s.bin if getattr(a, "NPM", None) else s.dir
        imports.append(float(subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True).stdout))
    bare = []
    for _ in range(3):
        t = time.perf_counter()
        subprocess.run(
            ["node", "-e", "0"] if getattr(a, "NPM", None) else [str(s.bin / "python"), "-c", "0"], check=True
        )
        bare.append(time.perf_counter() - t)
    return {
        "exec_to_first_task_s": spread(rows),
        "import_s": spread(imports[1:]),
        "bare_interpreter_s": statistics.median(bare),
    }


def crash(make, a, o, reps, cap=120):
    """4 long tasks running, 40 short ones waiting; kill -9 everything; a new worker starts at once."""
    s = make(o)
    s.start()
    try:
        s.warm()
        s.client("enqueue", n=4, task="sleep", arg=3.0, first=0)
        s.client("enqueue", n=40, task="sleep", arg=0.05, first=100)
        end = time.monotonic() + 30
        while len({r[0] for r in s.records() if r[0] < 4 and r[3] == probe.START}) < 4:
            if time.monotonic() > end:
                raise TimeoutError("the four long tasks never ran together")
            time.sleep(0.02)
        time.sleep(1)
        killed = time.time_ns()
        s.stop()
        time.sleep(0.05)
        dead = s.records()
        before = {r[0] for r in dead if r[3] == probe.END and r[0] < 10**6}
        s.start()
        end, fresh = time.monotonic() + cap, time.monotonic() + 5
        want = set(range(4)) | set(range(100, 140))
        while time.monotonic() < end:
            if {r[0] for r in s.records() if r[3] == probe.END} >= want:
                break
            time.sleep(0.1)
            if o.get("trickle") and time.monotonic() > fresh:  # keep some traffic flowing
                s.client("enqueue", n=1, task="noop", arg="trickle", first=2 * 10**6)
                fresh = time.monotonic() + 5
        time.sleep(1)
        got = s.records()
    finally:
        s.stop()
    again = {}
    ends = {}
    for r in got:
        if r[1] > killed and r[3] == probe.START:
            again.setdefault(r[0], (r[1] - killed) / 1e9)
        if r[3] == probe.END:
            ends[r[0]] = ends.get(r[0], 0) + 1
    long_ = sorted(again[i] for i in range(4) if i in again)
    short = {i: again[i] for i in range(100, 140) if i in again}
    missing = [i for i in range(100, 140) if i not in ends]
    return {
        "cap_s": cap,
        "long_ended_before_kill": len(before & set(range(4))),
        "long_rerun": len(long_),
        "long_rerun_after_s": [round(x, 2) for x in long_],
        "long_rerun_worst_s": long_[-1] if len(long_) == 4 else None,
        "long_never_finished": len([i for i in range(4) if i not in ends]),
        "short_done_before_kill": len(before & set(range(100, 140))),
        "short_never_finished": len(missing),
        "short_first_s": round(min(short.values()), 1) if short else None,
        "short_last_s": round(max(short.values()), 1) if short else None,
        "short_delayed_over_10s": len([v for v in short.values() if v > 10]),
        "finished_twice": len([1 for i, k in ends.items() if k > 1 and i < 10**6]),
    }


def chord(make, a, o, reps, n=1000):
    rows = []
    for _ in range(reps):
        s = make(o)
        s.start()
        try:
            s.warm()
            reply = s.client("chord", n=n)
            end = time.monotonic() + 60
            while not (cb := [r for r in s.records() if r[3] == probe.CALLBACK]):
                if time.monotonic() > end:
                    raise TimeoutError("no callback after 60 s; log: " + s.log.read_text(errors="replace")[-300:])
                time.sleep(0.02)
            rows.append(((cb[0][1] - reply["t0_ns"]) / 1e9, reply["submit_s"], len(cb)))
        finally:
            s.stop()
    return {
        "n": n,
        "wall_s": spread([r[0] for r in rows]),
        "submit_s": spread([r[1] for r in rows]),
        "callbacks": max(r[2] for r in rows),
    }


WORKFLOWS = {
    "chain of 100": ("chain", 100, 1),
    "chord of 10,000": ("chord", 10_000, 1),
    "100 groups of 100": ("groups", 100, 100),
}


def workflows(make, a, o, reps):
    """A chain, a chord and a group of groups: from the call to the last task, and what Redis holds at the most and when
    all is over, above what it held before."""
    out = {}
    for name, (kind, n, each) in WORKFLOWS.items():
        rows = [_workflow(make(o), kind, n, each) for _ in range(reps)]
        out[name] = {
            "wall_s": spread([r[0] for r in rows]),
            "redis_peak_mib": spread([r[1] for r in rows]),
            "redis_after_mib": spread([r[2] for r in rows]),
        }
    return out


def _workflow(s, kind, n, each, timeout=180):
    s.start()
    try:
        s.warm()
        done_before = s.count()
        base = peak = int(s.redis.info()["used_memory"]) if "redis" in s.servers else 0
        child = s.client_start("workflow", kind=kind, n=n, each=each)
        end = time.monotonic() + timeout
        wanted = done_before + n * each + (kind == "chord")
        while s.count() < wanted:
            if time.monotonic() > end:
                raise TimeoutError(f"{kind}: {s.count()} of {wanted} after {timeout} s")
            peak = max(peak, int(s.redis.info()["used_memory"])) if "redis" in s.servers else 0
            time.sleep(0.05)
        reply = s.client_end(child, 60)
        last = max(r[1] for r in s.records())
        time.sleep(0.5)
        after = int(s.redis.info()["used_memory"]) if "redis" in s.servers else 0
    finally:
        s.stop()
    return (last - reply["t0_ns"]) / 1e9, (peak - base) / 2**20, (after - base) / 2**20


def mixed(make, a, o, reps):
    s, seconds = make(o), o.get("seconds", 20)
    s.start()
    try:
        s.warm(4)
        reply = s.client("flood", seconds=seconds)
        got = [r for r in s.records() if r[0] < 10**6]
    finally:
        s.stop()
    wall = (reply["t1_ns"] - reply["t0_ns"]) / 1e9
    done = len([r for r in got if reply["t0_ns"] <= r[1] <= reply["t1_ns"]])
    return {
        "seconds": wall,
        "sent_per_s": reply["sent"] / wall,
        "done_per_s": done / wall,
        "backlog": reply["sent"] - done,
    }


SCENARIOS = {
    f.__name__: f
    for f in (
        enqueue,
        noop,
        bare,
        redis_time,
        fanout_io,
        latency,
        memory,
        idle,
        startup,
        crash,
        chord,
        workflows,
        mixed,
        io_real,
    )
}
