# mypy: ignore-errors
"""Run the programs of one theme in this process and write a line of JSON for each: `client.py THEME OUT [NAME..]`."""

from __future__ import annotations

import importlib
import json
import signal
import sys

from tests.celery_diff import lab

SECONDS = 15.0


class OutOfTime(BaseException):
    """Not an Exception, so that nothing between here and the program takes it for a failure of its own."""


def ring(number, frame):
    raise OutOfTime


def run_one(function):
    lab.start_journal()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        outcome = function()
    except OutOfTime:
        return {"hangs": True}
    except Exception as error:
        return {"fails": lab.canonical(lab.shown(error))}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"outcome": lab.canonical(outcome)}


def main(theme, out, wanted):
    signal.signal(signal.SIGALRM, ring)
    module = importlib.import_module(lab.HERE + theme)
    with open(out, "a", encoding="utf-8") as stream:
        for name, function in lab.programs_of(module.__name__).items():
            if name not in wanted:
                continue
            print(json.dumps({"begins": name}), file=stream, flush=True)
            print(json.dumps({"ends": name, **run_one(function)}), file=stream, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
