"""Procrastinate on PostgreSQL."""

import subprocess

import probe

ENV, MODULE, BACKEND = "procrastinate", "procrastinate", "postgres"
PIP = ["procrastinate", "psycopg[binary,pool]"]
HAS_RESULTS = HAS_CHORD = False
N = {"noop": 2500, "enqueue": 2000}
CONFIGS = {
    "enqueue": {"one at a time / batch_defer 1000": dict()},
    "noop": {"1 process, concurrency 50": dict(c=50), "2 processes, concurrency 50": dict(c=50, procs=2)},
    "fanout_io": {"1 process, concurrency 50": dict(c=50)},
    "latency": {"listen/notify": dict(c=50)},
    "idle": {"1 process": dict(c=50)},
    "startup": {"1 process": dict(c=50)},
    "crash": {
        "no retry of stalled jobs (default)": dict(c=4),
        "stalled-job periodic task, heartbeat 10 s": dict(c=4, stalled=10),
    },
    "mixed": {"2 processes, concurrency 50": dict(c=50, procs=2)},
}


def workers(o, bin_):
    return [
        [bin_ / "procrastinate", "--app=adapters.procrastinate.app", "worker", "-c", o["c"]]
        for _ in range(o.get("procs", 1))
    ]


def reset(session):
    servers = session.servers
    if not servers.get("pg_schema"):
        subprocess.run(
            [session.bin / "procrastinate", "--app=adapters.procrastinate.app", "schema", "--apply"],
            env=session.env,
            cwd=probe.os.path.dirname(probe.__file__),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        servers["pg_schema"] = True
    servers["postgres"].sql("truncate procrastinate_jobs, procrastinate_workers cascade")


if probe.IN_VENV:
    from procrastinate import App, PsycopgConnector

    _o = probe.opts()
    app = App(
        connector=PsycopgConnector(
            conninfo=f"host=127.0.0.1 port={probe.os.environ['BENCH_PG_PORT']} user=bench dbname=bench"
        )
    )

    @app.task(name="noop")
    async def noop(a, b):
        return probe.noop(a, b)

    @app.task(name="sleep")
    async def sleep(a, b):
        return await probe.asleep(a, b)

    if "stalled" in _o:

        @app.periodic(cron="*/5 * * * * *")
        @app.task(name="rescue", queueing_lock="rescue", pass_context=True)
        async def rescue(context, timestamp):
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=_o["stalled"]):
                await app.job_manager.retry_job(job)

    class Client:
        f = {"noop": noop, "sleep": sleep}

        async def open(self):
            await app.open_async()

        async def enqueue(self, task, a, b):
            return await self.f[task].defer_async(a=a, b=b)

        async def enqueue_many(self, task, pairs):
            return await self.f[task].batch_defer_async(*({"a": a, "b": b} for a, b in pairs))

        async def close(self):
            await app.close_async()
