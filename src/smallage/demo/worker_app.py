"""The app as the demonstration's worker loads it: `smallage worker smallage.demo.worker_app:app`."""

from __future__ import annotations

from smallage.demo.tasks import from_environment

app = from_environment().app
