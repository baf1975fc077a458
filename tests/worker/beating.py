"""An app with schedules, for the processes under test."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from smallage import signals
from smallage.app import Smallage
from smallage.testing.wrapper import Wrapper
from tests.worker.sample import say as say

app = Smallage("beating", task_ignore_result=True)


@app.task(name="note")
def note(what: str) -> None:
    say("tick", what)


if every := os.environ.get("BEATING_EVERY"):
    app.add_periodic_task(float(every), note.s("code"), name="code")


class DiesAfterFiring(Wrapper):
    """Kills its process when a tick has been sent, before anything else happens."""

    def around(self, verb: str, act: Any, args: Any, kwargs: Any) -> Any:
        answer = act(*args, **kwargs)
        if verb == "fire" and answer == "fired":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def tell(sender: Any, signal: Any, **_: Any) -> None:
    say("beat", signal.name)
    if "BEATING_STARTS_LONG" in os.environ:
        threading.Event().wait()
    if "BEATING_DIES" in os.environ and signal is signals.beat_init:
        app.use_store(DiesAfterFiring(app.store))


signals.beat_init.connect(tell)
signals.beat_embedded_init.connect(tell)
