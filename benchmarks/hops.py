"""How far a task travels in our own code: Python calls and files, on the memory store, second (warm) task.

    python benchmarks/hops.py [--list]

Out: `.delay()`. Back: a worker's fetch, run and settle, all its threads together; 32 tasks in one go, divided by 32, as
a busy worker has it, and one alone, as an idle one. `--list` names the functions.
"""

import argparse
import collections
import pathlib
import sys
import threading
import time

import smallage
from smallage import Smallage
from smallage.worker.inprocess import InProcessWorker

HOME = str(pathlib.Path(smallage.__file__).parent)
TARGET_CALLS, TARGET_FILES = 40, 6


class Count:
    """Python calls inside the package, in the thread that uses it as a context and in threads started under `spy`."""

    def __init__(self):
        self.calls = collections.Counter()
        self.on = False

    def spy(self, frame, event, _):
        if event == "call" and self.on and frame.f_code.co_filename.startswith(HOME):
            name = frame.f_code.co_filename[len(HOME) + 1 :], getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
            self.calls[name] += 1

    def __enter__(self):
        self.on = True
        sys.setprofile(self.spy)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        self.on = False

    def files(self):
        return {file for file, _ in self.calls}


def row(title, count, tasks, target=""):
    calls = count.calls.total() / tasks
    store = sum(file.startswith("stores/") for file in count.files())
    print(f"{title:44}{calls:6.0f} calls, {len(count.files()) - store:2} files and {store} of the store  {target}")


def details(count):
    for (file, name), n in sorted(count.calls.items()):
        print(f"      {n:4} {file} {name}")


def out(app, task):
    """Calls of the second `.delay()`."""
    task.delay(1, "some-video-id")
    with Count() as count:
        task.delay(2, "some-video-id")
    return count


def back(app, task, count, n):
    """Calls of all the worker's threads for `n` tasks, counted until it rests again."""
    time.sleep(0.2)
    count.calls.clear()
    count.on = True
    ids = [r.id for r in task.delay_many([(i, "some-video-id") for i in range(n)])]
    while not all(view is not None and view.state == "done" for view in app.store.state(ids)):
        time.sleep(0.01)
    time.sleep(0.2)
    count.on = False


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--list", action="store_true", help="name every function that was called")
    args = p.parse_args()
    app = Smallage("hops", broker="memory://")

    @app.task(name="noop")
    def noop(a, b):
        return a

    count = out(app, noop)
    files = {"store" if file.startswith("stores/") else file for file in count.files()}
    met = count.calls.total() <= TARGET_CALLS and len(files) <= TARGET_FILES
    row(
        ".delay()",
        count,
        1,
        f"target {TARGET_CALLS} calls, {TARGET_FILES} files (the store as one): {'yes' if met else 'no'}",
    )
    if args.list:
        details(count)
    count = Count()
    threading.setprofile(count.spy)
    with InProcessWorker(app, pool="threads", concurrency=1):
        threading.setprofile(None)
        back(app, noop, count, 64)  # warm
        for title, n in (("fetch → run → settle, 32 at once, a task", 32), ("fetch → run → settle, one alone", 1)):
            back(app, noop, count, n)
            row(title, count, n)
            if args.list:
                details(count)


if __name__ == "__main__":
    main()
