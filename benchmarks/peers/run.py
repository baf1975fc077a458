"""Benchmark background task queues side by side. Example:

    python benchmarks/peers/run.py --systems celery,rq --scenarios noop,enqueue --json out.json

Needs Linux, redis-server on the PATH (PostgreSQL's binaries for procrastinate, node for BullMQ). Each system is
installed into its own environment under $BENCH_CACHE; Smallage is the one beside this interpreter.
"""

import argparse
import importlib
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

import lib
import limits
from lib import Session
from scenarios import SCENARIOS

ALIASES = {"celery": "celery_redis", "dramatiq": "dramatiq_redis", "taskiq": "taskiq_redis", "huey": "huey_redis"}
SYSTEMS = [
    "smallage_redis",
    "smallage_sqlite",
    "celery_redis",
    "rq",
    "dramatiq_redis",
    "huey_redis",
    "huey_sqlite",
    "arq",
    "taskiq_redis",
    "procrastinate",
    "bullmq",
]
SLOW = ("crash", "io_real")


class Bench:
    """A private Redis, a work folder, and the rows measured so far, merged into a JSON file after each one."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.out = json.loads(self.path.read_text()) if self.path.exists() else {"systems": {}}
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
        self.servers = {"redis": lib.RedisServer(self.work)}
        os.environ["BENCH_REDIS_PORT"] = str(self.servers["redis"].port)
        self.live = []
        kind, device, _ = lib.disk(self.work)
        self.out["machine"] = {
            "cpus": os.cpu_count(),
            "cpu": cpu_name(),
            "kernel": os.uname().release,
            "python": sys.version.split()[0],
            "redis": self.servers["redis"].client.info()["redis_version"],
            "disk": f"{kind} on {device}",
        }

    def save(self):
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.out, indent=1))
        part.replace(self.path)

    def row(self, name, scenario, label, o, reps):
        """Measure one row and keep it, or the error that ended it."""
        adapter = importlib.import_module("adapters." + name)
        t = time.monotonic()

        def make(o):
            self.live.append(Session(adapter, o, self.servers, self.work))
            return self.live[-1]

        try:
            res = SCENARIOS[scenario](make, adapter, o, reps)
        except Exception as e:
            res = {"error": f"{type(e).__name__}: {e}"[:600]}
            if os.environ.get("BENCH_DEBUG"):
                traceback.print_exc()
        finally:
            self.end_sessions()
        self.out["systems"].setdefault(name, {}).setdefault(scenario, {})[label] = {"settings": o, **res}
        self.save()
        return res, time.monotonic() - t

    def end_sessions(self):
        for s in self.live:
            s.stop()
        self.live.clear()

    def close(self):
        self.end_sessions()
        for server in self.servers.values():
            if hasattr(server, "stop"):
                server.stop()
        shutil.rmtree(self.work, ignore_errors=True)


def cpu_name():
    names = [x.split(":", 1)[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")]
    return names[0] if names else os.uname().machine


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--systems", default=",".join(SYSTEMS))
    p.add_argument("--scenarios", default=",".join(k for k in SCENARIOS if k not in SLOW) + ",limit")
    p.add_argument("--match", default="", help="only configurations whose label contains this")
    p.add_argument("--json", default="bench.json", help="merged into when it exists")
    p.add_argument("--reps", type=int, default=3)
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(args.json)
    try:
        scenarios = args.scenarios.split(",")
        if "limit" in scenarios:
            bench.out["limit"] = limits.measure(bench.servers["redis"], args.reps)
            bench.save()
        for name in (ALIASES.get(x, x) for x in args.systems.split(",")):
            adapter = importlib.import_module("adapters." + name)
            bench.out["systems"].setdefault(name, {})["versions"] = lib.versions(adapter)
            for scenario in scenarios:
                for label, o in adapter.CONFIGS.get(scenario, {}).items():
                    if args.match in label:
                        res, took = bench.row(name, scenario, label, o, args.reps)
                        print(f"{name} | {scenario} | {label} | {took:.0f} s | {json.dumps(res)}", flush=True)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
