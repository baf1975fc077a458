"""What this machine allows: Redis itself, and the barest possible Python consumer."""

import json
import os
import subprocess
from types import SimpleNamespace

import lib
from lib import spread

_LOOP = r"""
import json, os, sys, time, redis, msgspec
r = redis.Redis(port=int(os.environ["BENCH_REDIS_PORT"]))
n, batch, how = 200_000, int(sys.argv[1]), sys.argv[2]
task = {"id": "0123456789abcdef", "name": "noop", "args": [12345, "some-video-id"]}
enc = {"json": lambda t: json.dumps(t).encode(), "msgspec": msgspec.msgpack.Encoder().encode}[how]
dec = {"json": json.loads, "msgspec": msgspec.msgpack.Decoder().decode}[how]
if batch == 1: n = 30_000
t = time.perf_counter()
if batch == 1:
    for i in range(n): r.lpush("q", enc(task))
else:
    for i in range(0, n, batch): r.lpush("q", *[enc(task) for _ in range(batch)])
push = n / (time.perf_counter() - t)
done = 0
def noop(a, b):
    global done
    done += 1
names = {"noop": noop}
t = time.perf_counter()
while done < n:
    if batch == 1:
        m = dec(r.rpop("q")); names[m["name"]](*m["args"])
    else:
        for raw in r.rpop("q", batch):
            m = dec(raw); names[m["name"]](*m["args"])
print(json.dumps({"push": push, "pop": n / (time.perf_counter() - t)}))
"""


def measure(server, reps):
    out = {"redis_benchmark": {}, "python_loop": {}}
    adapter = SimpleNamespace(ENV="base", PIP=["redis", "hiredis", "msgspec"])
    py = lib.ensure_venv(adapter) / "python"
    out["versions"] = lib.versions(adapter)
    for clients in (1, 50):
        for pipe in (1, 16, 100):
            n = 20_000 if clients == 1 and pipe == 1 else 200_000
            rows = {}
            for _ in range(reps):
                for name, words in (
                    ("lpush", ["lpush", "l", "some-100-byte-value" + "x" * 81]),
                    ("rpop", ["rpop", "l"]),
                    ("xadd", ["xadd", "s", "*", "data", "some-100-byte-value" + "x" * 81]),
                ):
                    text = (
                        subprocess.run(
                            [
                                "redis-benchmark",
                                "-p",
                                str(server.port),
                                "-n",
                                str(n),
                                "-c",
                                str(clients),
                                "-P",
                                str(pipe),
                                "--csv",
                                *words,
                            ],
                            capture_output=True,
                            text=True,
                        )
                        .stdout.strip()
                        .splitlines()[-1]
                    )
                    rows.setdefault(name, []).append(float(text.split('","')[1]))
                server.reset()
            out["redis_benchmark"][f"{clients} clients, pipeline {pipe}"] = {k: spread(v) for k, v in rows.items()}
    for batch in (1, 100):
        for how in ("json", "msgspec"):
            rows = []
            for _ in range(reps):
                server.reset()
                rows.append(
                    json.loads(
                        subprocess.run(
                            [str(py), "-c", _LOOP, str(batch), how],
                            capture_output=True,
                            text=True,
                            check=True,
                            env={**os.environ, "BENCH_REDIS_PORT": str(server.port)},
                        ).stdout
                    )
                )
            out["python_loop"][f"batch {batch}, {how}"] = {k: spread([x[k] for x in rows]) for k in ("push", "pop")}
    server.reset()
    return out
