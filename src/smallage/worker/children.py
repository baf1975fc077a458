"""Starting children, and what the supervisor knows of each."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
import traceback
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

import msgspec

from smallage.worker import settle_in
from smallage.worker.board import Board, Farewell, shared_by_file
from smallage.worker.line import Line, Word

if TYPE_CHECKING:
    from smallage.worker.child import Start


@dataclass(eq=False)
class ChildProcess:
    """A started child."""

    start: Start
    pid: int
    line: Line
    board: Board
    born: float
    session: str
    announced: bool = False
    replaced: bool = False
    """Its successor has been started already."""
    frozen: bool = False
    killed: str = ""
    """Why we killed it: "limit", "cancel", "stop" or "" if we did not."""
    cancels: list[tuple[int, float]] = field(default_factory=list)
    """(token, when to lose patience) of bodies that were told to stop."""
    refusal: Word | None = None

    @property
    def number(self) -> int:
        return self.start.number

    def kill(self, why: str) -> None:
        """End it now; what we killed it for decides what its tasks are charged with."""
        if not self.killed:
            self.killed = why
            os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """Its wait status if it has ended."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return status if pid else None


def launch(start: Start, spawned: bool) -> ChildProcess:
    """Start a child by fork, or as a fresh interpreter where it must be: a program with threads of its own may have
    locks held, which a fork would copy."""
    spawned = spawned or threading.active_count() > 1
    ours, theirs = socket.socketpair()
    board = shared_by_file(start.slots) if spawned else Board(start.slots)
    sys.stdout.flush()
    sys.stderr.flush()
    if spawned:
        pid = _spawn(theirs, board)
    else:
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            _become_child(start, theirs, board)
        gc.unfreeze()
    theirs.close()
    line = Line(ours)
    if spawned:
        line.say_later(Word("start", data=msgspec.to_builtins(start)))
    return ChildProcess(start, pid, line, board, monotonic(), start.session)


def _become_child(start: Start, theirs: socket.socket, board: Board) -> NoReturn:
    try:
        settle_in.let_go_of_descriptors({theirs.fileno()})
        from smallage.worker.child import main

        main(start, Line(theirs), board)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)


def _spawn(theirs: socket.socket, board: Board) -> int:
    """A fresh interpreter that runs `smallage.worker.spawned`; it gets two descriptors, the rest comes on its line."""
    assert board.fd is not None
    fds = (theirs.fileno(), board.fd)
    for fd in fds:
        os.set_inheritable(fd, True)
    command = [sys.executable, "-m", "smallage.worker.spawned", *map(str, fds), str(board.slots)]
    try:
        return os.posix_spawn(sys.executable, command, {**os.environ, "PYTHONPATH": _module_path()})
    finally:
        os.close(board.fd)
        board.fd = None
        os.set_inheritable(fds[0], False)


def _module_path() -> str:
    """The module path as it is here, so that the fresh interpreter finds what this one found."""
    return os.pathsep.join(path for path in sys.path if path)


def how_it_died(status: int, farewell: Farewell) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "unknown"
        hint = " (out of memory?)" if number == signal.SIGKILL else ""
        return f"signal {number} ({name}){hint}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"
