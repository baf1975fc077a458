"""The application that the kill loop runs and shoots at; as a program, its producer.

Everything that happens is written to $SMALLAGE_HISTORY before the next step: by the store's wrapper (claims and
settlements), by the task itself (`start`, `effect`), by the producer (pushes).

    python kill_app.py        reads numbers from stdin, one a line, and pushes so many tasks for each
"""

import os
import random
import sys
import time
import uuid

from smallage import Smallage
from smallage.core.errors import StoreError, StoreUnavailable
from smallage.stores import base
from smallage.testing import History, HistoryStore


class Timed(History):
    """Every line with the time, monotonic µs: one clock for all processes of the machine."""

    def extend(self, lines):
        """Write several lines in one go."""
        t = time.monotonic_ns() // 1000
        super().extend((event, act, {"t": t, **fields}) for event, act, fields in lines)


history = Timed(os.environ["SMALLAGE_HISTORY"])
note = history.append
_open = base.open


def recorded(url, **options):
    """Open a store whose verbs are written down."""
    return HistoryStore(_open(url, **options), history)


base.open = recorded
app = Smallage("kill", broker=os.environ["KILL_LOOP_STORE"])


@app.task(name="work", bind=True)
def work(self, number, seconds):
    run = {"id": self.request.id, "gen": self.request.generation, "tok": self.request.token}
    note("start", "start", **run)
    time.sleep(seconds)
    note("effect", "effect", **run)
    return number


def produce(numbers, seed):
    """Push tasks of 20 to 200 ms. A push whose answer is lost is repeated with the same id until it is known."""
    rng, sent = random.Random(seed), 0
    for line in numbers:
        for _ in range(int(line)):
            push(str(uuid.UUID(int=rng.getrandbits(128), version=4)), sent, rng.uniform(0.02, 0.2))
            sent += 1


def push(task_id, number, seconds, patience=30):
    end = time.monotonic() + patience
    note("invoke", "push", id=task_id)
    while True:
        try:
            work.apply_async((number, seconds), task_id=task_id)
        except StoreUnavailable:
            if time.monotonic() > end:
                note("info", "push", id=task_id)
                return
            time.sleep(0.05)
        except StoreError:
            note("fail", "push", id=task_id)
            return
        else:
            note("ok", "push", id=task_id, verdict="ok")
            return


if __name__ == "__main__":
    produce(sys.stdin, int(os.environ["KILL_LOOP_SEED"]))
