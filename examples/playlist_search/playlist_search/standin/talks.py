"""What is said in the stand-in's videos: made up, the same every time, with phrases at known seconds."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

LINE_SECONDS = 5.0
LINES = 60

TOPICS: dict[str, tuple[str, ...]] = {
    "Keeping bees on a roof": (
        "a colony in spring wants room before it wants honey",
        "smoke calms the bees because they fill up before a fire",
        "the queen is marked with a dot of paint this year blue",
        "you hear a swarm coming long before you see it",
        "never open a hive in the wind on the seventh floor",
    ),
    "Sourdough for engineers": (
        "the starter doubles in four hours at twenty six degrees",
        "hydration is the weight of the water over the weight of the flour",
        "fold the dough four times and leave it alone in between",
        "steam in the first ten minutes keeps the crust elastic",
        "write the temperatures down or you will never bake it twice",
    ),
    "Databases that do not lose things": (
        "a write ahead log is a promise that is written down first",
        "the checkpoint moves pages back while readers go on",
        "an index is a second copy that has to be kept honest",
        "idempotent means that doing it twice is doing it once",
        "measure the ninety ninth percentile and not the average",
    ),
    "Night trains of Europe": (
        "the sleeper to Vienna leaves from the far platform at nine",
        "couchette cars have six berths and one good reading lamp",
        "somewhere behind Salzburg the engine is changed without a jolt",
        "breakfast comes with the border and a stamp in the passport",
        "book the lower berth if you mean to look at the mountains",
    ),
    "Repairing old radios": (
        "replace the paper capacitors before you switch it on",
        "a glowing valve is not always a working valve",
        "the dial cord runs three times around the drum",
        "hum at fifty hertz comes from the power supply",
        "listen to the long wave after dark for the far stations",
    ),
    "Drawing maps by hand": (
        "start with the rivers because everything follows the water",
        "hachures show which way a hill falls and how steeply",
        "letter the names before you ink the borders",
        "a north arrow is the last thing and the first that is missed",
        "paper shrinks so every map needs its own scale bar",
    ),
}


@dataclass(frozen=True)
class Talk:
    """A video of the stand-in's."""

    number: int
    id: str
    title: str
    description: str
    lines: tuple[tuple[float, str], ...]
    """(second, what is said) of each line."""


def video_id(number: int) -> str:
    return f"standin{number:04d}" if number < 10_000 else f"s{number:010d}"


def phrase(number: int) -> tuple[int, str]:
    """(second, words) of what is said in this video and in no other."""
    line = 7 + number % (LINES - 10)
    return int(line * LINE_SECONDS), f"remember the word marker{number:04d}"


@lru_cache(maxsize=20_000)
def talk(number: int) -> Talk:
    """The video with this number."""
    dice = random.Random(number)
    topics = list(TOPICS)
    topic = topics[number % len(topics)]
    said = [*TOPICS[topic], *TOPICS[dice.choice(topics)]]
    dice.shuffle(said)
    at, words = phrase(number)
    lines = [(place * LINE_SECONDS, said[place % len(said)]) for place in range(LINES)]
    lines[int(at / LINE_SECONDS)] = (float(at), words)
    return Talk(
        number,
        video_id(number),
        f"{topic}, part {number // len(topics) + 1}",
        f"A talk about {topic.lower()}. Recorded in hall {number % 7 + 1}; all talks are on our channel.",
        tuple(lines),
    )
