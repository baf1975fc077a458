"""Dramatiq on Redis."""

import probe

ENV, MODULE, BACKEND = "dramatiq_redis", "dramatiq", "redis"
PIP = ["dramatiq[redis]", "hiredis"]
HAS_RESULTS = HAS_CHORD = True
N = {"noop": 20000, "enqueue": 8000}
CONFIGS = {
    "enqueue": {"no results": dict(results=0)},
    "noop": {
        "1 process x 8 threads": dict(p=1, t=8, results=0),
        "1 process x 8 threads, results": dict(p=1, t=8, results=1),
        "2 processes x 8 threads": dict(p=2, t=8, results=0),
        "2 processes x 8 threads, results": dict(p=2, t=8, results=1),
        "1 process x 8 threads, prefetch 200": dict(p=1, t=8, results=0, prefetch=200),
        "2 processes x 8 threads, prefetch 200": dict(p=2, t=8, results=0, prefetch=200),
        "2 processes x 1 thread": dict(p=2, t=1, results=0, n=4000),
    },
    "fanout_io": {
        "1 process x 50 threads": dict(p=1, t=50, results=0),
        "2 processes x 25 threads": dict(p=2, t=25, results=0),
    },
    "latency": {"2 processes x 8 threads": dict(p=2, t=8, results=1)},
    "memory": {"JSON, results": dict(p=2, t=8, results=1)},
    "idle": {"1 process x 8 threads": dict(p=1, t=8, results=0), "2 processes x 8 threads": dict(p=2, t=8, results=0)},
    "startup": {"2 processes x 8 threads": dict(p=2, t=8, results=0)},
    "crash": {
        "heartbeat_timeout 60 s (default)": dict(p=2, t=2, results=0),
        "heartbeat_timeout 60 s (default), + a task each 5 s": dict(p=2, t=2, results=0, trickle=1),
        "heartbeat_timeout 5 s, maintenance_chance 1%": dict(p=2, t=2, results=0, heartbeat=5000, chance=10_000),
        "heartbeat_timeout 5 s, maintenance_chance 10%": dict(p=2, t=2, results=0, heartbeat=5000, chance=100_000),
    },
    "chord": {"group callback, 2 x 8": dict(p=2, t=8, results=0, group=1)},
    "mixed": {"2 processes x 8 threads": dict(p=2, t=8, results=0)},
}


def workers(o, bin_):
    return [[bin_ / "dramatiq", "adapters.dramatiq_redis", "-p", o["p"], "-t", o["t"]]]


def environ(o):
    return {"dramatiq_queue_prefetch": str(o["prefetch"])} if "prefetch" in o else {}


if probe.IN_VENV:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.middleware import GroupCallbacks
    from dramatiq.rate_limits.backends import RedisBackend as LimiterBackend
    from dramatiq.results import ResultMissing, Results
    from dramatiq.results.backends import RedisBackend

    _o = probe.opts()
    _kw = {}
    if "heartbeat" in _o:
        _kw = dict(heartbeat_timeout=_o["heartbeat"], maintenance_chance=_o["chance"])
    broker = RedisBroker(url=probe.redis_url(), **_kw)
    if _o.get("results"):
        broker.add_middleware(Results(backend=RedisBackend(url=probe.redis_url()), store_results=True))
    if _o.get("group"):
        broker.add_middleware(GroupCallbacks(LimiterBackend(url=probe.redis_url())))
    dramatiq.set_broker(broker)
    noop = dramatiq.actor(probe.noop)
    sleep = dramatiq.actor(probe.sleep)
    callback = dramatiq.actor(probe.callback)

    class Client:
        def open(self):
            self.f = {"noop": noop, "sleep": sleep}

        def enqueue(self, task, a, b):
            return self.f[task].send(a, b)

        def enqueue_many(self, task, pairs):
            return dramatiq.group([self.f[task].message(*p) for p in pairs]).run().children

        def result(self, message, timeout):
            return message.get_result(block=True, timeout=timeout * 1000)

        def key(self, message):
            return message.encode().decode()

        def outcome(self, key):
            try:
                return True, dramatiq.Message.decode(key.encode()).get_result(block=False)
            except ResultMissing:
                return False, None

        def chord(self, pairs):
            g = dramatiq.group([noop.message(*p) for p in pairs])
            g.add_completion_callback(callback.message())
            return g.run()
