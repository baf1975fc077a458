"""BullMQ (Node.js), for comparison. The worker and producer are in bullmq_side.cjs."""

import pathlib

ENV, MODULE, BACKEND = "bullmq", "bullmq", "redis"
NPM, SCRIPT = ["bullmq", "ioredis"], "bullmq_side.cjs"
HAS_RESULTS = HAS_CHORD = True
N = {"noop": 60000, "enqueue": 20000}
CONFIGS = {
    "enqueue": {"one at a time / addBulk 1000": dict(results=0)},
    "noop": {
        "1 process, concurrency 50": dict(c=50, results=0),
        "1 process, concurrency 50, results": dict(c=50, results=1),
        "2 processes, concurrency 50": dict(c=50, results=0, procs=2),
        "2 processes, concurrency 50, results": dict(c=50, results=1, procs=2),
    },
    "redis_time": {"1 process, concurrency 50, results": dict(c=50, results=1, n=20000)},
    "fanout_io": {"concurrency 50": dict(c=50, results=0)},
    "latency": {"concurrency 50": dict(c=50, results=1)},
    "memory": {"JSON, results": dict(c=50, results=1)},
    "idle": {"concurrency 50": dict(c=50, results=0)},
    "startup": {"concurrency 50": dict(c=50, results=0)},
    "crash": {
        "stalledInterval 30 s (default)": dict(c=4, results=0),
        "stalledInterval 5 s, lock 5 s": dict(c=4, results=0, stalled=5000),
    },
    "chord": {"flow, concurrency 50": dict(c=50, results=1)},
    "mixed": {"2 processes, concurrency 50": dict(c=50, results=0, procs=2)},
}


def workers(o, bin_):
    return [["node", pathlib.Path(__file__).with_name(SCRIPT), "worker", "{}"] for _ in range(o.get("procs", 1))]
