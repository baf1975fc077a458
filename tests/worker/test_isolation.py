"""What one run leaves behind does not reach the next one in its place, nor a neighbour. Real processes, one place."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from smallage import Smallage
from tests.worker.conftest import PATIENCE

SHOP = """
    import asyncio, contextvars, decimal
    from smallage import Smallage
    app = Smallage("shop")
    var = contextvars.ContextVar("var", default="clean")

    def soil(self):
        var.set("soiled")
        decimal.getcontext().prec = 3
        self.push_request(id="forged", retries=99, headers={"from": "soil"})
        self.request.retries = 7

    def seen(self):
        request = self.request
        return [var.get(), decimal.getcontext().prec, request.id, request.retries, request.headers]

    def both(self, what):
        return soil(self) if what == "soil" else seen(self)

    @app.task(bind=True)
    def plain(self, what):
        return both(self, what)

    @app.task(bind=True)
    async def coroutine(self, what):
        await asyncio.sleep(0)
        try:
            return both(self, what)
        finally:
            await asyncio.sleep(0)
"""


@pytest.mark.parametrize("pool", ["processes", "threads", "asyncio", "gevent"])
def test_context_of_a_run_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: str) -> None:
    """Context variables, the decimal context and pushed requests, between plain functions and coroutines."""
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/queue.db")
    with Smallage("sender", set_as_current=False) as app:
        looks: list[Any] = []
        for first in ("plain", "coroutine"):
            for second in ("plain", "coroutine"):
                app.send_task(f"shop.{first}", ("soil",))
                looks.append(app.send_task(f"shop.{second}", ("look",)))
        command = [sys.executable, "-m", "smallage", "worker", "shop", "-P", pool, "-c", "1", "--burst"]
        subprocess.run(command, check=True, timeout=PATIENCE, stderr=subprocess.DEVNULL)
        assert [one.get(timeout=PATIENCE) for one in looks] == [["clean", 28, one.id, 0, None] for one in looks]
