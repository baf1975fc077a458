"""arq (asyncio, Redis)."""

import probe

ENV, MODULE, BACKEND = "arq", "arq", "redis"
PIP = ["arq", "hiredis"]
HAS_RESULTS, HAS_CHORD = True, False
N = {"noop": 4000, "enqueue": 4000}
CONFIGS = {
    "enqueue": {"one at a time / gather 100": dict(results=1)},
    "noop": {
        "1 process, max_jobs 50": dict(c=50, results=0),
        "1 process, max_jobs 50, results": dict(c=50, results=1),
        "1 process, max_jobs 50, poll_delay 0.02": dict(c=50, results=0, poll=0.02, n=4000),
        "2 processes, max_jobs 50, poll_delay 0.02": dict(c=50, results=0, procs=2, poll=0.02, n=4000),
        "2 processes, max_jobs 50": dict(c=50, results=0, procs=2),
        "2 processes, max_jobs 50, results": dict(c=50, results=1, procs=2),
    },
    "fanout_io": {
        "max_jobs 50": dict(c=50, results=0),
        "max_jobs 50, poll_delay 0.02": dict(c=50, results=0, poll=0.02),
    },
    "latency": {"poll_delay 0.5 (default)": dict(c=50, results=1), "poll_delay 0.02": dict(c=50, results=1, poll=0.02)},
    "memory": {"pickle, results": dict(c=50, results=1)},
    "idle": {"poll_delay 0.5 (default)": dict(c=50, results=0), "poll_delay 0.02": dict(c=50, results=0, poll=0.02)},
    "startup": {"max_jobs 50": dict(c=50, results=0)},
    "crash": {"job_timeout 300 (default)": dict(c=4, results=0), "job_timeout 5": dict(c=4, results=0, timeout=5)},
    "mixed": {"2 processes, max_jobs 50": dict(c=50, results=0, procs=2)},
}


def workers(o, bin_):
    return [[bin_ / "arq", "adapters.arq.WorkerSettings"] for _ in range(o.get("procs", 1))]


if probe.IN_VENV:
    import asyncio

    from arq import create_pool
    from arq.connections import RedisSettings
    from arq.jobs import Job

    _o = probe.opts()
    _settings = RedisSettings(host="127.0.0.1", port=int(probe.os.environ["BENCH_REDIS_PORT"]))

    async def noop(ctx, a, b):
        return probe.noop(a, b)

    async def sleep(ctx, a, b):
        return await probe.asleep(a, b)

    class WorkerSettings:
        functions = [noop, sleep]
        redis_settings = _settings
        max_jobs = _o.get("c", 50)
        poll_delay = _o.get("poll", 0.5)
        keep_result = 3600 if _o.get("results") else 0
        job_timeout = _o.get("timeout", 300)
        log_results = False

    class Client:
        async def open(self):
            self.pool = await create_pool(_settings)

        async def enqueue(self, task, a, b):
            return await self.pool.enqueue_job(task, a, b)

        async def enqueue_many(self, task, pairs):
            jobs = []
            for i in range(0, len(pairs), 100):
                jobs = await asyncio.gather(*(self.pool.enqueue_job(task, *p) for p in pairs[i : i + 100]))
            return jobs

        async def result(self, job, timeout):
            return await job.result(timeout=timeout, poll_delay=0.005)

        def key(self, job):
            return job.job_id

        async def outcome(self, key):
            info = await Job(key, self.pool).result_info()
            return bool(info and info.success), info and info.result

        async def close(self):
            await self.pool.aclose()
