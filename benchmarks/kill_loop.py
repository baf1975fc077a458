"""Kill workers and servers at random under load, then prove from the history that nothing was lost or done twice.

    python benchmarks/kill_loop.py [--store sqlite|redis] [--children 200] [--workers 20] [--servers 20] [--freezes 5]
                                   [--seed 1]

For each store: so many `kill -9` of single children, of whole workers (supervisor and children; a new one starts at
once) and, on Redis, of the server, whose append-only file is written before it answers (`appendfsync always`: with
`everysec` a busy disk has it confirm what it has not written). Then a second worker is frozen (SIGSTOP) for longer than
its lease, so often: others run its tasks, and when it goes on, what it settles must be refused as stale. Processes:
this one, a producer, a worker of two children with four threads each. `history.py` is the judge. Exit code 1 when a
rule is broken, fewer than 80 % of the kills met a started task, or no frozen worker's settlement was put to the test.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import history
import lib

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(sys.executable).parent
OPEN = 60
"""Unfinished tasks that the load is kept at."""
LEASE = 4
"""Seconds that the lease of a worker lasts that will be frozen."""
SHOWN = {
    "child": "kills of a child",
    "worker": "kills of a worker",
    "server": "kills of the server",
    "freeze": "freezes of a worker",
}


def now():
    return time.monotonic_ns() // 1000


class Tail:
    """The history file as it grows: all lines so far, and who runs what."""

    def __init__(self, path):
        self.path, self.place, self.lines = path, 0, []
        self.acknowledged, self.ended, self.pids = set(), set(), set()
        self.running = collections.defaultdict(dict)
        """By pid: what has started there and shown no effect yet, {(id, tok): line}."""

    def read(self):
        with open(self.path, "rb") as file:
            file.seek(self.place)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.place += len(whole)
        for text in whole.splitlines():
            self.note(json.loads(text))

    def note(self, line):
        self.lines.append(line)
        if line["act"] == "push" and line["event"] == "ok":
            self.acknowledged.add(line["id"])
        elif line["act"] == "start":
            self.pids.add(line["pid"])
            self.running[line["pid"]][line["id"], line["tok"]] = line
        elif line["act"] == "effect":
            self.running[line["pid"]].pop((line["id"], line["tok"]), None)
        elif line["act"] == "settle" and line["event"] == "ok" and line["kind"] in history.TERMINAL:
            self.ended.add(line["id"])


class AofServer:
    """A private Redis with an append-only file, on one port over all its lives."""

    def __init__(self, folder):
        self.folder, self.port, self.proc = folder, lib.free_port(), None
        self.start()

    def start(self):
        words = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "", "--appendonly", "yes",
                 "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--logfile", self.folder / "redis.log"]  # fmt: skip
        self.proc = subprocess.Popen([str(x) for x in words])

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def up(self, timeout=30):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                return lib.Redis(self.port)("PING")
            except (OSError, RuntimeError):
                time.sleep(0.02)
        raise TimeoutError("the Redis server did not come up again")


class Loop:
    """One store, one producer, one worker at a time."""

    def __init__(self, store, folder, seed):
        self.folder, self.rng, self.kills = folder, random.Random(seed), []
        self.server = AofServer(folder) if store == "redis" else None
        self.url = f"redis://127.0.0.1:{self.server.port}/0" if self.server else f"sqlite:///{folder}/queue.db"
        if self.server:
            self.server.up()
        self.tail = Tail(folder / "history")
        self.tail.path.touch()
        self.env = {
            **os.environ,
            "SMALLAGE_HISTORY": str(self.tail.path),
            "KILL_LOOP_STORE": self.url,
            "KILL_LOOP_SEED": str(seed),
        }
        self.env["PYTHONPATH"] = str(HERE)
        self.log = open(folder / "log", "ab")
        self.asked = 0
        self.victim = None
        """The worker that is frozen."""
        self.blocked = 0
        """Freezes in the middle of a write to the SQLite file."""
        self.worker = self.start_worker()
        self.producer = subprocess.Popen([BIN / "python", HERE / "kill_app.py"], env=self.env, stdin=subprocess.PIPE, stdout=self.log,
                                         stderr=self.log, text=True)  # fmt: skip

    def start_worker(self, *options):
        words = [BIN / "smallage", "worker", "-A", "kill_app:app", "-P", "threads", "-c", 4, "--processes", 2, "-l", "warning", *options]  # fmt: skip
        return subprocess.Popen(
            [str(x) for x in words],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def feed(self):
        """Keep the load up."""
        self.tail.read()
        missing = OPEN - (self.asked - len(self.tail.ended))
        if missing > 10:
            self.asked += missing
            self.producer.stdin.write(f"{missing}\n")
            self.producer.stdin.flush()

    def run_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.feed()
            time.sleep(0.02)

    def until(self, met, what, timeout):
        """What `met` returns, as soon as it is something."""
        end = time.monotonic() + timeout
        while not (found := met()):
            if time.monotonic() > end:
                raise TimeoutError(
                    f"{what}: not within {timeout} s; the log ends: {(self.folder / 'log').read_text()[-800:]}"
                )
            if self.worker.poll() is not None:
                raise RuntimeError(f"the worker ended: {(self.folder / 'log').read_text()[-800:]}")
            self.feed()
            time.sleep(0.02)
        return found

    def children(self, worker=None):
        """Living children that have run something."""
        return [p for p in lib.tree((worker or self.worker).pid)[1:] if p in self.tail.pids]

    def running(self, pids):
        """What runs in these processes: {(id, token)}."""
        return {run for pid in pids for run in self.tail.running[pid]}

    def shoot(self, kind):
        """One kill at a random instant; remembers what it met."""
        self.run_for(self.rng.uniform(0.05, 0.6))
        living = self.until(self.children, "a child that works", 60)
        if kind == "child":
            pids = [self.rng.choice(living)]
            os.kill(pids[0], signal.SIGKILL)
        elif kind == "worker":
            pids = lib.kill_tree([self.worker])
        else:
            pids = []
            self.server.kill()
        self.met(kind, pids)
        if kind == "worker":
            self.worker = self.start_worker()
        elif kind == "server":
            self.server.start()
        if kind != "child":
            self.until(
                lambda: claimed_since(self.tail.lines, self.kills[-1]), f"claims after the death of a {kind}", 60
            )

    def met(self, kind, pids):
        self.kills.append({"kind": kind, "pids": pids, "t": now(), "wall": time.time_ns() // 1000})

    def freeze(self):
        """A worker stands still until its lease is over and its tasks run elsewhere; then it goes on and ends."""
        self.victim = self.start_worker("--lease", LEASE)
        self.until(lambda: len(self.children(self.victim)) == 2, "a second worker that works", 60)
        self.run_for(self.rng.uniform(0.05, 0.6))
        pids = lib.tree(self.victim.pid)
        self.until(lambda: self.running(pids), "a task of the second worker", 60)
        send(pids, signal.SIGSTOP)
        self.met("freeze", pids)
        self.tail.read()
        held = self.running(pids)
        again = f"one of {len(held)} tasks of the frozen worker elsewhere"
        try:
            self.until(lambda: not held or self.elsewhere(held, pids), again, 4 * LEASE)
        except TimeoutError:
            if self.server:
                raise
            self.blocked += 1  # it stands in the middle of a write to the file, and all others wait for it
        self.run_for(0.5)
        send(pids, signal.SIGCONT)
        if held:
            self.until(lambda: held & settled_by(self.tail.lines, pids), "what the thawed worker settles", 60)
        self.victim.send_signal(signal.SIGTERM)
        self.until(lambda: self.victim.poll() is not None, "the end of the thawed worker", 60)

    def elsewhere(self, held, pids):
        """Whether one of these tasks has been started by others under a newer token."""
        tokens = dict(held)
        return any(
            x["act"] == "start" and x["pid"] not in pids and x["tok"] > tokens.get(x["id"], x["tok"])
            for x in self.tail.lines
        )

    def finish(self, timeout=90):
        """Let everything end, then end the worker in peace."""
        self.producer.stdin.close()
        self.producer.wait(timeout)
        dump = self.store()
        try:
            self.asked = 10**9  # nothing more is fed
            self.until(lambda: not open_tasks(dump.counts()), "the end of all work", timeout)
        finally:
            dump.close()
        self.worker.send_signal(signal.SIGTERM)
        self.worker.wait(60)
        self.tail.read()

    def store(self):
        from smallage.stores import base

        store = base.open(self.url)
        store.setup()
        return store

    def states(self):
        """{id: state} of the whole store."""
        from typing import get_args

        from smallage.core.states import State

        store, found = self.store(), {}
        try:
            for state in get_args(State):
                after = None
                while views := store.find(state, 100, after):
                    found.update({v.id: v.state for v in views})
                    after = views[-1].id
            ids = sorted({x["id"] for x in self.tail.lines if x["act"] == "push"})
            for i in range(0, len(ids), 500):
                found.update({v.id: v.state for v in store.state(ids[i : i + 500]) if v is not None})
            return found, store.audit()
        finally:
            store.close()

    def close(self):
        """End everything that still lives."""
        lib.kill_tree([p for p in (self.worker, self.producer, self.victim) if p is not None and p.poll() is None])
        if self.server:
            self.server.kill()
        self.log.close()


def send(pids, number):
    """A signal to each process that still is."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def settled_by(lines, pids):
    """What these processes have got an answer for: {(id, token)}."""
    return {(x["id"], x["tok"]) for x in lines if x["act"] == "settle" and x["event"] == "ok" and x["pid"] in pids}


def open_tasks(counts):
    return sum(n for queue, states in counts.items() if queue for n in states.values())


def claimed_since(lines, kill):
    """When the first claim after a kill was made, or None. Tokens are the store's clock, so no older reply is meant."""
    found = None
    for x in reversed(lines):
        if x["t"] < kill["t"]:
            break
        if x["act"] == "claim" and x["tok"] > kill["wall"]:
            found = x["t"]
    return found


def hits(lines, kills):
    """What was running at each kill: {index of the kill: [ids]}; for a server's death, what ran anywhere."""
    ended = {(x["id"], x["tok"]): x["t"] for x in lines if x["act"] == "effect"}
    met = collections.defaultdict(list)
    for x in lines:
        if x["act"] != "start":
            continue
        for i, kill in enumerate(kills):
            mine = x["pid"] in kill["pids"] or not kill["pids"]
            if mine and x["t"] <= kill["t"] < ended.get((x["id"], x["tok"]), kill["t"] + 1):
                met[i].append(x)
    return met


def recoveries(lines, kills, met):
    """Seconds from each death to the next start of what it interrupted, for servers to the next claim."""
    starts = collections.defaultdict(list)
    for x in lines:
        if x["act"] == "start":
            starts[x["id"]].append(x["t"])
    spans, hit = collections.defaultdict(list), collections.Counter()
    for i, kill in enumerate(kills):
        if kill["kind"] == "server":
            again = claimed_since(lines, kill)
            spans["death of a server: until tasks are claimed again"] += (
                [] if again is None else [(again - kill["t"]) / 1e6]
            )
            continue
        for x in met[i]:
            again = min((t for t in starts[x["id"]] if t > kill["t"]), default=None)
            hit[x["id"]] += 1
            what = "until its tasks run again" if hit[x["id"]] == 1 else "tasks hit before (they back off)"
            how = f"freeze of a worker (lease {LEASE} s)" if kill["kind"] == "freeze" else f"death of a {kill['kind']}"
            spans[f"{how}: {what}"] += [] if again is None else [(again - kill["t"]) / 1e6]
    return spans


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def trial(store, counts, seed, keep):
    """All kills on one store; returns whether every rule held."""
    with (
        contextlib.nullcontext(tempfile.mkdtemp(prefix=f"kill-loop-{store}-"))
        if keep
        else tempfile.TemporaryDirectory() as name
    ):
        if keep:
            print(f"{store}: history and log stay in {name}", flush=True)
        if store == "sqlite":
            lib.refuse_memory_disk(name)
        loop, begin = Loop(store, pathlib.Path(name), seed), time.monotonic()
        try:
            loop.until(loop.children, "the first start", 60)
            for kind, n in counts.items():
                for _ in range(n if kind != "server" or loop.server else 0):
                    loop.freeze() if kind == "freeze" else loop.shoot(kind)
            loop.finish()
            states, audit = loop.states()
        finally:
            loop.close()
        return report(store, loop, states, audit, time.monotonic() - begin)


def report(store, loop, states, audit, took):
    """Print the figures; True when all is well."""
    lines = [x for x in loop.tail.lines if x["act"] != "effect"]
    found = history.check(lines, states)
    met = hits(loop.tail.lines, loop.kills)
    spans = recoveries(loop.tail.lines, loop.kills, met)
    kinds = collections.Counter(k["kind"] for k in loop.kills)
    share = len(met) / len(loop.kills) if loop.kills else 1
    print(
        f"\n{store}: {', '.join(f'{n} {SHOWN[kind]}' for kind, n in kinds.items())} in {took:.0f} s; {share:.0%} met a started task"
    )
    print(
        f"  pushed {found.pushed} (unsure {found.unsure}): done {found.done}, dead {found.dead}, pending {found.pending}, lost {found.lost}"
    )
    print(
        f"  starts {found.starts}, of which repeated {found.started_again}; settled {found.settled}, stale refused {found.stale}, stale accepted {found.stale_accepted}"
    )
    if loop.blocked:
        print(
            f"  {loop.blocked} of the workers froze while they wrote to the file: nobody could write until they went on"
        )
    for what, values in sorted(spans.items()):
        print(
            f"  {what}: p50 {quantile(values, 0.5):.2f} s, p99 {quantile(values, 0.99):.2f} s, worst {max(values):.2f} s ({len(values)})"
        )
    for breach in found.breaches[:20]:
        print(f"  BROKEN {breach}")
        for event in breach.events[:12]:
            print(f"      {json.dumps(dict(event))}")
    for sentence in audit[:20]:
        print(f"  AUDIT {sentence}")
    if share < 0.8:
        print("  TOO FEW kills met a started task: the load was too low to prove anything")
    tested = found.stale > 0 or not kinds["freeze"]
    if not tested:
        print("  NO settlement came too late: nothing is proven about frozen workers")
    return not found.breaches and not audit and share >= 0.8 and tested


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--store", choices=("sqlite", "redis"), action="append", help="default: both")
    p.add_argument("--children", type=int, default=200, help="kills of single children")
    p.add_argument("--workers", type=int, default=20, help="kills of whole workers")
    p.add_argument("--servers", type=int, default=20, help="kills of the Redis server")
    p.add_argument("--freezes", type=int, default=5, help="workers that stand still for longer than their lease")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--keep", action="store_true", help="leave the history, the log and the store behind")
    args = p.parse_args()
    seed = random.randrange(10**6) if args.seed is None else args.seed
    print(f"seed {seed}", flush=True)
    counts = {"child": args.children, "worker": args.workers, "server": args.servers, "freeze": args.freezes}
    good = [trial(store, counts, seed, args.keep) for store in args.store or ("sqlite", "redis")]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
