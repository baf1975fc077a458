"""Bytes of server memory for each task: the layout keeps small records small."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from smallage.core.message import Done, Envelope, Message, settlement
from smallage.stores.base import ClaimRequest, GroupBatch, SessionInfo
from smallage.stores.redis import RedisStore
from smallage.stores.redis import open as open_store
from smallage.stores.redis.keys import encode_id
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.redis, pytest.mark.slow]

N = 50_000
ENVELOPE = Envelope(name="shop.tasks.send_receipt")
PAYLOAD = b"\x93\x92\x01\x02\x80" + b"0123456789abcde"


@pytest.fixture
def plain(start_redis: Callable[..., RedisServer]) -> RedisServer:
    return start_redis()


@pytest.fixture
def store(plain: RedisServer) -> Iterator[RedisStore]:
    opened = open_store(plain.url)
    opened.setup()
    opened.announce("worker", SessionInfo())
    opened.push([message()])
    finish(opened)
    yield opened
    opened.close()


def message() -> Message:
    return Message(str(uuid.uuid4()), PAYLOAD, ENVELOPE)


def finish(store: RedisStore) -> None:
    while claims := store.claim("worker", ClaimRequest(("celery",), 100, uuid.uuid4().hex[:16])).claims:
        store.settle("worker", [settlement(claim, Done(b"\x05")) for claim in claims])


def used(server: RedisServer) -> int:
    with server.client() as client:
        client.memory_purge()
        return int(client.info("memory")["used_memory"])


def test_a_task_of_its_own(plain: RedisServer, store: RedisStore) -> None:
    empty = used(plain)
    for _ in range(N // 1000):
        store.push([message() for _ in range(1000)])
    assert (used(plain) - empty) / N <= 230
    finish(store)
    assert (used(plain) - empty) / N <= 250


def test_a_member_of_a_group(plain: RedisServer, store: RedisStore) -> None:
    group = str(uuid.uuid4())
    empty = used(plain)
    for offset in range(0, N, 1000):
        rows = tuple(b"\x92\x01%016d" % index for index in range(offset, offset + 1000))
        batch = GroupBatch(id=group, template=message(), offset=offset, rows=rows, seal=offset + 1000 == N)
        template = Message(group, PAYLOAD, ENVELOPE)
        store.group_push(GroupBatch(id=group, template=template, offset=offset, rows=rows, seal=batch.seal))
    assert (used(plain) - empty) / N <= 60
    finish(store)
    assert (used(plain) - empty) / N <= 60
    view = store.group(group)
    assert view is not None
    assert view.done == N


@pytest.mark.parametrize("size", [20, 64, 65, 1_000])
def test_records_stay_compact_lists(plain: RedisServer, store: RedisStore, size: int) -> None:
    one = Message(str(uuid.uuid4()), b"p" * size, ENVELOPE)
    key = b"{smallage}:t:" + encode_id(one.id)
    with plain.client() as client:

        def encoding() -> object:
            return client.object("encoding", key)

        store.push([one])
        assert encoding() in (b"listpack", b"ziplist")
        (claim,) = store.claim("worker", ClaimRequest(("celery",), 1, "nonce")).claims
        assert claim.payload == b"p" * size
        assert encoding() in (b"listpack", b"ziplist")
        store.settle("worker", [settlement(claim, Done(b"r" * size))])
        assert encoding() in (b"listpack", b"ziplist")
        (view,) = store.state([one.id])
        assert view is not None
        assert view.result == b"r" * size
        assert client.exists(b"{smallage}:p:" + encode_id(one.id)) == 0
        store.forget([one.id])
        assert not [k for k in client.scan_iter() if encode_id(one.id) in k]
