"""Replies that never arrive: each verb repeats itself where that is safe, and no reply goes to the wrong call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smallage.core.errors import StoreUnavailable
from smallage.core.message import Done, Failed, settlement
from smallage.stores.base import ClaimRequest, GroupBatch
from smallage.stores.redis import RedisStore, scripts
from smallage.stores.redis import open as open_store
from tests.contract.kit import Session, task, uid, view
from tests.redis_server import RedisServer
from tests.stores.redis.conftest import Proxy

pytestmark = pytest.mark.redis


@pytest.fixture
def far(proxy: Proxy, store: RedisStore, server: RedisServer) -> Iterator[RedisStore]:
    """The same store over the proxy. The server knows the scripts, so that the reply that is lost is the answer."""
    opened = open_store(proxy.url)
    opened.setup()
    with server.client() as client:
        for verb in scripts.verbs():
            client.script_load(scripts.load(verb).text)
    opened.push([task(99, queue="warm")])
    yield opened
    opened.close()


def test_a_repeated_push_is_a_dup(far: RedisStore, proxy: Proxy) -> None:
    proxy.lose_reply()
    assert far.push([task(1)]) == ["dup"]
    proxy.lose_reply()
    assert far.push([task(2), task(3)]) == ["dup", "dup"]
    assert proxy.cuts == 2
    assert far.counts()["celery"] == {"ready": 3}


def test_a_repeated_group_push_is_a_dup(far: RedisStore, proxy: Proxy) -> None:
    proxy.lose_reply()
    assert far.group_push(GroupBatch(id=uid(100), template=task(0), rows=(b"a", b"b"), seal=True)) == "dup"
    group = far.group(uid(100))
    assert group is not None
    assert group.total == 2


def test_a_repeated_claim_is_the_same(far: RedisStore, proxy: Proxy) -> None:
    Session(far)
    far.push([task(n) for n in range(4)])
    proxy.lose_reply()
    claims = far.claim("s1", ClaimRequest(("celery",), 2, "nonce")).claims
    assert [claim.id for claim in claims] == [uid(0), uid(1)]
    assert far.counts()["celery"] == {"ready": 2, "running": 2}


def test_a_repeated_settle_is_a_dup_and_claims_the_same(far: RedisStore, proxy: Proxy) -> None:
    worker = Session(far)
    far.push([task(n) for n in range(4)])
    a, b = worker.claim(2)
    proxy.lose_reply()
    request = ClaimRequest(("celery",), 1, "next")
    settled = far.settle("s1", [settlement(a, Done(b"1", (task(50),))), settlement(b, Failed(b"no"))], request)
    assert settled.verdicts == ("dup", "dup")
    assert [claim.id for claim in settled.claimed.claims] == [uid(2)]
    assert far.counts()[""] == {**far.counts()[""], "done": 1, "dead": 1}
    assert view(far, 50).state == "ready"


@pytest.mark.parametrize("verb", ["tick", "announce", "held", "counts", "state"])
def test_other_safe_verbs_just_repeat(far: RedisStore, proxy: Proxy, verb: str) -> None:
    worker = Session(far)
    acts = {
        "tick": lambda: far.tick(["s1"]).unknown == (),
        "announce": lambda: bool(Session(far, "s1", names=worker.info.names)),
        "held": lambda: far.held("s1") == [],
        "counts": lambda: "" in far.counts(),
        "state": lambda: far.state([uid(1)]) == [None],
    }
    proxy.lose_reply()
    assert acts[verb]()
    assert proxy.cuts == 1
    assert [w.session for w in far.workers()] == ["s1"]


@pytest.mark.parametrize("verb", ["revoke", "requeue", "forget", "purge"])
def test_verbs_whose_answer_would_change_are_left_to_the_caller(far: RedisStore, proxy: Proxy, verb: str) -> None:
    far.push([task(1)])
    proxy.lose_reply()
    with pytest.raises(StoreUnavailable, match="may have happened"):
        far.purge("celery") if verb == "purge" else getattr(far, verb)([uid(1)])


def test_a_line_cut_at_any_byte_confuses_nobody(far: RedisStore, proxy: Proxy) -> None:
    worker = Session(far)
    far.push([task(1, b"payload")])
    whole = worker.claim(1)
    for size in range(1, 300, 7):
        proxy.cut_after(size)
        again = far.claim("s1", ClaimRequest(("celery",), 1, whole[0].nonce)).claims
        assert list(again) == whole
        assert view(far, 1).state == "running"
        assert far.payload(uid(1)) == (b"payload", None)
        assert far.counts()["celery"] == {"running": 1}
