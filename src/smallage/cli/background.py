"""A command as a service: in the background, with a pid file, as another user."""

from __future__ import annotations

import atexit
import grp
import os
import pwd
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from smallage.core.errors import ImproperlyConfigured


class LockFailed(ImproperlyConfigured):
    """The pid file names another process that runs, or cannot be written."""


class Pidfile:
    """A file that holds the id of the process that does a job, so that a second one is refused."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()

    def read_pid(self) -> int | None:
        """The id in the file; None if there is none."""
        try:
            text = self.path.read_text().strip()
        except OSError:
            return None
        return int(text) if text.isascii() and text.isdigit() else None

    def is_locked(self) -> bool:
        """True if the file names another process that runs."""
        pid = self.read_pid()
        return pid is not None and pid != os.getpid() and _alive(pid)

    def acquire(self) -> Pidfile:
        """Write this process into the file. Raises LockFailed."""
        if self.is_locked():
            raise LockFailed(f"{self.path} names a process that runs; stop that one or choose another --pidfile.")
        try:
            self.path.write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise LockFailed(f"{self.path} cannot be written: {error.strerror}. Choose another --pidfile.") from None
        return self

    def release(self, *_: object) -> None:
        """Remove the file, if it is this process's."""
        if self.read_pid() == os.getpid():
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Pidfile:
        return self.acquire()

    __exit__ = release


def create_pidlock(pidfile: str | Path) -> Pidfile:
    """The file with this process in it, removed when it ends. Raises LockFailed."""
    made = Pidfile(pidfile).acquire()
    atexit.register(made.release)
    return made


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def parse_uid(uid: int | str) -> int:
    """A user's number, from itself or the name. Raises KeyError."""
    try:
        return int(uid)
    except ValueError:
        return pwd.getpwnam(str(uid)).pw_uid


def parse_gid(gid: int | str) -> int:
    """A group's number, from itself or the name. Raises KeyError."""
    try:
        return int(gid)
    except ValueError:
        return grp.getgrnam(str(gid)).gr_gid


def maybe_drop_privileges(uid: int | str | None = None, gid: int | str | None = None) -> None:
    """Go on as this user, in this group or the user's own; nothing if neither is given.

    Raises ImproperlyConfigured for unknown names, and if this process may not.
    """
    if uid is None and gid is None:
        return
    try:
        user = None if uid is None else pwd.getpwuid(parse_uid(uid))
        group = parse_gid(gid) if gid is not None else user.pw_gid if user is not None else None
    except KeyError as error:
        raise ImproperlyConfigured(f"--uid and --gid: no such user or group here: {error}.") from None
    try:
        if group is not None:
            os.setgid(group)
        if user is not None:
            if os.geteuid() == 0:
                os.initgroups(user.pw_name, os.getgid())
            os.setuid(user.pw_uid)
    except PermissionError:
        raise ImproperlyConfigured("--uid and --gid need a start as root.") from None


@contextmanager
def detached(
    logfile: str | None = None,
    pidfile: str | None = None,
    uid: int | str | None = None,
    gid: int | str | None = None,
    umask: int | str | None = None,
    workdir: str | None = None,
    **_: object,
) -> Iterator[None]:
    """Go on in the background: the process that called ends with code 0, a child of its own session goes on inside.

    What it writes goes to `logfile`, or nowhere. Raises ImproperlyConfigured before, if that cannot be.
    """
    if pidfile is not None and Pidfile(pidfile).is_locked():
        raise LockFailed(f"{pidfile} names a process that runs; stop that one or choose another --pidfile.")
    out = os.open(logfile, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640) if logfile else os.open(os.devnull, os.O_RDWR)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():  # not the leader of its session, so that no terminal can become its own
        os._exit(0)
    if workdir:
        os.chdir(workdir)
    set_umask(umask)
    maybe_drop_privileges(uid, gid)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, null), (1, out), (2, out)):
        os.dup2(source, target)
    os.close(null)
    os.close(out)
    yield


def set_umask(umask: int | str | None) -> None:
    """Rights that new files do not get; a text is read as octal."""
    if umask is not None:
        os.umask(int(umask, 8) if isinstance(umask, str) else umask)


@contextmanager
def as_service(
    node: str = "",
    *,
    logfile: str | None = None,
    pidfile: str | None = None,
    uid: str | None = None,
    gid: str | None = None,
    umask: int | None = None,
    detach: bool | None = None,
    workdir: str | None = None,
) -> Iterator[None]:
    """What makes a service of a command: its file of log lines, its pid file, another user, the background. The marks
    of `-n` in both names are filled in for the worker `node`. Raises ImproperlyConfigured and OSError."""
    from smallage.worker.options import file_name, node_name
    from smallage.worker.settle_in import write_to

    logfile, pidfile = (name and os.path.abspath(file_name(name, node_name(node))) for name in (logfile, pidfile))
    with ExitStack() as around:
        if detach:
            around.enter_context(detached(logfile, pidfile, uid, gid, umask, workdir))
        else:
            set_umask(umask)
            maybe_drop_privileges(uid, gid)
            if logfile:
                write_to(logfile)
        signal.signal(signal.SIGTERM, _leave)
        if pidfile:
            around.enter_context(Pidfile(pidfile))
        yield


def _leave(*_: object) -> None:
    """Whoever has started us may say at once that we should end; that is no failure, and the pid file must go."""
    sys.exit(0)
