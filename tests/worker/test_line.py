"""The line between supervisor and child."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
if "gevent" in sys.argv:
    from gevent import monkey
    monkey.patch_all()
import socket
from smallage.worker.line import Line, Word

ours, theirs = map(Line, socket.socketpair())
assert ours.hear(wait=False) == []
theirs.say(Word("hello"))
theirs.say_later(Word("drain", seconds=2.5))
assert [(word.kind, word.seconds) for word in ours.hear(wait=False)] == [("hello", 0.0), ("drain", 2.5)]
theirs.close()
assert ours.hear(wait=False) is None
"""


def test_looking_for_words_does_not_wait() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=30)


def test_nor_under_gevent_whose_sockets_ignore_dontwait() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, "gevent"], check=True, timeout=30)
