"""What limits cost the server: nothing for those who have none, and the same however much is held back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from smallage.core.message import Done, Envelope, Message, settlement
from smallage.stores.base import ClaimRequest, LimitSpec, SessionInfo
from smallage.stores.redis import RedisStore
from smallage.stores.redis import open as open_store
from smallage.testing import FakeClock
from tests.contract.kit import Session, task, uid
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis

HOUR = 3_600_000_000
SLOW = Envelope(name="slow")


@pytest.fixture
def plain(start_redis: Callable[..., RedisServer]) -> RedisServer:
    return start_redis()


@pytest.fixture
def another(plain: RedisServer, clock: FakeClock) -> Iterator[Callable[[], RedisStore]]:
    """Opens stores of their own on one server, in which a task has run before."""
    opened: list[RedisStore] = []

    def open_another() -> RedisStore:
        one = open_store(plain.url, namespace=f"store{len(opened)}", clock=clock)
        opened.append(one)
        one.setup()
        one.announce("worker", SessionInfo())
        one.push([task(0)])
        (claim,) = one.claim("worker", ClaimRequest(("celery",), 1, "first")).claims
        one.settle("worker", [settlement(claim, Done(b"1"))])
        return one

    yield open_another
    for one in opened:
        assert one.audit() == []
        one.close()


@pytest.fixture
def store(another: Callable[[], RedisStore]) -> RedisStore:
    return another()


def hold_back(store: RedisStore, n: int) -> None:
    """Let a limit hold back `n` tasks; one more has the only token."""
    store.limit("task:slow", LimitSpec(1, HOUR))
    for start in range(1_000, 1_001 + n, 1_000):
        store.push([Message(uid(i), b"", SLOW) for i in range(start, min(start + 1_000, 1_001 + n))])
    for turn in range(n // 1_000 + 2):
        store.claim("worker", ClaimRequest(("celery",), 2, f"holding back {turn}"))
    assert store.limits()["task:slow"].held_back == n


def commands_of_a_claim(server: RedisServer, store: RedisStore) -> dict[str, int]:
    """How often a settle with a claim of 32 plain tasks calls each command."""
    store.push([task(n) for n in range(100, 164)])
    first = store.claim("worker", ClaimRequest(("celery",), 32, "before")).claims
    with server.client() as client:
        client.config_resetstat()
        done = [settlement(claim, Done(b"1")) for claim in first]
        settled = store.settle("worker", done, ClaimRequest(("celery",), 32, "measured"))
        stats = client.info("commandstats")
    assert len(settled.claimed.claims) == 32
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items() if "config" not in name}


def test_without_limits_a_claim_asks_once(plain: RedisServer, store: RedisStore) -> None:
    assert commands_of_a_claim(plain, store)["exists"] == 1


def test_held_back_tasks_cost_a_claim_nothing(plain: RedisServer, another: Callable[[], RedisStore]) -> None:
    """The commands are the same with 10 and with 10,000, and five more than with none."""
    none, few, many = another(), another(), another()
    hold_back(few, 10)
    hold_back(many, 10_000)
    commands = commands_of_a_claim(plain, few)
    assert commands == commands_of_a_claim(plain, many)
    assert sum(commands.values()) - sum(commands_of_a_claim(plain, none).values()) == 5


def test_one_claim_holds_back_a_bounded_part(plain: RedisServer, store: RedisStore) -> None:
    store.limit("task:slow", LimitSpec(1, HOUR))
    for start in range(1_000, 4_000, 1_000):
        store.push([Message(uid(i), b"", SLOW) for i in range(start, start + 1_000)])
    store.push([task(1)])
    claimed = store.claim("worker", ClaimRequest(("celery",), 2, "one"))
    assert [claim.id for claim in claimed.claims] == [uid(1_000)]
    assert claimed.next_due_us == claimed.now_us
    assert store.limits()["task:slow"].held_back == 1_000
    for turn in range(2):
        claimed = store.claim("worker", ClaimRequest(("celery",), 1, f"more {turn}"))
    assert [claim.id for claim in claimed.claims] == [uid(1)]


def test_a_revoked_one_leaves_no_more_than_its_entry(plain: RedisServer, store: RedisStore) -> None:
    """The list keeps an entry of a task that left it otherwise, and goes with the last task in it."""
    worker = Session(store, "w")
    hold_back(store, 3)
    assert store.revoke([uid(1_002)]) == ["cancelled"]
    assert store.limits()["task:slow"].held_back == 2
    assert store.forget([uid(1_002)]) == 1
    store.push([Message(uid(1_002), b"", SLOW)])
    store.limit("task:slow", None)
    assert worker.ids(10) == [uid(1_001), uid(1_003), uid(1_002)]
    with plain.client() as client:
        assert [key for key in client.scan_iter() if b":hb:" in key or b":hq:" in key or b":hl:" in key] == []
