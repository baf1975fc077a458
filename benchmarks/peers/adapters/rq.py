"""RQ: the plain worker forks a child per job, SimpleWorker runs jobs in its own process."""

import probe

ENV, MODULE, BACKEND = "rq", "rq", "redis"
PIP = ["rq", "hiredis"]
HAS_RESULTS = HAS_CHORD = True
N = {"noop": 1500, "enqueue": 3000}
_S = dict(cls="rq.SimpleWorker")
_F = dict(cls="rq.Worker")
CONFIGS = {
    "enqueue": {"result_ttl 500 (default)": dict(results=1)},
    "noop": {
        "Worker (fork) x1": dict(_F, procs=1, results=0, n=300),
        "Worker (fork) x2": dict(_F, procs=2, results=0, n=400),
        "SimpleWorker x1": dict(_S, procs=1, results=0),
        "SimpleWorker x1, results": dict(_S, procs=1, results=1),
        "SimpleWorker x2": dict(_S, procs=2, results=0),
        "SimpleWorker x2, results": dict(_S, procs=2, results=1),
    },
    "fanout_io": {"SimpleWorker x50 processes": dict(_S, procs=50, results=0)},
    "latency": {"Worker (fork)": dict(_F, results=1), "SimpleWorker": dict(_S, results=1)},
    "memory": {"pickle, results": dict(_S, procs=2, results=1, n_results=4000)},
    "idle": {"Worker (fork)": dict(_F, results=0), "SimpleWorker": dict(_S, results=0)},
    "startup": {"Worker (fork)": dict(_F, results=0), "SimpleWorker": dict(_S, results=0)},
    "crash": {
        "Worker x4, Retry(3), default intervals": dict(_F, procs=4, retry=3),
        "Worker x4, Retry(3), monitoring 2 s, maintenance 5 s": dict(_F, procs=4, retry=3, tight=1),
        "Worker x4, Retry(3), monitoring 2 s, maintenance 5 s, + a task each 5 s": dict(
            _F, procs=4, retry=3, tight=1, trickle=1
        ),
        "Worker x4, Retry(3), monitoring 2 s, maintenance 5 s, worker-ttl 20": dict(
            _F, procs=4, retry=3, tight=1, ttl=20
        ),
    },
    "chord": {"SimpleWorker x2, depends_on": dict(_S, procs=2, results=1)},
    "mixed": {"SimpleWorker x2": dict(_S, procs=2, results=0)},
}


def workers(o, bin_):
    extra = ["--job-monitoring-interval", "2", "--maintenance-interval", "5"] if o.get("tight") else []
    extra += ["--worker-ttl", o["ttl"]] if "ttl" in o else []
    return [
        [
            bin_ / "rq",
            "worker",
            "-q",
            "-w",
            o["cls"],
            "-u",
            probe.redis_url(),
            "-n",
            f"w{k}-{probe.os.urandom(3).hex()}",
            *extra,
            "default",
        ]
        for k in range(o.get("procs", 1))
    ]


if probe.IN_VENV:
    import redis
    from rq import Queue, Retry
    from rq.job import Job

    _o = probe.opts()
    noop, sleep = probe.noop, probe.sleep

    def callback():
        probe.callback()

    class Client:
        def open(self):
            self.q = Queue("default", connection=redis.Redis.from_url(probe.redis_url()))
            self.kw = dict(result_ttl=500 if _o.get("results") else 0)
            if _o.get("retry"):
                self.kw["retry"] = Retry(max=_o["retry"])
            self.f = {"noop": noop, "sleep": sleep}

        def enqueue(self, task, a, b):
            return self.q.enqueue(self.f[task], a, b, **self.kw)

        def enqueue_many(self, task, pairs):
            return self.q.enqueue_many([Queue.prepare_data(self.f[task], p, **self.kw) for p in pairs])

        def result(self, job, timeout):
            return job.latest_result(timeout=timeout).return_value

        def key(self, job):
            return job.id

        def outcome(self, key):
            job = Job.fetch(key, connection=self.q.connection)
            result = job.latest_result() if job.is_finished else None
            return result is not None, result and result.return_value

        def chord(self, pairs):
            jobs = self.enqueue_many("noop", pairs)
            return self.q.enqueue(callback, depends_on=jobs)
