"""Smallage on Redis: what is installed beside the interpreter that runs the harness."""

import probe

ENV, MODULE, BACKEND = "this", "smallage", "redis"
IMPORT = "from smallage import Smallage"
PIP, ALSO = ["smallage"], ("hiredis", "apsw", "msgspec")
HAS_RESULTS = HAS_CHORD = True
N = {"noop": 60000, "enqueue": 10000}
_T = dict(pool="threads", c=8)
CONFIGS = {
    "enqueue": {
        "independent tasks": dict(results=1, n_bulk=50_000),
        "one group": dict(results=1, group=1, n_bulk=100_000),
    },
    "noop": {
        "1 process x 8 threads": dict(_T, results=0),
        "1 process x 8 threads, results": dict(_T, results=1),
        "1 process x 8 threads, results, one group": dict(_T, results=1, group=1),
        "2 processes x 8 threads, results": dict(_T, results=1, procs=2),
        "solo, results": dict(pool="solo", c=1, results=1),
        "asyncio -c50, results": dict(pool="asyncio", c=50, results=1),
        "asyncio -c50, coroutines, results": dict(pool="asyncio", c=50, results=1, aio=1),
        "processes -c2, results": dict(pool="processes", c=2, results=1),
    },
    "redis_time": {"1 process x 32 threads, results": dict(pool="threads", c=32, results=1)},
    "bare": {"single calls": dict(results=1)},
    "fanout_io": {
        "threads -c50": dict(pool="threads", c=50, results=0),
        "asyncio -c50": dict(pool="asyncio", c=50, results=0, aio=1),
    },
    "io_real": {"threads -c50": dict(pool="threads", c=50, results=0)},
    "latency": {"1 process x 8 threads": dict(_T, results=1)},
    "memory": {"independent tasks": dict(_T, results=1), "one group": dict(_T, results=1, group=1)},
    "idle": {"1 process x 8 threads": dict(_T, results=0)},
    "startup": {"1 process x 8 threads": dict(_T, results=0)},
    "crash": {"defaults": dict(pool="threads", c=4, results=0)},
    "chord": {"1 process x 8 threads": dict(_T, results=1)},
    "workflows": {"1 process x 8 threads": dict(_T, results=1)},
    "mixed": {"2 processes x 8 threads": dict(_T, results=0, procs=2)},
}


def workers(o, bin_, module="adapters.smallage_redis"):
    return [
        [
            bin_ / "smallage",
            "worker",
            "-A",
            f"{module}:app",
            "-l",
            "warning",
            "-P",
            o["pool"],
            "-c",
            o["c"],
            "--processes",
            o.get("procs", 1),
        ]
    ]


def build(url):
    from smallage import Smallage, chain, chord, group

    o = probe.opts()
    app = Smallage("bench", broker=url)
    ignore = not o.get("results")
    noop = app.task(name="noop", ignore_result=ignore)(probe.anoop if o.get("aio") else probe.noop)
    sleep = app.task(name="sleep", ignore_result=ignore)(probe.asleep if o.get("aio") else probe.sleep)

    @app.task(name="callback", ignore_result=True)
    def callback(_results):
        probe.callback()

    tasks = {"noop": noop, "sleep": sleep}

    class Client:
        def enqueue(self, task, a, b):
            return tasks[task].delay(a, b)

        BULK_STEP = 10**9 if o.get("group") else 1000  # a group is one call, however large

        def enqueue_many(self, task, pairs):
            if not o.get("group"):
                return tasks[task].delay_many(pairs)
            group = tasks[task].fan_out(pairs).id
            return [app.AsyncResult(f"{group}.{i}") for i in range(max(0, len(pairs) - 64), len(pairs))]

        def result(self, handle, timeout):
            return handle.get(timeout=timeout)

        def key(self, handle):
            return handle.id

        def outcome(self, key):
            r = app.AsyncResult(key)
            return r.state == "SUCCESS", r.result

        def chord(self, pairs):
            return noop.fan_out(pairs, then=callback.s())

        def workflow(self, kind, n, each):
            if kind == "chain":
                return chain(noop.si(i, "x") for i in range(n)).apply_async()
            if kind == "chord":
                return chord((noop.s(i, "x") for i in range(n)), callback.s()).apply_async()
            return group(group(noop.s(i * each + j, "x") for j in range(each)) for i in range(n)).apply_async()

    return app, Client


if probe.IN_VENV and probe.opts().get("store") != "sqlite":
    app, Client = build(probe.redis_url())
