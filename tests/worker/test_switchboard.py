"""Questions to children: how long they are waited for, and what is said when one does not answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from smallage.control.asking import ASK, Question
from smallage.stores.base import Order
from smallage.worker import switchboard
from smallage.worker.line import Word
from smallage.worker.switchboard import Switchboard


@dataclass
class Child:
    pid: int
    announced: bool = True
    heard: list[Word] = field(default_factory=list)

    @property
    def line(self) -> Any:
        return self

    def say_later(self, word: Word) -> None:
        self.heard.append(word)


class World:
    """A switchboard with two children, and a store that keeps what is answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(switchboard, "monotonic", lambda: self.now)
        self.board = Switchboard(lambda method, arguments: None)
        self.children: list[Any] = [Child(1), Child(2)]
        self.answered: list[Any] = []

    def answer(self, ticket: str, node: str, data: bytes) -> None:
        self.answered.append((ticket, node, msgspec.json.decode(data)))

    def ask(self, within: float) -> None:
        text = msgspec.json.encode(Question("active", within=within)).decode()
        self.board.ask(Order("s", ASK, "ticket", 0, text), "w@x", self.children, self)  # type: ignore[arg-type]

    def hear(self, child: int, *said: str) -> None:
        word = Word("answer", id="ticket", data={"value": list(said)})
        self.board.heard(self.children[child], word, "w@x", self)  # type: ignore[arg-type]

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.board.give_up_on_late("w@x", self)  # type: ignore[arg-type]

    def bury(self, child: int) -> None:
        self.board.gone(self.children[child], "w@x", self)  # type: ignore[arg-type]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_all_are_waited_for(world: World) -> None:
    world.ask(within=1.0)
    world.hear(0, "a")
    assert world.answered == []
    world.hear(1, "b")
    assert world.answered == [("ticket", "w@x", ["a", "b"])]


@pytest.mark.parametrize("within", [1.0, 30.0])
def test_they_have_most_of_the_time_in_which_an_answer_is_wanted(world: World, within: float) -> None:
    world.ask(within)
    world.hear(0, "a")
    world.pass_by(within * 0.79)
    assert world.answered == []
    world.pass_by(within * 0.02)
    assert world.answered == [("ticket", "w@x", ["a"])]


def test_the_dead_are_not_waited_for(world: World) -> None:
    world.ask(within=30.0)
    world.hear(0, "a")
    world.bury(1)
    assert world.answered == [("ticket", "w@x", ["a"])]


def test_when_all_have_died_the_next_one_is_asked(world: World) -> None:
    world.ask(within=30.0)
    world.bury(0)
    world.bury(1)
    assert world.answered == []
    world.children.append(Child(3))
    world.board.greet(world.children[2])
    world.hear(2, "c")
    assert world.answered == [("ticket", "w@x", ["c"])]


def test_a_question_of_an_older_program_is_answered_within_a_second(world: World) -> None:
    world.board.ask(Order("s", ASK, "ticket", 0, '{"method": "active"}'), "w@x", world.children, world)  # type: ignore[arg-type]
    world.pass_by(0.81)
    assert world.answered == [("ticket", "w@x", [])]
