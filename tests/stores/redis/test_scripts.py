"""The scripts: what none of them may do, and what each begins with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import smallage.stores.redis
from smallage.core.message import Done
from smallage.stores.redis import RedisStore, scripts
from smallage.stores.redis.link import GROWING
from tests.contract.kit import Session, task, view
from tests.redis_server import RedisServer

FOLDER = Path(smallage.stores.redis.__file__).parent / "lua"
FILES = sorted(FOLDER.rglob("*.lua"))
READING = {
    "answers", "counts", "group", "held", "limits", "member_ids", "payload", "results", "schedule_names",
    "schedules", "state", "workers",
}  # fmt: skip
WRITES = re.compile(
    r"'(SET|HSET|HDEL|HINCRBY|SADD|SREM|ZADD|ZREM|RPUSH|LPUSH|LPOP|LREM|LTRIM|LMOVE|UNLINK|DEL|SETBIT|BITFIELD|RENAME"
    r"|PEXPIRE|EXPIRE|INCR|INCRBY)'"
)


def code(path: Path) -> str:
    return "\n".join(line.split("--")[0] for line in path.read_text().splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_script_parses_or_echoes_what_users_wrote(path: Path) -> None:
    forbidden = re.findall(r"cjson|cmsgpack|error_reply|loadstring|\bKEYS\[2|'KEYS'|'EXPIRE'", code(path))
    assert forbidden == []


@pytest.mark.parametrize("verb", scripts.verbs())
def test_every_verb_says_what_it_takes_and_answers(verb: str) -> None:
    lines = (FOLDER / f"{verb}.lua").read_text().splitlines()
    head = " ".join(line[2:] for line in lines[: next(i for i, line in enumerate(lines) if not line.startswith("-- "))])
    assert head
    assert "In:" in head or verb == "workers"
    assert "Key" in head
    assert "Answer" in head or verb in ("pause", "nudge")


@pytest.mark.parametrize("verb", scripts.verbs())
def test_a_verb_grows_drains_or_reads(verb: str) -> None:
    """Draining verbs begin with a write that a full server lets pass; growing ones must not; readers write nothing."""
    text = scripts.load(verb).text
    drains = "call('UNLINK', P .. '-')\n" in text
    if verb in READING:
        own = code(FOLDER / f"{verb}.lua")
        assert not drains
        assert not WRITES.search(own)
    else:
        assert drains or verb in GROWING
    if verb in GROWING - {"fire", "group_push", "push"}:
        assert not drains


@pytest.mark.redis
def test_forgotten_scripts_are_sent_again(server: RedisServer, store: RedisStore) -> None:
    worker = Session(store)
    with server.client() as client:
        for n in range(3):
            client.script_flush()
            assert store.push([task(n), task(n + 10)]) == ["ok", "ok"]
            client.script_flush()
            claim = worker.one()
            client.script_flush()
            assert worker.settle(claim, Done(b"1")) == "ok"
            client.script_flush()
            assert view(store, claim.id).state == "done"
            worker.tick()
        assert client.info("stats")["total_error_replies"] >= 12
    assert store.counts()[""]["done"] == 3
