"""What type checkers see. mypy checks this file in `make check`: an `ignore` that is not needed is an error there."""

from __future__ import annotations

from typing import Any, assert_type

from smallage import AsyncResult, GroupResult, Smallage
from smallage.result import EagerResult

app = Smallage("typing", broker="memory://", set_as_current=False, task_always_eager=True)


@app.task
def add(a: int, b: int = 1) -> int:
    return a + b


@app.task(max_retries=5, queue="mail")
def send(to: str, *, subject: str = "") -> list[str]:
    return [to, subject]


@app.task(bind=True)
def bound(self: Any, a: int) -> str:
    return str(a)


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


@app.task(bind=True, time_limit=5)
async def bound_fetch(self: Any, url: str) -> bytes:
    return url.encode()


def test_delay_has_the_functions_parameters() -> None:
    assert_type(add.delay(1), AsyncResult[int])
    assert_type(add.delay(1, b=2).get(), int)
    assert_type(send.delay("you", subject="hi").get(), list[str])


def test_a_bound_task_drops_its_first_parameter() -> None:
    assert_type(bound.delay(1).get(), str)
    assert_type(bound_fetch.delay("u").get(), bytes)


def test_async_tasks_give_their_value() -> None:
    assert_type(fetch.delay("u"), AsyncResult[bytes])
    assert_type(fetch.delay("u").get(), bytes)


def test_the_other_ways_to_call() -> None:
    assert_type(add.apply_async((1,), countdown=3), AsyncResult[int])
    assert_type(add.apply((1, 2)), EagerResult[int])
    assert_type(add.fan_out([(1,)]), GroupResult[int])
    assert_type(add.delay_many([(1,)]), list[AsyncResult[int]])
    assert_type(add(1, 2), int)


async def from_asyncio() -> None:
    assert_type(await add.adelay(1), AsyncResult[int])
    assert_type(await (await add.adelay(1)).aget(), int)
    assert_type(await fetch("u"), bytes)
    assert_type(await add.afan_out([(1,)]), GroupResult[int])
    await add.adelay("1")  # type: ignore[arg-type]


def wrong_calls() -> None:
    """Never called: each line is an error that a type checker must see."""
    add.delay("1")  # type: ignore[arg-type]
    add.delay()  # type: ignore[call-arg]
    add.delay(1, c=2)  # type: ignore[call-arg]
    bound.delay(None, 1)  # type: ignore[call-arg, arg-type]
    fetch.delay(3)  # type: ignore[arg-type]
    send.delay("a", "b")  # type: ignore[call-arg]
    value: str = add.delay(1).get()  # type: ignore[assignment]
    assert value
