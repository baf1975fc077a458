# mypy: ignore-errors
"""app.control and inspect: shapes of the answers."""

from tests.celery_diff.lab import kind, make_app, note, program, settled, wait_notes, wait_until

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("control")
NODE = "diff@here"


@app.task
def add(x, y):
    return x + y


@app.task(rate_limit="100/s")
def limited():
    pass


@app.task(bind=True)
def holds(self):
    note("holds")
    wait_until(lambda: app.AsyncResult("control-go").ready(), 8)
    return "held"


def inspect():
    return app.control.inspect(timeout=2)


def release():
    app.backend.store_result("control-go", 1, "SUCCESS")


def keys(answer):
    return sorted(answer) if isinstance(answer, dict) else answer


@program
def ping():
    """The two pings."""
    return [app.control.ping(timeout=2), inspect().ping()]


@program
def ping_of_a_missing_node():
    """Nobody answers: an empty list, None."""
    return [app.control.ping(destination=["nobody@here"], timeout=0.5), app.control.inspect(["nobody@x"], 0.5).ping()]


@program
def registered():
    """Names of tasks, with attributes that are set."""
    return inspect().registered()


@program
def registered_attributes():
    """registered('max_retries')."""
    found = inspect().registered("max_retries")[NODE]
    return [line for line in found if "limited" in line or "add" in line]


@program
def active():
    """What is running."""
    app.AsyncResult("control-go").forget()
    result = holds.delay()
    wait_notes(1)
    found = inspect().active()[NODE]
    release()
    settled(result)
    entry = found[0]
    return [
        len(found),
        sorted(entry),
        entry["id"] == result.id,
        entry["name"],
        entry["args"],
        entry["kwargs"],
        entry["hostname"],
        entry["acknowledged"],
        type(entry["time_start"]).__name__,
        entry["delivery_info"],
    ]


@program
def active_when_idle():
    """Nothing runs."""
    return [inspect().active(), inspect().reserved()]


@program
def scheduled():
    """What waits for its time."""
    result = add.apply_async((1, 2), countdown=3)
    wait_until(lambda: inspect().scheduled()[NODE])
    found = inspect().scheduled()[NODE]
    settled(result)
    entry = found[0]
    return [len(found), sorted(entry), sorted(entry["request"]), entry["request"]["id"] == result.id, entry["priority"]]


@program
def active_queues():
    """Queues of the worker."""
    found = inspect().active_queues()[NODE]
    return [len(found), found[0]["name"], found[0]["routing_key"], found[0]["exchange"]["name"], sorted(found[0])]


@program
def stats():
    """Keys of the statistics."""
    found = inspect().stats()[NODE]
    return [
        {"total", "pid", "clock", "uptime", "pool", "broker", "prefetch_count", "rusage"} <= set(found),
        type(found["pid"]).__name__,
        type(found["clock"]).__name__,
        type(found["uptime"]).__name__,
        found["pool"]["max-concurrency"],
        {"hostname", "port", "transport", "virtual_host"} <= set(found["broker"]),
        type(found["total"]).__name__,
    ]


@program
def totals():
    """stats().total counts by name."""
    before = inspect().stats()[NODE]["total"].get(add.name, 0)
    add.delay(1, 2).get(timeout=8)
    add.delay(1, 2).get(timeout=8)
    return inspect().stats()[NODE]["total"].get(add.name, 0) - before


@program
def report_and_clock():
    """report and clock."""
    report, clock = inspect().report()[NODE], inspect().clock()[NODE]
    return [keys(report), keys(clock), type(clock["clock"]).__name__]


@program
def conf():
    """conf holds what was set."""
    found = inspect().conf()[NODE]
    return [type(found).__name__, "broker_url" in found]


@program
def query_task():
    """query_task of a running and an unknown id."""
    app.AsyncResult("control-go").forget()
    result = holds.delay()
    wait_notes(1)
    found = inspect().query_task(result.id, "unknown")[NODE]
    release()
    settled(result)
    return [sorted(found) == [result.id], found[result.id][0], found[result.id][1]["name"]]


@program
def rate_limit():
    """rate_limit and its answers."""
    control = app.control
    return [
        control.rate_limit(add.name, "10/m", reply=True, timeout=2),
        control.rate_limit(add.name, 0, reply=True, timeout=2),
        control.rate_limit("no.such", "10/m", reply=True, timeout=2),
        control.rate_limit(add.name, "10/m"),
        control.rate_limit(add.name, 0, reply=True, timeout=2),
    ]


@program
def bad_rate_limit():
    """A rate that cannot be read."""
    found = app.control.rate_limit(add.name, "many", reply=True, timeout=2)
    return [[node, sorted(value)] for answer in found for node, value in answer.items()]


@program
def time_limit():
    """time_limit and its answer."""
    return [
        app.control.time_limit(add.name, soft=60, hard=120, reply=True, timeout=2),
        app.control.time_limit("no.such", soft=60, hard=120, reply=True, timeout=2),
    ]


@program
def consumers():
    """add_consumer and cancel_consumer."""
    added = app.control.add_consumer("extra", reply=True, timeout=2)
    served = add.apply_async((1, 2), queue="extra").get(timeout=8)
    names = sorted(queue["name"] for queue in inspect().active_queues()[NODE])
    gone = app.control.cancel_consumer("extra", reply=True, timeout=2)
    left = sorted(queue["name"] for queue in inspect().active_queues()[NODE])
    return [added, served, names, gone, left]


@program
def revoke_reply():
    """revoke with reply."""
    return app.control.revoke("some-unknown-id", reply=True, timeout=2)


@program
def revoke_several():
    """revoke of a list."""
    found = app.control.revoke(["a-1"], reply=True, timeout=2)
    return [sorted(answer) for answer in found]


@program
def revoked_ids():
    """inspect().revoked() knows them."""
    app.control.revoke("revoked-id")
    wait_until(lambda: "revoked-id" in inspect().revoked()[NODE], 3)
    return "revoked-id" in inspect().revoked()[NODE]


@program
def events():
    """enable_events twice, disable_events."""
    control = app.control
    return [
        control.broadcast("enable_events", reply=True, timeout=2),
        control.broadcast("enable_events", reply=True, timeout=2),
        control.broadcast("disable_events", reply=True, timeout=2),
        control.broadcast("disable_events", reply=True, timeout=2),
    ]


@program
def no_reply_is_none():
    """Without reply the methods give None."""
    return [app.control.enable_events(), app.control.disable_events(), app.control.revoke("x-1")]


@program
def unknown_command():
    """A command nobody knows."""
    found = app.control.broadcast("no_such_command", reply=True, timeout=1)
    return [[node, sorted(value)] for answer in found for node, value in answer.items()]


@program
def purge():
    """purge counts what it removed: nothing."""
    first = app.control.purge()
    return [first, kind(app.control.discard_all)]
