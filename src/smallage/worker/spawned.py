"""Entry of a child that is a fresh interpreter: `python -m smallage.worker.spawned LINE BOARD SLOTS`."""

from __future__ import annotations

import sys


def _patch_if_gevent(pool: object) -> None:
    """gevent must replace the standard library's blocking calls before anything else has taken hold of them."""
    if pool == "gevent":
        from gevent import monkey

        monkey.patch_all()


def main() -> None:
    import os
    import socket

    line_fd, board_fd, slots = map(int, sys.argv[1:])
    # What is to be run is read before anything of ours is imported, for gevent's sake.
    pool = _peek_pool(socket.socket(fileno=os.dup(line_fd)))
    _patch_if_gevent(pool)
    import msgspec

    from smallage.worker.board import inherited
    from smallage.worker.child import Start
    from smallage.worker.child import main as child_main
    from smallage.worker.line import Line, Word

    os.set_inheritable(line_fd, False)
    line = Line(socket.socket(fileno=line_fd))
    words: list[Word] = []
    while not words:
        heard = line.hear(wait=True)
        if heard is None:
            os._exit(1)
        words = heard
    start = msgspec.convert(words[0].data, Start)
    line.put_back(words[1:])
    child_main(start, line, inherited(slots, board_fd))


def _peek_pool(sock: object) -> object:
    import json
    import socket

    assert isinstance(sock, socket.socket)
    with sock:
        size = 4096
        while True:
            data = sock.recv(size, socket.MSG_PEEK)
            if not data:
                raise SystemExit(1)
            first, newline, _ = data.partition(b"\n")
            if newline:
                return json.loads(first)["data"].get("pool")
            size *= 2


if __name__ == "__main__":
    main()
