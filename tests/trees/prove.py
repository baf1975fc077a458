"""`make trees`: 10,000 random workflows on every store, with crashes, beside the reference; prints what they were like.

The SQLite file lies in memory-backed storage if there is any: what is proven here is not the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from smallage.stores.base import Store
from smallage.testing import FakeClock
from tests import redis_server
from tests.trees import making
from tests.trees.playing import opened
from tests.trees.proof import Tally, judge


class Stores:
    """Empty stores of one kind, one after the other."""

    def __init__(self, kind: str, folder: Path, redis_url: str) -> None:
        self._kind, self._folder, self._redis_url = kind, folder, redis_url
        self._made = 0

    @contextlib.contextmanager
    def fresh(self, clock: FakeClock) -> Iterator[Store]:
        """A store that nobody has used."""
        self._made += 1
        path = self._folder / f"{self._made}.db"
        if self._kind == "memory":
            store = opened("memory://", clock)
        elif self._kind == "sqlite":
            store = opened(f"sqlite:///{path}", clock)
        else:
            store = opened(self._redis_url, clock, namespace=f"n{self._made}")
        try:
            yield store
        finally:
            store.close()
            for one in self._folder.glob(f"{self._made}.db*"):
                if one.is_dir():
                    shutil.rmtree(one)
                else:
                    one.unlink(missing_ok=True)


def prove(kind: str, n: int, number: int, stores: Stores) -> Tally:
    """Play `n` trees on stores of a kind. Raises AssertionError for the first that comes out otherwise."""
    tally = Tally()

    @seed(number)
    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(making.trees(), st.integers(0, 2**40))
    def play(tree: Any, chance: int) -> None:
        clock = FakeClock()
        with stores.fresh(clock) as store:
            judge(store, clock, tree, chance, tally)

    play()
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stores", default="memory,sqlite,redis")
    options = parser.parse_args()
    logging.getLogger("smallage.stores").setLevel(logging.ERROR)  # what each of the stores says of its server
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        contextlib.ExitStack() as stack,
    ):
        kinds = options.stores.split(",")
        url = stack.enter_context(redis_server.private_server()).url if "redis" in kinds else ""
        for kind in kinds:
            began = time.monotonic()
            tally = prove(kind, options.n, options.seed, Stores(kind, Path(folder), url))
            print(f"{kind}: {tally}; {time.monotonic() - began:.0f} s", flush=True)
            assert tally.nested >= 0.3 * tally.trees, "too few trees are nested"
            assert tally.crashed >= 0.5 * tally.trees, "too few runs had a crash"


if __name__ == "__main__":
    main()
