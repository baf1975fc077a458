"""What a supervisor and a child say to each other: one JSON object a line, over a pair of sockets."""

from __future__ import annotations

import math
import select
import socket

import msgspec

MOST_WAITING = 1 << 20
"""Bytes kept for a peer that does not read; beyond it, what is said is dropped (it is frozen or dying)."""


class Word(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing said. `kind` says which of the other fields mean something.

    From the supervisor: `drain` (seconds), `cancel` (id, tok), `lost` (session: the new one), `frozen`, `recycle`,
    `ask` (id: the ticket, text: the question). From the child: `hello` (store, options, lease), `announced`, `refused`
    (code, text), `thawed`, `recycling`, `answer` (id: the ticket, data: the value).
    """

    kind: str
    id: str = ""
    tok: int = 0
    session: str = ""
    seconds: float = 0.0
    text: str = ""
    code: int = 0
    data: dict[str, object] = {}


class Line:
    """One end of the pair."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._out = bytearray()
        self._in = bytearray()
        self._put_back: list[Word] = []
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Word).decode

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def say(self, word: Word) -> None:
        """Send, waiting for room: the child's end, whose supervisor always reads. Raises OSError when it is gone."""
        self._sock.sendall(self._encode(word) + b"\n")

    def say_later(self, word: Word) -> None:
        """Send without ever waiting; what finds no room is kept for `flush`."""
        if len(self._out) < MOST_WAITING:
            self._out += self._encode(word) + b"\n"
        self.flush()

    def flush(self) -> bool:
        """Send what is kept as far as there is room; True when nothing is left."""
        while self._out:
            try:
                sent = self._sock.send(self._out, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return False
            except OSError:
                self._out.clear()
                return True
            del self._out[:sent]
        return True

    def put_back(self, words: list[Word]) -> None:
        """Have the next `hear` return these."""
        self._put_back = words

    def hear(self, wait: bool) -> list[Word] | None:
        """What has been said; None when the other end is gone. Without `wait`, an empty list if nothing has come."""
        if self._put_back:
            words, self._put_back = self._put_back, []
            return words
        try:
            if not wait and not self._readable():  # MSG_DONTWAIT would not do: gevent's sockets wait all the same
                return []
            data = self._sock.recv(65536)
        except OSError:
            return None
        if not data:
            return None
        self._in += data
        *lines, rest = self._in.split(b"\n")
        self._in = bytearray(rest)
        return [self._decode(line) for line in lines]

    def hear_within(self, seconds: float) -> list[Word] | None:
        """What is said first within this time; an empty list if nothing is."""
        return self.hear(wait=False) if self._put_back or self._readable(seconds) else []

    def _readable(self, seconds: float = 0.0) -> bool:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(math.ceil(seconds * 1000)))
