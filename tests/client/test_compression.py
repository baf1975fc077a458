"""`compression=`, `task_compression` and `result_compression`."""

from __future__ import annotations

from typing import Any

import pytest

from smallage.core import codec
from smallage.core.errors import ImproperlyConfigured
from tests.client.bench import Bench

TEXT = "the same again " * 100


def sizes(bench, result):
    """(bytes of the arguments, bytes of the result) in the store, once it has run."""
    (claim,) = bench.claim()
    size = len(claim.payload)
    outcome = bench.execute(claim)
    return size, len(outcome.result), codec.decode_result(outcome.result)


@pytest.mark.parametrize("where", ["call", "task", "setting"])
def test_arguments(where):
    bench = Bench(**({"task_compression": "zlib"} if where == "setting" else {}))
    own: Any = {"compression": "gzip"} if where == "task" else {}
    echo = bench.app.task(name="echo", **own)(lambda text, n=0: text)
    result = echo.apply_async(
        (TEXT,), {"n": 1}, headers={"a": 1}, **({"compression": "gzip"} if where == "call" else {})
    )
    size, large, value = sizes(bench, result)
    assert size < 200
    assert large > len(TEXT)
    assert value == TEXT


def test_a_plain_call_with_the_setting():
    bench = Bench(task_compression="gzip", result_compression="zlib")
    echo = bench.app.task(name="echo")(lambda text: text)
    size, small, value = sizes(bench, echo.delay(TEXT))
    assert size < 200
    assert small < 200
    assert value == TEXT


def test_results_are_read_whoever_asks():
    bench = Bench(result_compression="gzip")
    echo = bench.app.task(name="echo")(lambda text: text)
    results = [echo.delay(TEXT), echo.delay("short")]
    bench.run()
    assert [one.get() for one in results] == [TEXT, "short"]


def test_limits_of_the_call_are_seen_in_a_compressed_payload():
    from smallage import run

    bench = Bench(task_compression="gzip")
    bench.app.task(name="echo")(lambda text: text).apply_async((TEXT,), time_limit=9, soft_time_limit=7)
    (claim,) = bench.claim()
    assert run.limits(bench.app, claim) == (7, 9)


def test_methods_that_are_not_offered():
    bench = Bench()
    with pytest.raises(ImproperlyConfigured, match="bzip2"):
        bench.app.conf.task_compression = "bzip2"
    with pytest.raises(ImproperlyConfigured, match="bzip2"):
        bench.app.task(name="a", compression="bzip2")(lambda: None)
    with pytest.raises(ImproperlyConfigured, match="bzip2"):
        bench.app.task(name="b")(lambda: None).apply_async(compression="bzip2")
