"""Producer, run inside a system's environment: client.py <adapter> <op> <json args>.

An adapter supplies a class Client with enqueue(task, a, b) and optionally open, close, enqueue_many(task, pairs),
result(handle, timeout), chord(pairs), key(handle) (text by which another process finds the result) and outcome(key)
(done and well?, value); each may be plain or async. BULK_STEP is how many pairs go into one enqueue_many.
Prints one JSON line.
"""

import asyncio
import importlib
import inspect
import json
import os
import pathlib
import sys
import time

import probe

KEPT = 64  # handles of the last tasks that were sent, kept for await_results


async def settle(value):
    return await value if inspect.isawaitable(value) else value


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else None


async def enqueue(c, a):
    spans, first = [], a.get("first", 0)
    await settle(c.enqueue(a["task"], first, a["arg"]))  # connect outside the timing
    begin = time.perf_counter()
    for i in range(first + 1, first + a["n"]):
        t = time.perf_counter_ns()
        await settle(c.enqueue(a["task"], i, a["arg"]))
        spans.append(time.perf_counter_ns() - t)
    wall = time.perf_counter() - begin
    return {
        "rate": (a["n"] - 1) / wall if a["n"] > 1 else None,
        "p50_us": (quantile(spans, 0.5) or 0) / 1e3,
        "p99_us": (quantile(spans, 0.99) or 0) / 1e3,
    }


async def bulk(c, a):
    pairs = [(i, a["arg"]) for i in range(a.get("first", 0), a.get("first", 0) + a["n"])]
    handles = [await settle(c.enqueue(a["task"], *pairs.pop(0)))]
    many = getattr(c, "enqueue_many", None)
    step = getattr(c, "BULK_STEP", 1000)
    begin = time.perf_counter()
    if many is None:
        for p in pairs:
            handles.append(await settle(c.enqueue(a["task"], *p)))
            del handles[:-KEPT]
    else:
        for i in range(0, len(pairs), step):
            handles = await settle(many(a["task"], pairs[i : i + step]))
    wall = time.perf_counter() - begin
    if hasattr(c, "key"):
        keys = [await settle(c.key(h)) for h in list(handles or [])[-KEPT:] if h is not None]
        keys_file().write_text(json.dumps(keys))
    return {"rate": len(pairs) / wall if pairs else None, "has_bulk": many is not None, "bulk_step": step}


def keys_file():
    return pathlib.Path(os.environ["BENCH_DIR"], "keys.json")


async def await_results(c, a):
    """Wait until the results of the tasks sent last can be read here; looks at the store only when all have started."""
    keys = json.loads(keys_file().read_text())
    keys_file().with_name("ready").touch()
    end = time.monotonic() + a["timeout"]
    while os.stat(os.environ["BENCH_JOURNAL"]).st_size < a["n"] * probe.RECORD.size:
        if time.monotonic() > end:
            raise TimeoutError("not all tasks have started")
        await asyncio.sleep(0.002)
    for key in keys:
        while not (await settle(c.outcome(key)))[0]:
            if time.monotonic() > end:
                raise TimeoutError(f"no result of {key}")
            await asyncio.sleep(0.001)
    return {"drained_ns": time.time_ns(), "results": len(keys)}


async def latency(c, a):
    sent, gap = [], a["gap"]
    start = time.monotonic()
    for i in range(a["n"]):
        delay = start + i * gap - time.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)
        sent.append(time.time_ns())
        await settle(c.enqueue("noop", i, "x"))
    return {"sent_ns": sent}


async def roundtrip(c, a):
    spans = []
    for i in range(a["n"]):
        t = time.perf_counter_ns()
        handle = await settle(c.enqueue("noop", a["first"] + i, "x"))
        await settle(c.result(handle, 30))
        spans.append((time.perf_counter_ns() - t) / 1e6)
        await asyncio.sleep(0.01)
    return {"rtt_p50_ms": quantile(spans, 0.5), "rtt_p99_ms": quantile(spans, 0.99)}


async def chord(c, a):
    await settle(c.enqueue("noop", 10**6, "x"))
    t = time.time_ns()
    await settle(c.chord([(i, "x") for i in range(a["n"])]))
    return {"t0_ns": t, "submit_s": (time.time_ns() - t) / 1e9}


async def workflow(c, a):
    """A chain of n no-ops, a chord of n and a callback, or n groups of `each` in a group."""
    t = time.time_ns()
    await settle(c.workflow(a["kind"], a["n"], a["each"]))
    return {"t0_ns": t, "submit_s": (time.time_ns() - t) / 1e9}


async def flood(c, a):
    await settle(c.enqueue("noop", 0, "x"))
    begin, i = time.monotonic(), 0
    t0 = time.time_ns()
    while time.monotonic() - begin < a["seconds"]:
        for _ in range(20):
            i += 1
            await settle(c.enqueue("noop", i, "some-video-id"))
    return {"t0_ns": t0, "t1_ns": time.time_ns(), "sent": i}


def bare_push():
    """A bare RPUSH through redis-py: what a push over the wire costs at the least."""
    import redis

    client = redis.Redis(port=int(os.environ["BENCH_REDIS_PORT"]))
    client.delete("bare")
    return lambda payload: client.rpush("bare", payload)


def bare_insert():
    """A bare durable insert: its own file in the folder of the store's, WAL, synchronous=FULL."""
    import apsw

    db = apsw.Connection(str(pathlib.Path(os.environ["BENCH_DIR"], "bare.db")))
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "full")
    db.execute("create table bare (id integer primary key, payload blob) strict")
    return lambda payload: db.execute("insert into bare (payload) values (?)", (payload,))


async def versus(c, a):
    """Single calls beside the bare operation of the store, in turns of 250, so that noise meets both alike."""
    bare = {"redis": bare_push, "sqlite": bare_insert}[a["store"]]()
    payload, ours, theirs, i = os.urandom(200), [], [], 0
    await settle(c.enqueue("noop", 0, a["arg"]))
    for turn in range(2 * (a["n"] // 250)):
        for _ in range(250):
            i += 1
            t = time.perf_counter_ns()
            if turn % 2:
                await settle(c.enqueue("noop", i, a["arg"]))
            else:
                bare(payload)
            (ours if turn % 2 else theirs).append((time.perf_counter_ns() - t) / 1e3)
    return {
        "call_p50_us": quantile(ours, 0.5),
        "call_p99_us": quantile(ours, 0.99),
        "bare_p50_us": quantile(theirs, 0.5),
        "bare_p99_us": quantile(theirs, 0.99),
    }


OPS = {f.__name__: f for f in (enqueue, bulk, await_results, latency, roundtrip, chord, workflow, flood, versus)}


async def main():
    adapter, op, args = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    c = importlib.import_module("adapters." + adapter).Client()
    if hasattr(c, "open"):
        await settle(c.open())
    out = await OPS[op](c, args)
    if hasattr(c, "close"):
        await settle(c.close())
    print(json.dumps(out), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
