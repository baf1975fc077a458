"""Who is alive: record locks held for as long as a session's process lives, and the boot's clock.

A record lock belongs to the process, whatever it forks, and the kernel drops it at death. It also goes when *any*
descriptor of the file is closed by its holder, so a process never opens the files of its own sessions again.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from functools import cache
from pathlib import Path

_held: dict[str, int] = {}
"""Lock file → descriptor, for all stores of this process."""
_pid = os.getpid()
_guard = threading.Lock()


def boot_us() -> int:
    """Microseconds since the machine started, suspension included; no administrator can step it."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1000


@cache
def boot_id() -> str:
    """Names this run of the machine; after another one every older session is dead."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def lock_file(folder: Path, session: str) -> Path:
    import hashlib  # not needed by those who only push

    return folder / f"s-{hashlib.sha256(session.encode()).hexdigest()[:24]}.lock"


def hold(folder: Path, session: str) -> None:
    """Lock the session's file until `release` or the end of this process; holding it already is fine."""
    global _pid
    path = lock_file(folder, session)
    with _guard:
        if _pid != os.getpid():
            _held.clear()  # the parent's locks are not ours
            _pid = os.getpid()
        if str(path) in _held:
            return
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(fresh, path)
        except BaseException:
            os.close(descriptor)
            raise
        _held[str(path)] = descriptor


def release(folder: Path, session: str, ended: bool = True) -> None:
    """Give up the lock of a session of this process; unknown ones are left alone. Its file goes too if the session has
    ended in good order; else it stays and says that nobody is there any more."""
    path = str(lock_file(folder, session))
    with _guard:
        descriptor = _held.pop(path, None) if _pid == os.getpid() else None
        if descriptor is None:
            return
        if ended:
            Path(path).unlink(missing_ok=True)
        os.close(descriptor)


def is_dead(folder: Path, session: str) -> bool:
    """True if nobody holds the session's lock. A missing file proves nothing."""
    return _is_free(lock_file(folder, session))


def _is_free(path: Path) -> bool:
    with _guard:
        if _pid == os.getpid() and str(path) in _held:
            return False
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)


def sweep(folder: Path, age_s: float = 86_400.0) -> None:
    """Remove the files of sessions that died longer ago than anybody could still ask."""
    for path in folder.glob("s-*.lock"):
        try:
            old = time.time() - path.stat().st_mtime > age_s
        except OSError:
            continue
        if old and _is_free(path):
            path.unlink(missing_ok=True)


def remove(folder: Path, session: str) -> None:
    """Remove the file of a dead session."""
    if is_dead(folder, session):
        lock_file(folder, session).unlink(missing_ok=True)
