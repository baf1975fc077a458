"""Names of workers: `celery.utils.nodenames`."""

from __future__ import annotations

import os
import socket
from functools import cache
from typing import TYPE_CHECKING

from smallage.as_celery.absent import attribute

NODENAME_DEFAULT = "celery"


@cache
def gethostname() -> str:
    """This machine's name."""
    return socket.gethostname()


def nodename(name: str, hostname: str) -> str:
    """`name@hostname`."""
    return f"{name}@{hostname}"


def anon_nodename(hostname: str | None = None, prefix: str = "gen") -> str:
    """A name for a process that is no worker."""
    return nodename(f"{prefix}{os.getpid()}", hostname or gethostname())


def nodesplit(name: str) -> tuple[str | None, str]:
    """(what stands before the @, or None; the rest)."""
    before, at, after = name.partition("@")
    return (before, after) if at else (None, name)


def default_nodename(hostname: str | None) -> str:
    """The full name that `-n hostname` means, its marks left as they are."""
    name, host = nodesplit(hostname or "")
    return nodename(name or NODENAME_DEFAULT, host or gethostname())


def node_format(s: str, name: str, **extra: str) -> str:
    """`s` with %n, %h and %d of the worker `name` filled in."""
    short, host = nodesplit(name)
    return host_format(s, host, short or NODENAME_DEFAULT, p=name, **extra)


def host_format(s: str, host: str | None = None, name: str | None = None, **extra: str) -> str:
    """`s` with %h (host), %n (name, else the host's first part), %d (domain) and %% filled in; other marks stay."""
    host = host or gethostname()
    first, _, domain = host.partition(".")
    known = {"h": host, "n": name or first, "d": domain, "i": "%i", "I": "%I", "%": "%", **extra}
    parts = iter(s)
    return "".join(known.get(mark := next(parts, ""), "%" + mark) if one == "%" else one for one in parts)


def worker_direct(hostname: str) -> str:
    """The queue that only the worker of this name serves, with `worker_direct` on."""
    return f"{hostname}.dq2"


__all__ = [
    "NODENAME_DEFAULT",
    "anon_nodename",
    "default_nodename",
    "gethostname",
    "host_format",
    "node_format",
    "nodename",
    "nodesplit",
    "worker_direct",
]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
