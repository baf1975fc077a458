"""Who and where a process is, precisely enough that others on the same machine can prove its death."""

from __future__ import annotations

import os
import socket

from smallage.stores.base import Host


def this_host(pid: int) -> Host:
    """The identity of the process `pid` of this machine. Where the system does not tell, fields are empty, and then
    nothing can be proven."""
    return Host(
        name=socket.gethostname(),
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        pid_namespace=_link("/proc/self/ns/pid"),
        pid=pid,
        pid_started=started_at(pid),
    )


def started_at(pid: int) -> int:
    """Start of a process in clock ticks after boot; 0 if the system does not tell, -1 if it has ended (a zombie)."""
    stat = _read(f"/proc/{pid}/stat")
    if not stat:
        return 0
    fields = stat.rpartition(")")[2].split()
    return -1 if fields[0] in "ZX" else int(fields[19])


def proven_dead(there: Host, here: Host) -> bool:
    """True if `there` was a process of this boot and namespace, and is gone or another one by now."""
    if not (there.boot_id and there.pid_namespace and there.pid and there.pid_started):
        return False
    if (there.boot_id, there.pid_namespace) != (here.boot_id, here.pid_namespace):
        return False
    started = started_at(there.pid)
    if started:
        return started != there.pid_started
    try:
        os.kill(there.pid, 0)  # /proc may hide other users' processes
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
