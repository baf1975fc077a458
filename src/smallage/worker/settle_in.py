"""What a new process does before anything else: it must not outlive its supervisor nor touch what it inherited."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent, of pid `parent`, dies (elsewhere than on Linux the line's end
    tells)."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def let_go_of_descriptors(keep: set[int]) -> None:
    """Point every inherited descriptor but the standard ones and `keep` at /dev/null.

    They are not closed: objects copied from the supervisor still believe to own their numbers, and would later close
    descriptors of ours that had got the same ones."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in _open_descriptors():
        if fd > 2 and fd != null and fd not in keep:
            try:
                os.dup2(null, fd, inheritable=False)
            except OSError:
                pass
    os.close(null)


def _open_descriptors() -> list[int]:
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    return [int(name) for name in os.listdir(folder)]


def write_to(path: str) -> None:
    """Send what this process writes to stderr, the log among it, to a file."""
    sys.stderr.flush()
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(number, 2)
    os.close(number)


def leave_signals_to_the_supervisor() -> None:
    """A signal to the whole group (Ctrl-C, systemd) is the supervisor's to act on. Not SIG_IGN, which programs started
    by a task would inherit; and what a task forks gets the usual handlers back."""
    signal.set_wakeup_fd(-1)
    for number in _IGNORED:
        signal.signal(number, _do_nothing)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.register_at_fork(after_in_child=_usual_signals)


def _do_nothing(signum: int, frame: FrameType | None) -> None:
    pass


def _usual_signals() -> None:
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def dump_stacks_on_usr1() -> None:
    """SIGUSR1 prints the stacks of all threads to stderr, whatever Python is doing."""
    import faulthandler

    if sys.stderr is not None and hasattr(sys.stderr, "fileno"):
        try:
            faulthandler.register(signal.SIGUSR1, all_threads=True, chain=False)
        except (ValueError, OSError, RuntimeError):  # stderr is no real file
            signal.signal(signal.SIGUSR1, _do_nothing)
