"""How processes tell each other of bells, changes and orders: nothing here is stored, nothing here blocks a writer.

An *ear* is a datagram socket in the runtime folder, with a small shared file beside it: a map of bits that says what
the ear wants to hear (a queue's bell, a task's or group's changes, a mailbox), and a byte that a speaker sets when the
socket had no room, upon which the ear takes everything for changed. A *speaker* maps the files of all ears, and after
a commit sends each ear the keys whose bits it has set. The file `board` holds a random number that changes whenever an
ear comes or goes, so that a speaker looks at one word of shared memory to know that its list is still right.
"""

from __future__ import annotations

import math
import mmap
import os
import stat
import threading
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from smallage.core.errors import StoreRefused

if TYPE_CHECKING:
    import socket

BITS: Final = 32_768
HEAD: Final = 16
OVERFLOW: Final = 0
RUNG: Final = 1
"""A bell rang that nobody has answered yet."""
WAITING: Final = 2
"""Somebody sleeps until a bell rings."""
MAP_SIZE: Final = HEAD + BITS // 8
KEYS_A_DATAGRAM: Final = 256
DESCRIPTORS: Final = "/proc/self/fd"
LOOK_S: Final = 1.0
"""A waiting ear makes sure once in this time that it is still in its place."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[str]).decode
_WAKE: Final = _encode([])


def bell(queue: str) -> str:
    return "q" + queue


def change(task_or_group: str) -> str:
    return "t" + task_or_group


def box(name: str) -> str:
    return "m" + name


def _bit(key: str) -> int:
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % BITS


class Folder:
    """The runtime folder: short names for its sockets, and the board.

    A socket's address has room for 107 bytes only (103 on macOS), so a long path goes by way of a descriptor of the
    folder, or of a short folder in /tmp."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._open()

    _fd = -1

    def __del__(self) -> None:
        self._let_go()  # of a store that nobody has closed

    def _let_go(self) -> None:
        descriptor, self._fd = self._fd, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _open(self) -> None:
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if len(os.fsencode(self.path)) <= 70:
            self._prefix = str(self.path)
        elif os.path.isdir(DESCRIPTORS):
            self._prefix = f"{DESCRIPTORS}/{self._fd}"
        else:
            self._prefix = _short_folder(self.path)
        self.board = _map_file(self.path / "board", 8, keep=True)
        self._place = self._found()

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path / "board")
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def refresh(self) -> None:
        """Somebody may have removed the folder or the board: then begin anew, as the others do."""
        if self._found() == self._place:
            return
        with self._lock:
            if self._found() != self._place:
                self._let_go()
                self._open()
                self.new_round()

    def address(self, name: str) -> str:
        return f"{self._prefix}/{name}.sock"

    def new_round(self) -> None:
        """Tell speakers to list the ears again."""
        self.board[:8] = os.urandom(8)

    def names(self) -> list[str]:
        try:
            return [name[:-4] for name in os.listdir(self.path) if name.endswith(".map")]
        except FileNotFoundError:
            return []  # until `refresh`

    def remove(self, name: str) -> None:
        for path in (str(self.path / f"{name}.map"), self.address(name)):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass

    def close(self) -> None:
        self._let_go()
        self.board.close()

    def forget(self) -> None:
        """In a forked child: the parent's sockets stay, the descriptor goes."""
        self._let_go()


def _short_folder(path: Path) -> str:
    """Where the sockets of a folder with a long name go on systems that cannot reach it by way of a descriptor."""
    import hashlib

    name = f"/tmp/smallage-{os.geteuid()}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"  # noqa: S108
    os.makedirs(name, mode=0o700, exist_ok=True)
    found = os.lstat(name)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StoreRefused(f"{name} must be a folder that only you can enter: remove it")
    return name


def _map_file(path: Path, size: int, keep: bool = False) -> mmap.mmap:
    """Share the file's bytes. They are written out first: touching a page that the disk has no room for kills."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_CREAT
    descriptor = os.open(path, flags if keep else flags | os.O_EXCL, 0o600)
    try:
        if os.fstat(descriptor).st_size < size:
            os.pwrite(descriptor, bytes(size), 0)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def _new_socket() -> socket.socket:
    """A datagram socket. The module is slow to load, and those who find no ears never need it."""
    import socket

    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)


class Ear:
    """Hears the keys that it wants. One thread waits; any thread may want, drop and wake."""

    def __init__(self, folder: Folder, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        self._lock = threading.Lock()
        self._wanted: dict[str, int] = {}
        self._counts: dict[int, int] = {}
        self._closed = False
        self._pid = os.getpid()
        _sweep(folder)
        self._open()

    def _open(self) -> None:
        self._name = f"{self._kind}-{os.urandom(8).hex()}"
        self.socket = _new_socket()
        self.socket.setblocking(False)  # for good: two threads may read, and a socket's timeout belongs to both
        try:
            self.socket.bind(self._folder.address(self._name))
            self._map = _map_file(self._folder.path / f"{self._name}.map", MAP_SIZE)
        except BaseException:
            self.socket.close()
            self._folder.remove(self._name)
            raise
        self._folder.new_round()

    def want(self, keys: Iterable[str]) -> None:
        """Hear of these keys too. What is committed after this returns is heard."""
        with self._lock:
            for key in keys:
                if key not in self._wanted:
                    bit = self._wanted[key] = _bit(key)
                    self._counts[bit] = self._counts.get(bit, 0) + 1
                    self._map[HEAD + (bit >> 3)] |= 1 << (bit & 7)

    def drop(self, keys: Iterable[str]) -> None:
        with self._lock:
            for key in keys:
                bit = self._wanted.pop(key, None)
                if bit is None:
                    continue
                self._counts[bit] -= 1
                if not self._counts[bit]:
                    del self._counts[bit]
                    self._map[HEAD + (bit >> 3)] &= ~(1 << (bit & 7)) & 0xFF

    @property
    def wanted(self) -> set[str]:
        with self._lock:
            return set(self._wanted)

    def hear(self, timeout: float | None) -> set[str] | None:
        """Wanted keys that were spoken, at once if there are some; empty after `timeout` seconds or a wake. None: the
        ear was not in its place for a while, so anything may have happened."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._closed:
            left = LOOK_S if end is None else min(LOOK_S, end - time.monotonic())
            heard = self._receive(max(left, 0.0))
            if heard is not None:
                return heard
            if self._misplaced():
                return None
            if end is not None and time.monotonic() >= end:
                return set()
        return set()

    def _receive(self, timeout: float) -> set[str] | None:
        """All that has arrived, waiting up to `timeout` seconds for the first; None if nothing came."""
        heard: set[str] | None = None
        try:
            if timeout > 0:
                import select

                poll = select.poll()
                poll.register(self.socket, select.POLLIN)
                poll.poll(math.ceil(timeout * 1000))
            while True:
                datagram = self.socket.recv(262_144)
                heard = heard or set()
                heard.update(_decode(datagram))
        except BlockingIOError:
            pass
        except (OSError, ValueError):
            return set()  # closed by another thread
        if self._map[OVERFLOW]:
            self._map[OVERFLOW] = 0
            return self.wanted
        return None if heard is None else heard & self.wanted

    def hear_bell(self, timeout: float) -> bool:
        """True if one of the wanted bells rang since the last call, or rings within `timeout` seconds; perhaps also if
        the ear was woken or not in its place."""
        shared = self._map
        shared[WAITING] = 1
        try:
            if shared[RUNG]:
                return True
            heard = self.hear(timeout)
            return heard is None or bool(heard) or bool(self._map[RUNG])
        finally:
            # In this order: a bell that rings in between either finds us waiting still, or stays rung.
            self._map[RUNG] = 0
            self._map[WAITING] = 0

    def drain(self) -> bool:
        """Forget what has arrived; True if there was something."""
        self._map[RUNG] = 0
        return self._receive(0.0) is not None

    def _misplaced(self) -> bool:
        """True, and the ear is set up anew, if somebody removed its files."""
        with self._lock:
            if self._closed or os.path.exists(self._folder.path / f"{self._name}.map"):
                return False
            self._folder.refresh()
            self.socket.close()
            self._open()
            for bit in self._counts:
                self._map[HEAD + (bit >> 3)] |= 1 << (bit & 7)
            return True

    def wake(self) -> None:
        """Make the waiting thread return."""
        try:
            with _new_socket() as other:
                other.setblocking(False)
                other.sendto(_WAKE, self._folder.address(self._name))
        except OSError:
            pass  # full is loud enough; gone needs no waking

    def close(self) -> None:
        if self._closed or self._pid != os.getpid():
            return
        self.wake()
        with self._lock:
            self._closed = True
            self._folder.remove(self._name)
            self._folder.new_round()
            self.socket.close()


def _sweep(folder: Folder) -> None:
    """Remove ears that dead processes left behind."""
    with _new_socket() as probe:
        for name in folder.names():
            try:
                probe.connect(folder.address(name))
            except ConnectionRefusedError:
                folder.remove(name)
            except OSError:
                pass


class Speaker:
    """Sends keys to the ears that want them. Safe between threads; never blocks."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._round = b""
        self._ears: dict[str, mmap.mmap] = {}
        self._lock = threading.Lock()
        self._voice: socket.socket | None = None
        self._turn = os.getpid()
        """Whose turn it is to be woken; begins elsewhere in each process."""

    def _send_to(self, name: str, datagram: bytes) -> None:
        with self._lock:
            if self._voice is None:
                self._voice = _new_socket()
                self._voice.setblocking(False)
        self._voice.sendto(datagram, self._folder.address(name))

    def listeners(self) -> dict[str, mmap.mmap]:
        """The ears there are. Empty is the common case for a lone producer, and costs nothing more."""
        seen = self._folder.board[:8]
        if seen != self._round:
            with self._lock:
                self._ears = {name: found for name in self._folder.names() if (found := self._map(name)) is not None}
                self._round = seen
        return self._ears

    def _map(self, name: str) -> mmap.mmap | None:
        known = self._ears.get(name)
        if known is not None:
            return known
        try:
            descriptor = os.open(self._folder.path / f"{name}.map", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return mmap.mmap(descriptor, MAP_SIZE) if os.fstat(descriptor).st_size >= MAP_SIZE else None
        finally:
            os.close(descriptor)

    def say(self, keys: Iterable[str]) -> None:
        """Send each ear those of the keys that it wants."""
        ears = self.listeners()
        if not ears:
            return
        bits = [(key, HEAD + ((bit := _bit(key)) >> 3), 1 << (bit & 7)) for key in keys]
        for name, wants in list(ears.items()):
            hits = [key for key, byte, mask in bits if wants[byte] & mask]
            for start in range(0, len(hits), KEYS_A_DATAGRAM):
                self._send(name, wants, _encode(hits[start : start + KEYS_A_DATAGRAM]))

    def ring(self, strokes: dict[str, int]) -> None:
        """Ring bells: every ear that wants one will know when it looks, and so many sleepers are woken as there are
        strokes; more would come for nothing."""
        ears = self.listeners()
        if not ears:
            return
        for key, n in strokes.items():
            bit = _bit(key)
            byte, mask = HEAD + (bit >> 3), 1 << (bit & 7)
            asleep: list[tuple[str, mmap.mmap]] = []
            for name, wants in list(ears.items()):
                if wants[byte] & mask:
                    wants[RUNG] = 1
                    if wants[WAITING]:
                        asleep.append((name, wants))
            self._turn += 1
            while asleep and n > 0:
                name, wants = asleep.pop(self._turn % len(asleep))
                wants[WAITING] = 0
                n -= self._send(name, wants, _encode([key]))

    def shout(self) -> None:
        """Tell every ear that anything may have changed."""
        for name, wants in list(self.listeners().items()):
            self._overflow(name, wants)

    def _send(self, name: str, wants: mmap.mmap, datagram: bytes) -> bool:
        """False if nobody is there any more."""
        try:
            self._send_to(name, datagram)
        except (ConnectionRefusedError, FileNotFoundError):
            self._folder.remove(name)
            self._ears.pop(name, None)
            return False
        except OSError:
            self._overflow(name, wants)
        return True

    def _overflow(self, name: str, wants: mmap.mmap) -> None:
        wants[OVERFLOW] = 1
        try:
            self._send_to(name, _WAKE)
        except OSError:
            pass  # still no room: the ear has yet to read, and will see the byte then

    def close(self) -> None:
        if self._voice is not None:
            self._voice.close()
