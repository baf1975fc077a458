"""How fast Smallage is here: every scenario of `peers/` once, for Smallage alone, against its targets.

    python benchmarks/bench.py [--store redis|sqlite] [--scenarios noop,latency] [--json out.json]

Uses the `smallage` beside this interpreter. Needs redis-server on the PATH and
takes under three minutes. Anything else that runs on this machine shows in the figures.
"""

import argparse
import importlib
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import run
import targets

SHORT = {"latency": {"n_latency": 200}, "idle": {"seconds": 8}, "mixed": {"seconds": 6}}
"""What the comparison with others measures longer."""
LEFT_OUT = {"noop": ("solo, results", "processes -c2, results", "asyncio -c50, results", "1 process x 8 threads")}
"""Rows that no target asks for."""
SCENARIOS = (
    "noop",
    "enqueue",
    "bare",
    "redis_time",
    "latency",
    "fanout_io",
    "chord",
    "mixed",
    "memory",
    "startup",
    "crash",
    "idle",
)


def rows(store, scenarios):
    """(scenario, label, settings) of what is to be measured."""
    adapter = importlib.import_module("adapters.smallage_" + store)
    for scenario in scenarios:
        for label, settings in adapter.CONFIGS.get(scenario, {}).items():
            if label not in LEFT_OUT.get(scenario, ()) and not settings.get("aio"):
                yield scenario, label, {**settings, **SHORT.get(scenario, {})}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--store", choices=("redis", "sqlite"), action="append", help="default: both")
    p.add_argument("--scenarios", default=",".join(SCENARIOS))
    p.add_argument("--reps", type=int, default=1)
    p.add_argument("--json", help="also keep the figures here")
    args = p.parse_args()
    if not shutil.which("redis-server"):
        sys.exit("redis-server is not on the PATH: install it (apt install redis-server)")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = run.Bench(args.json or pathlib.Path(folder, "bench.json"))
        try:
            for store in args.store or ("redis", "sqlite"):
                for scenario, label, settings in rows(store, args.scenarios.split(",")):
                    figures, took = bench.row("smallage_" + store, scenario, label, settings, args.reps)
                    print(f"{store:7}{scenario:12}{label:45}{took:5.0f} s  {figures.get('error', '')}", flush=True)
        finally:
            bench.close()
        print_table(bench.out, args.store)


def print_table(data, stores):
    """Every figure that has a target, with the target."""
    machine = data["machine"]
    print(
        f"\n{machine['cpus']} cores, {machine['cpu']}, Redis {machine['redis']}, Python {machine['python']}, {machine['disk']}\n"
    )
    noise = [
        r["other_processes_cpu"]["median"]
        for s in data["systems"].values()
        for r in s.get("noop", {}).values()
        if "error" not in r
    ]
    if noise and max(noise) > 0.2:
        print(f"Other programs used {max(noise):.1f} cores meanwhile: these figures are worse than the truth.\n")
    lines = [[text, ours, target, met.strip("*")] for text, ours, _, target, met in targets.lines(data) if ours != "–"]
    width = max((len(x[0]) for x in lines), default=0)
    for text, ours, target, met in lines:
        print(f"{text:{width}}  {ours:>12}  {target:>12}  {met}")


if __name__ == "__main__":
    main()
