"""Celery, Redis as broker and (optionally) result store."""

import probe

ENV, MODULE, BACKEND = "celery_redis", "celery", "redis"
IMPORT = "from celery import Celery"  # the package itself imports lazily
PIP = ["celery[redis]", "gevent", "hiredis"]
HAS_RESULTS = HAS_CHORD = True
N = {"noop": 8000, "enqueue": 4000}
_PRE = dict(pool="prefork")
CONFIGS = {
    "enqueue": {"ignore_result": dict(results=0), "results": dict(results=1)},
    "noop": {
        "prefork -c1, prefetch 4": dict(_PRE, c=1, results=0),
        "prefork -c2, prefetch 4": dict(_PRE, c=2, results=0),
        "prefork -c2, prefetch 4, results": dict(_PRE, c=2, results=1),
        "prefork -c1, prefetch 128": dict(_PRE, c=1, prefetch=128, results=0),
        "prefork -c2, prefetch 128": dict(_PRE, c=2, prefetch=128, results=0),
        "gevent -c50 (1 process)": dict(pool="gevent", c=50, results=0),
        "gevent -c50 (1 process), results": dict(pool="gevent", c=50, results=1),
        "gevent -c50 (1 process), results, result_backend_thread_safe": dict(pool="gevent", c=50, results=1, shared=1),
        "gevent -c50 (2 processes)": dict(pool="gevent", c=50, results=0, procs=2),
        "threads -c8 (1 process)": dict(pool="threads", c=8, results=0),
    },
    "redis_time": {"prefork -c2, prefetch 4, results": dict(_PRE, c=2, results=1, n=4000)},
    "fanout_io": {
        "gevent -c50": dict(pool="gevent", c=50, results=0),
        "threads -c50": dict(pool="threads", c=50, results=0),
    },
    "latency": {"prefork -c2": dict(_PRE, c=2, results=1), "gevent -c50": dict(pool="gevent", c=50, results=1)},
    "memory": {"JSON, results": dict(_PRE, c=2, results=1)},
    "idle": {
        "prefork -c2": dict(_PRE, c=2, results=0),
        "gevent -c50": dict(pool="gevent", c=50, results=0),
        "prefork -c2, no gossip/mingle/heartbeat": dict(_PRE, c=2, results=0, quiet=1),
    },
    "startup": {
        "prefork -c2": dict(_PRE, c=2, results=0),
        "prefork -c2, no gossip/mingle/heartbeat": dict(_PRE, c=2, results=0, quiet=1),
    },
    "crash": {
        "acks_late, visibility 3600 (default)": dict(_PRE, c=4, results=0, late=1),
        "acks_late, visibility 10": dict(_PRE, c=4, results=0, late=1, visibility=10),
        "acks_late, visibility 10, restore interval 2, throttle 1": dict(
            _PRE, c=4, results=0, late=1, visibility=10, restore=1
        ),
        "default (early ack)": dict(_PRE, c=4, results=0),
    },
    "chord": {"prefork -c2": dict(_PRE, c=2, results=1), "gevent -c50": dict(pool="gevent", c=50, results=1)},
    "workflows": {
        "prefork -c2": dict(_PRE, c=2, results=1),
        "threads -c8": dict(pool="threads", c=8, results=1),
    },
    "mixed": {
        "prefork -c2": dict(_PRE, c=2, results=0),
        "gevent -c50 (2 processes)": dict(pool="gevent", c=50, results=0, procs=2),
    },
    "io_real": {"gevent -c50": dict(pool="gevent", c=50, results=0)},
}


def workers(o, bin_):
    extra = ["--without-gossip", "--without-mingle", "--without-heartbeat"] if o.get("quiet") else []
    return [
        [
            bin_ / "celery",
            "-A",
            "adapters.celery_redis:app",
            "worker",
            "-l",
            "WARNING",
            "-P",
            o["pool"],
            "-c",
            o["c"],
            "-n",
            f"w{k}@bench",
            *extra,
        ]
        for k in range(o.get("procs", 1))
    ]


if probe.IN_VENV:
    from celery import Celery, chain, chord, group

    _o = probe.opts()
    app = Celery("bench", broker=probe.redis_url(0), backend=probe.redis_url(1) if _o.get("results") else None)
    app.conf.update(
        task_ignore_result=not _o.get("results"),
        worker_prefetch_multiplier=_o.get("prefetch", 4),
        task_acks_late=bool(_o.get("late")),
        task_reject_on_worker_lost=bool(_o.get("late")),
        broker_connection_retry_on_startup=True,
        result_backend_thread_safe=bool(_o.get("shared")),
        worker_send_task_events=False,
        broker_transport_options={
            **({"visibility_timeout": _o["visibility"]} if "visibility" in _o else {}),
            **({"unacked_restore_interval": 2, "unacked_restore_throttle": 1} if "restore" in _o else {}),
        },
    )
    noop = app.task(probe.noop, name="noop")
    sleep = app.task(probe.sleep, name="sleep")

    @app.task(name="callback")
    def callback(_results):
        probe.callback()

    _tasks = {"noop": noop, "sleep": sleep}

    class Client:
        def workflow(self, kind, n, each):
            if kind == "chain":
                return chain(noop.si(i, "x") for i in range(n)).apply_async()
            if kind == "chord":
                return chord((noop.s(i, "x") for i in range(n)), callback.s()).apply_async()
            return group(group(noop.s(i * each + j, "x") for j in range(each)) for i in range(n)).apply_async()

        def enqueue(self, task, a, b):
            return _tasks[task].delay(a, b)

        def enqueue_many(self, task, pairs):
            return group(_tasks[task].s(*p) for p in pairs).apply_async().results

        def result(self, handle, timeout):
            return handle.get(timeout=timeout)

        def key(self, handle):
            return handle.id

        def outcome(self, key):
            r = app.AsyncResult(key)
            return r.successful(), r.result

        def chord(self, pairs):
            return chord(noop.s(*p) for p in pairs)(callback.s())
