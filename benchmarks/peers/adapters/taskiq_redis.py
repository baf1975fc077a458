"""taskiq-redis: the stream broker (acknowledged) and the list broker."""

import probe

ENV, MODULE, BACKEND = "taskiq_redis", "taskiq", "redis"
PIP = ["taskiq", "taskiq-redis", "hiredis", "uvloop"]
HAS_RESULTS, HAS_CHORD = True, False
N = {"noop": 6000, "enqueue": 4000}
_S, _L = dict(broker="stream", results=0), dict(broker="list", results=0)
CONFIGS = {
    "enqueue": {"stream": _S, "list": _L},
    "noop": {
        "stream, 1 worker": dict(_S, w=1),
        "stream, 1 worker, results": dict(_S, w=1, results=1),
        "stream, 2 workers": dict(_S, w=2),
        "stream, 2 workers, results": dict(_S, w=2, results=1),
        "list, 1 worker": dict(_L, w=1),
        "list, 2 workers": dict(_L, w=2),
    },
    "fanout_io": {"stream, 1 worker, 50 async": dict(_S, w=1), "list, 1 worker, 50 async": dict(_L, w=1)},
    "latency": {"stream, 2 workers": dict(_S, w=2, results=1), "list, 2 workers": dict(_L, w=2, results=1)},
    "memory": {"stream, results": dict(_S, w=2, results=1), "list, results": dict(_L, w=2, results=1)},
    "idle": {"stream, 1 worker": dict(_S, w=1), "stream, 2 workers": dict(_S, w=2)},
    "startup": {"stream, 2 workers": dict(_S, w=2)},
    "crash": {
        "stream, idle_timeout 600 s (default)": dict(_S, w=1, c=4),
        "stream, idle_timeout 10 s, lock timeout 5 s": dict(_S, w=1, c=4, idle=10000),
        "stream, idle_timeout 10 s, lock timeout 5 s, + a task each 5 s": dict(_S, w=1, c=4, idle=10000, trickle=1),
        "list": dict(_L, w=1, c=4),
    },
    "mixed": {"stream, 2 workers": dict(_S, w=2), "list, 2 workers": dict(_L, w=2)},
}


def workers(o, bin_):
    return [
        [
            bin_ / "taskiq",
            "worker",
            "adapters.taskiq_redis:broker",
            "--workers",
            o["w"],
            "--max-async-tasks",
            o.get("c", 50),
            "--log-level",
            "WARNING",
        ]
    ]


if probe.IN_VENV:
    import asyncio

    from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

    _o = probe.opts()
    if _o.get("broker") == "list":
        broker = ListQueueBroker(url=probe.redis_url())
    else:
        _kw = dict(idle_timeout=_o["idle"], unacknowledged_lock_timeout=5) if "idle" in _o else {}
        broker = RedisStreamBroker(url=probe.redis_url(), **_kw)
    if _o.get("results"):
        broker = broker.with_result_backend(RedisAsyncResultBackend(redis_url=probe.redis_url(1), result_ex_time=3600))

    @broker.task(task_name="noop")
    async def noop(a: int, b: str) -> int:
        return probe.noop(a, b)

    @broker.task(task_name="sleep")
    async def sleep(a: int, b: float) -> int:
        return await probe.asleep(a, b)

    class Client:
        f = {"noop": noop, "sleep": sleep}

        async def open(self):
            await broker.startup()

        async def enqueue(self, task, a, b):
            return await self.f[task].kiq(a, b)

        async def enqueue_many(self, task, pairs):
            handles = []
            for i in range(0, len(pairs), 100):
                handles = await asyncio.gather(*(self.f[task].kiq(*p) for p in pairs[i : i + 100]))
            return handles

        async def result(self, handle, timeout):
            return (await handle.wait_result(check_interval=0.005, timeout=timeout)).return_value

        def key(self, handle):
            return handle.task_id

        async def outcome(self, key):
            if not await broker.result_backend.is_result_ready(key):
                return False, None
            result = await broker.result_backend.get_result(key)
            return not result.is_err, result.return_value

        async def close(self):
            await broker.shutdown()
