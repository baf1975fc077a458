"""Run every program under Celery, or under Smallage, and compare with what Celery did.

    python -m tests.celery_diff.run --under celery [--record]     what Celery does; --record writes it down
    python -m tests.celery_diff.run --under sqlite|redis|all      what Smallage does, beside the record

Exits 1 when an outcome differs and `expected_differences.toml` does not say why, or says so of one that does not.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.celery_diff import report
from tests.redis_server import RedisServer, find_binary

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RECORDED = HERE / "recorded"
VENV = ROOT / ".cache" / "celery-diff"
WANTED = "celery[redis]==5.7.*"
READY_SECONDS = 30.0
CLIENT_SECONDS = 240.0


@dataclass(frozen=True)
class Theme:
    """One module of programs. `worker` is what its WORKER says: pool, concurrency, args; None when it needs none."""

    name: str
    worker: dict[str, Any] | None
    programs: tuple[str, ...]
    told: dict[str, str]


def read_theme(path: Path) -> Theme:
    """Read the module without importing it: this process has no `celery`."""
    worker: dict[str, Any] | None = None
    told: dict[str, str] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "WORKER":
            worker = ast.literal_eval(node.value)
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(mark, ast.Name) and mark.id == "program" for mark in node.decorator_list
        ):
            told[node.name] = (ast.get_docstring(node) or "").split("\n")[0]
    return Theme(path.stem, worker, tuple(told), told)


def themes() -> list[Theme]:
    paths = sorted((HERE / "programs").glob("*.py"))
    return [read_theme(path) for path in paths if path.stem != "__init__"]


# --- the places a program runs in


@dataclass(frozen=True)
class Place:
    python: str
    environment: dict[str, str]


def celery_python() -> str:
    """The interpreter of an environment with the real Celery, made on first use."""
    python = VENV / "bin" / "python"
    if not python.exists():
        VENV.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    if not list(VENV.glob("lib/python*/site-packages/celery")):
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", WANTED]
        subprocess.run(install, check=True)
    return str(python)


def environment(url: str, folder: Path, *paths: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY", "SMALLAGE", "PYTHON"))}
    return {
        **kept,
        "BROKER_URL": url,
        "RESULT_BACKEND": url,
        "CELERY_DIFF_JOURNAL": str(folder / "journal"),
        "PYTHONPATH": os.pathsep.join(str(path) for path in (ROOT, *paths)),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": "UTC",
    }


@contextlib.contextmanager
def place(under: str, folder: Path) -> Iterator[Place]:
    """Everything one theme needs, fresh: a server or a file, an interpreter, its environment."""
    smallage = (ROOT / "packages" / "smallage-as-celery" / "src", ROOT / "src")
    if under == "sqlite":
        yield Place(sys.executable, environment(f"sqlite:///{folder / 'tasks.db'}", folder, *smallage))
        return
    binary = find_binary()
    if binary is None:
        raise SystemExit("make celery-diff needs redis-server or valkey-server on the PATH")
    server = RedisServer(binary).start()
    try:
        if under == "celery":
            yield Place(celery_python(), environment(server.url, folder))
        else:
            yield Place(sys.executable, environment(server.url, folder, *smallage))
    finally:
        server.remove()


# --- one theme


def run_theme(theme: Theme, under: str, only: str | None) -> dict[str, Any]:
    """The outcomes of the theme's programs, by name."""
    wanted = [name for name in theme.programs if only in (None, name, theme.name)]
    if not wanted:
        return {}
    folder = Path(tempfile.mkdtemp(prefix="celery-diff-"))
    try:
        with place(under, folder) as here, worker(theme, here, folder) as trouble:
            if trouble:
                return {name: {"fails": {"raises": "the worker did not start", "args": [trouble]}} for name in wanted}
            return run_clients(theme, here, folder, wanted)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def worker(theme: Theme, here: Place, folder: Path) -> Iterator[str | None]:
    """One worker for the theme, ready. Gives the end of its log instead of None when it does not get there."""
    if theme.worker is None:
        yield None
        return
    log = folder / "worker.log"
    command = [here.python, "-m", "celery", "-A", f"tests.celery_diff.programs.{theme.name}", "worker"]
    command += ["-n", "diff@here", "-l", "INFO", "--without-gossip", "--without-mingle"]
    command += ["-P", str(theme.worker["pool"]), "-c", str(theme.worker["concurrency"])]
    command += theme.worker.get("args", [])
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=here.environment, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        end = time.monotonic() + READY_SECONDS
        while b"ready." not in log.read_bytes() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        words = log.read_text(errors="replace")
        yield None if "ready." in words and process.poll() is None else words[-600:]
    finally:
        stop(process)
        if os.environ.get("CELERY_DIFF_LOG"):
            sys.stderr.write(log.read_text(errors="replace"))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Warm, then with all its children cold."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_clients(theme: Theme, here: Place, folder: Path, wanted: list[str]) -> dict[str, Any]:
    """Run the programs in one process; in another one the rest, when a program takes its process with it."""
    found: dict[str, Any] = {}
    while rest := [name for name in wanted if name not in found]:
        out = folder / f"out-{len(found)}"
        command = [here.python, "-m", "tests.celery_diff.client", theme.name, str(out), *rest]
        words = run_client(command, here, folder)
        before = len(found)
        begun = None
        for line in out.read_text().splitlines() if out.exists() else []:
            entry = json.loads(line)
            begun = entry.get("begins", begun)
            if name := entry.pop("ends", None):
                found[name] = entry
        if begun is not None and begun not in found:
            found[begun] = {"fails": {"raises": "the process ended", "args": []}}
        if len(found) == before:
            failure = {"fails": {"raises": "the module could not be loaded", "args": [words[-600:]]}}
            found.update(dict.fromkeys(rest, failure))
    return found


def run_client(command: list[str], here: Place, folder: Path) -> str:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=here.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        words, _ = process.communicate(timeout=CLIENT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        words, _ = process.communicate()
    if os.environ.get("CELERY_DIFF_LOG"):
        sys.stderr.write(words)
    return words


# --- all themes


def recorded(theme: Theme) -> dict[str, Any]:
    path = RECORDED / f"{theme.name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def record(theme: Theme, found: dict[str, Any]) -> None:
    merged = {**recorded(theme), **found}
    kept = {name: merged[name] for name in theme.programs if name in merged}
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{theme.name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def expected_differences() -> dict[str, str]:
    with (HERE / "expected_differences.toml").open("rb") as stream:
        return dict(tomllib.load(stream))


def run_celery(only: str | None, write: bool) -> int:
    """Run under Celery. Without `write`, say what differs from the record."""
    varies = 0
    for theme in themes():
        found = run_theme(theme, "celery", only)
        if not found:
            continue
        before = recorded(theme)
        changed = [name for name, outcome in found.items() if before.get(name) != outcome]
        for name in changed:
            print(f"{theme.name}.{name}: {json.dumps(found[name], ensure_ascii=False)}")
        print(f"{theme.name}: {len(found)} programs, {len(changed)} not as recorded", flush=True)
        varies += len(changed)
        if write:
            record(theme, found)
    return 0 if write else int(varies > 0)


def run_smallage(stores: list[str], only: str | None) -> int:
    rows: list[report.Row] = []
    for theme in themes():
        found = {store: run_theme(theme, store, only) for store in stores}
        if not any(found.values()):
            continue
        for name in theme.programs:
            if any(name in outcomes for outcomes in found.values()):
                seen = {store: found[store][name] for store in stores}
                rows.append(report.Row(theme.name, name, theme.told[name], recorded(theme).get(name), seen))
        print(f"{theme.name}: done", flush=True)
    expected = expected_differences()
    if only is None and len(stores) > 1:
        (HERE / "RESULTS.md").write_text(report.table(rows, stores, expected))
    wrong = report.verdicts(rows, expected, whole=only is None)
    print("\n".join(wrong) or "no difference that is not expected")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--under", choices=["celery", "sqlite", "redis", "all"], default="all")
    parser.add_argument("--only", help="one program, or one theme")
    parser.add_argument("--record", action="store_true", help="with --under celery: write the outcomes down")
    options = parser.parse_args()
    if options.under == "celery":
        return run_celery(options.only, options.record)
    return run_smallage(["sqlite", "redis"] if options.under == "all" else [options.under], options.only)


if __name__ == "__main__":
    sys.exit(main())
