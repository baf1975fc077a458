"""A store counts how often its server was lost from sight: workers compare their claims with it then."""

from __future__ import annotations

import redis

from smallage.stores import base


def test_a_lost_connection_is_counted(redis_url: str) -> None:
    store = base.open(redis_url)
    store.setup()
    assert store.breaks == 0
    with redis.Redis.from_url(redis_url) as other:
        other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    store.counts()
    assert store.breaks == 1
    store.close()
