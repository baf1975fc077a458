"""Huey on Redis (thread workers)."""

import probe

ENV, MODULE, BACKEND = "huey", "huey", "redis"
PIP = ["huey", "redis", "hiredis"]
HAS_RESULTS = HAS_CHORD = True
N = {"noop": 30000, "enqueue": 10000}
CONFIGS = {
    "enqueue": {"results on": dict(results=1)},
    "noop": {
        "1 process x 8 threads": dict(w=8, results=0),
        "1 process x 8 threads, results": dict(w=8, results=1),
        "2 processes x 8 threads": dict(w=8, results=0, procs=2),
        "2 processes x 8 threads, results": dict(w=8, results=1, procs=2),
        "2 processes x 1 thread": dict(w=1, results=0, procs=2),
    },
    "fanout_io": {"1 process x 50 threads": dict(w=50, results=0)},
    "latency": {"8 threads, notify_result": dict(w=8, results=1, notify=1)},
    "memory": {"pickle, results": dict(w=8, results=1)},
    "idle": {"1 process x 8 threads": dict(w=8, results=0)},
    "startup": {"1 process x 8 threads": dict(w=8, results=0)},
    "crash": {"4 threads (no at-least-once mode exists)": dict(w=4, results=0)},
    "chord": {"1 process x 8 threads": dict(w=8, results=1)},
    "mixed": {"2 processes x 8 threads": dict(w=8, results=0, procs=2)},
}


def workers(o, bin_):
    return [
        [bin_ / "huey_consumer", "adapters.huey_redis.huey", "-q", "-w", o["w"], "-k", o.get("kind", "thread")]
        for _ in range(o.get("procs", 1))
    ]


def make_client(noop, sleep, callback, huey):
    from huey.api import chord

    class Client:
        f = {"noop": noop, "sleep": sleep}

        def enqueue(self, task, a, b):
            return self.f[task](a, b)

        def result(self, handle, timeout):
            return handle.get(blocking=True, timeout=timeout)

        def key(self, handle):
            return handle.id

        def outcome(self, key):
            value = huey.result(key, preserve=True)
            return value is not None, value

        def chord(self, pairs):
            return huey.enqueue(chord([noop.s(*p) for p in pairs], callback.s()))

    return Client


if probe.IN_VENV and probe.opts().get("store") != "sqlite":
    from huey import RedisHuey

    _o = probe.opts()
    huey = RedisHuey(
        "bench", results=bool(_o.get("results")), url=probe.redis_url(), notify_result=bool(_o.get("notify"))
    )
    noop, sleep = huey.task()(probe.noop), huey.task()(probe.sleep)

    @huey.task()
    def callback(_results):
        probe.callback()

    Client = make_client(noop, sleep, callback, huey)
