"""Harness plumbing, standard library only: servers, processes, Redis client, journal."""

import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter

import probe

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("BENCH_CACHE", pathlib.Path.home() / ".cache" / "bench"))
WORK = tempfile.gettempdir()
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def disk(path):
    """(filesystem type, device, mount point) that a path lives on."""
    found = ("?", "?", "?")
    path = str(pathlib.Path(path).resolve())
    for line in open("/proc/self/mountinfo"):
        left, right = line.split(" - ")
        point, (kind, device) = left.split()[4], right.split()[:2]
        inside = point == "/" or path == point or path.startswith(point + "/")
        if inside and len(point) >= len(found[2].replace("?", "")):
            found = (kind, device, point)
    return found


def refuse_memory_disk(path):
    """A durable write to memory would be no measurement."""
    kind = disk(path)[0]
    if kind in ("tmpfs", "ramfs", "?"):
        raise SystemExit(f"{path} is on {kind}: set TMPDIR to a folder on a real disk")


# ---- processes -----------------------------------------------------------
def tree(pid):
    """pid and all its descendants."""
    kids = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                kids.setdefault(int(open(f"/proc/{d}/stat").read().rsplit(")", 1)[1].split()[1]), []).append(int(d))
            except OSError:
                pass
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        todo += kids.get(p, [])
    return out


def cpu_seconds(pids):
    """User + system time of the processes and of their reaped children."""
    total = 0
    for p in pids:
        try:
            f = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
            total += sum(int(x) for x in f[11:15])
        except OSError:
            pass
    return total / TICK


def thread_seconds(pids):
    """CPU time of the threads alive now, exact where `cpu_seconds` counts ticks: for processes that hardly work."""
    total = 0
    for p in pids:
        for f in pathlib.Path(f"/proc/{p}/task").glob("*/schedstat"):
            try:
                total += int(f.read_text().split()[0])
            except OSError:
                pass
    return total / 1e9


def machine_busy():
    """CPU seconds the whole machine was not idle, stolen time included."""
    f = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
    return (sum(f) - f[3] - f[4]) / TICK


def memory_mib(pids):
    """(RSS, PSS) summed over the processes; PSS counts shared pages once."""
    rss = pss = 0
    for p in pids:
        try:
            for line in open(f"/proc/{p}/smaps_rollup"):
                if line.startswith("Rss:"):
                    rss += int(line.split()[1])
                elif line.startswith("Pss:"):
                    pss += int(line.split()[1])
        except OSError:
            pass
    return rss / 1024, pss / 1024


def kill_tree(procs, sig=signal.SIGKILL):
    pids = [q for p in procs for q in tree(p.pid)]
    for q in pids:
        try:
            os.kill(q, signal.SIGSTOP if sig == signal.SIGKILL else sig)
        except OSError:
            pass
    if sig == signal.SIGKILL:  # frozen first, so none sees another die
        for q in pids:
            try:
                os.kill(q, sig)
            except OSError:
                pass
    for p in procs:
        p.wait()
    return pids


# ---- Redis ---------------------------------------------------------------
class Redis:
    """A minimal RESP2 client, enough for measuring."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.f = self.sock.makefile("rb")

    def __call__(self, *words):
        data = [str(w).encode() for w in words]
        self.sock.sendall(b"*%d\r\n" % len(data) + b"".join(b"$%d\r\n%s\r\n" % (len(d), d) for d in data))
        return self._read()

    def _read(self):
        line = self.f.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.f.read(int(rest) + 2)[:-2]
        return None if rest == b"-1" else [self._read() for _ in range(int(rest))]

    def info(self):
        lines = self("INFO", "everything").decode().splitlines()
        return dict(x.split(":", 1) for x in lines if ":" in x)

    def usage(self):
        """What the server has done so far: commands, reads (about one a round trip), CPU seconds, µs by command."""
        info = self.info()
        spent = {
            k.removeprefix("cmdstat_"): float(v.split("usec=")[1].split(",")[0])
            for k, v in info.items()
            if k.startswith("cmdstat_")
        }
        return {
            "commands": int(info["total_commands_processed"]),
            "reads": int(info["total_reads_processed"]),
            "cpu_s": float(info["used_cpu_user"]) + float(info["used_cpu_sys"]),
            "usec": spent,
        }


class Monitor(threading.Thread):
    """Counts, by command, the calls that clients sent and those that scripts made."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.link = Redis(port)
        self.link("MONITOR")
        self.sent, self.inner = Counter(), Counter()
        self.start()

    def run(self):
        try:
            for line in self.link.f:
                source, _, rest = line.partition(b"] ")
                name = rest.split(b'"')[1].decode().lower()
                (self.inner if source.endswith(b" lua") else self.sent)[name] += 1
        except (OSError, ValueError, IndexError):
            pass

    def stop(self):
        self.link.sock.shutdown(socket.SHUT_RDWR)
        self.join()


class RedisServer:
    def __init__(self, workdir):
        self.port = free_port()
        self.proc = subprocess.Popen(
            [
                "redis-server",
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                str(workdir),
                "--logfile",
                str(workdir / "redis.log"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                self.client = Redis(self.port)
                break
            except OSError:
                time.sleep(0.02)

    def reset(self):
        self.client("FLUSHALL")
        self.client("SCRIPT", "FLUSH")

    def stop(self):
        self.proc.kill()
        self.proc.wait()


class PostgresServer:
    """A private cluster on a loopback port, run as the user 'postgres' when we are root."""

    def __init__(self, workdir):
        self.bin = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.dir, self.port = workdir / "pg", free_port()
        self.dir.mkdir()
        os.chmod(workdir, 0o755)
        shutil.chown(self.dir, "postgres", "postgres")
        self.who = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        subprocess.run(
            [*self.who, self.bin / "initdb", "-D", self.dir / "d", "-U", "bench", "-A", "trust"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        self.proc = subprocess.Popen(
            [
                *self.who,
                self.bin / "postgres",
                "-D",
                self.dir / "d",
                "-p",
                str(self.port),
                "-h",
                "127.0.0.1",
                "-k",
                str(self.dir),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        for _ in range(200):
            if self.sql("select 1", "postgres", check=False) == 0:
                break
            time.sleep(0.05)
        self.sql("create database bench", "postgres")

    def sql(self, text, db="bench", check=True):
        return subprocess.run(
            [self.bin / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", db, "-qc", text],
            check=check,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).returncode

    def stop(self):
        self.proc.send_signal(signal.SIGINT)
        self.proc.wait()


# ---- one system under test -----------------------------------------------
def ensure_venv(adapter):
    """Create the system's own environment under CACHE on demand; return its bin folder."""
    if adapter.ENV == "this":  # what is installed beside the interpreter that runs us
        return pathlib.Path(sys.executable).parent
    if getattr(adapter, "NPM", None):
        d = CACHE / adapter.ENV
        if not (d / "node_modules").exists():
            d.mkdir(parents=True, exist_ok=True)
            subprocess.run(["npm", "init", "-y"], cwd=d, check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", *adapter.NPM], cwd=d, check=True)
        return d
    d = CACHE / adapter.ENV
    if not (d / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(d)], check=True)
        subprocess.run([str(d / "bin" / "pip"), "install", "-q", *adapter.PIP], check=True)
    return d / "bin"


def versions(adapter):
    b = ensure_venv(adapter)
    if getattr(adapter, "NPM", None):
        node = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip().removeprefix("v")
        return {"node": node} | {
            n: json.load(open(b / "node_modules" / n / "package.json"))["version"] for n in adapter.NPM
        }
    out = subprocess.run([b / "python", "-m", "pip", "list", "--format=json"], capture_output=True, text=True).stdout
    keep = {x.split("[")[0].lower() for x in adapter.PIP} | {
        "redis",
        "kombu",
        "billiard",
        "psycopg",
        *getattr(adapter, "ALSO", ()),
    }
    return {p["name"]: p["version"] for p in json.loads(out) if p["name"].lower() in keep}


class Session:
    """One run of one configuration: clean backend, fresh journal, workers, producer."""

    def __init__(self, adapter, opts, servers, workdir):
        self.a, self.opts, self.servers, self.dir = adapter, dict(opts), servers, workdir / "run"
        self.bin = ensure_venv(adapter)
        if adapter.BACKEND == "sqlite":
            refuse_memory_disk(workdir)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir()
        self.journal = self.dir / "journal"
        self.watchers = []
        self.procs, self.log = [], self.dir / "worker.log"
        self.journal.touch()
        self.log.write_bytes(b"")
        self.env = {
            # Compiled modules are kept, as wherever programs are installed; some build machines forbid it.
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "BENCH_IN_VENV": "1",
            "BENCH_JOURNAL": str(self.journal),
            "PYTHONPATH": str(HERE),
            "PYTHONUNBUFFERED": "1",
            "BENCH_OPTS": json.dumps(self.opts),
            "BENCH_DIR": str(self.dir),
            "BENCH_REDIS_PORT": str(servers["redis"].port),
            "BENCH_CACHE_DIR": str(self.bin),
        }
        self.env.update(getattr(adapter, "environ", lambda o: {})(self.opts))
        servers["redis"].reset()
        if adapter.BACKEND == "postgres":
            if "postgres" not in servers:
                servers["postgres"] = PostgresServer(workdir)
            self.env["BENCH_PG_PORT"] = str(servers["postgres"].port)
            adapter.reset(self)

    @property
    def redis(self):
        return self.servers["redis"].client

    def client_start(self, op, **args):
        if getattr(self.a, "NPM", None):
            argv = ["node", str(HERE / "adapters" / self.a.SCRIPT), op, json.dumps(args)]
        else:
            argv = [
                str(self.bin / "python"),
                str(HERE / "client.py"),
                self.a.__name__.split(".")[-1],
                op,
                json.dumps(args),
            ]
        return subprocess.Popen(argv, env=self.env, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def watch_results(self, n, timeout=150):
        """Start another process that will tell when the last results can be read; returns when it watches."""
        p = self.client_start("await_results", n=n, timeout=timeout)
        ready, end = self.dir / "ready", time.monotonic() + 30
        while not ready.exists() and p.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        self.watchers.append(p)
        return p

    def client(self, op, timeout=300, **args):
        return self.client_end(self.client_start(op, **args), timeout)

    @staticmethod
    def client_end(p, timeout=300):
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise
        if p.returncode:
            raise RuntimeError("producer failed: " + err.strip()[-400:])
        return json.loads(out.strip().splitlines()[-1])

    def start(self):
        with open(self.log, "ab") as log:
            for argv in self.a.workers(self.opts, self.bin):
                self.procs.append(
                    subprocess.Popen(
                        [str(x) for x in argv], env=self.env, cwd=HERE, stdout=log, stderr=log, stdin=subprocess.DEVNULL
                    )
                )

    def pids(self):
        return [q for p in self.procs for q in tree(p.pid)]

    def stop(self):
        kill_tree(self.procs)
        self.procs = []
        for p in self.watchers:
            if p.poll() is None:
                p.kill()
                p.communicate()
        self.watchers = []

    def count(self):
        return os.stat(self.journal).st_size // probe.RECORD.size

    def records(self):
        data = self.journal.read_bytes()
        return list(probe.RECORD.iter_unpack(data[: len(data) // 24 * 24]))

    def wait(self, n, timeout, pause=0.01):
        end = time.monotonic() + timeout
        while self.count() < n:
            if time.monotonic() > end:
                tail = self.log.read_text(errors="replace")[-300:]
                raise TimeoutError(f"{self.count()} of {n} records after {timeout} s; log: {tail}")
            if self.procs and all(p.poll() is not None for p in self.procs):
                raise RuntimeError("workers exited: " + self.log.read_text(errors="replace")[-500:])
            time.sleep(pause)

    def warm(self, n=1):
        """Make sure the workers are up: one task through, then a quiet moment."""
        have = self.count()
        self.client("enqueue", n=n, task="noop", arg="warm", first=10**7)
        self.wait(have + n, 60)
        time.sleep(0.5)


def spread(values):
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}
