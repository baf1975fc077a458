"""Is this server fit to keep tasks? Checked at setup; what cannot be asked is warned about."""

from __future__ import annotations

import logging
import re

from smallage.core.errors import StoreRefused
from smallage.stores.redis.link import Link
from smallage.stores.redis.wire import ServerError

logger = logging.getLogger("smallage.stores.redis")

OLDEST = (6, 2)

_FIXED = {
    "redis": {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
    "valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4},
}
"""First patch release of each series without CVE-2025-49844 (scripts could run code in the server)."""
_FIXED_FROM = {"redis": (8, 3), "valkey": (9, 0)}


def check(link: Link) -> None:
    """Raise StoreRefused for a server that cannot keep tasks safely; log what is merely unwise."""
    info = _info(link)
    if "sentinel" in (info.get("redis_mode"), info.get("server_mode")):  # Redis, Valkey
        raise StoreRefused(
            f"{link.address.shown} is a sentinel and keeps no tasks. To ask it for its master, write "
            f"sentinel://{link.address.host}:{link.address.port}/0?master_name=mymaster."
        )
    _version(link.address.shown, info)
    _eviction(link, info)
    _persistence(link.address.shown, info)
    if link.address.sentinels:
        _replication(link.address.shown, info)


def _info(link: Link) -> dict[str, str]:
    try:
        text: str = link.command("INFO").decode(errors="replace")
    except ServerError as error:
        if error.code != "NOPERM":
            raise link.refusal(error) from None
        logger.warning("%s: INFO is forbidden, so version and durability were not checked.", link.address.shown)
        return {}
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _version(where: str, info: dict[str, str]) -> None:
    kind = "valkey" if "valkey_version" in info else "redis"
    text = info.get(f"{kind}_version", "")
    version = _numbers(text)
    if len(version) < 3:
        return
    if version[:2] < OLDEST:
        raise StoreRefused(f"{where} is {kind} {text}. Smallage needs Redis 6.2 or newer, or Valkey.")
    series, patch = (version[0], version[1]), version[2]
    fixed = _FIXED[kind].get(series)
    if series < _FIXED_FROM[kind] and (fixed is None or patch < fixed):
        logger.warning(
            "%s is %s %s, a version with a known hole in its scripting (CVE-2025-49844). Update it; if your "
            "distribution repairs old versions, its package changelog says so.", where, kind, text,
        )  # fmt: skip


def _eviction(link: Link, info: dict[str, str]) -> None:
    policy = info.get("maxmemory_policy") or _configured_policy(link)
    if policy is None or policy == "noeviction":
        return
    text = (
        f"{link.address.shown} throws keys away when its memory is full (maxmemory-policy {policy}), tasks included. "
        "Set it with: CONFIG SET maxmemory-policy noeviction, and in redis.conf."
    )
    if not link.address.allow_eviction:
        raise StoreRefused(f"{text} To run all the same and lose tasks, add ?allow_eviction=1 to the URL.")
    logger.warning("%s allow_eviction is set: tasks can be lost.", text)


def _configured_policy(link: Link) -> str | None:
    try:
        reply = link.command("CONFIG", "GET", "maxmemory-policy")
    except ServerError:
        reply = []
    if not reply:
        logger.warning(
            "%s: CONFIG is forbidden, so the eviction policy was not checked. It must be noeviction.",
            link.address.shown,
        )
        return None
    policy: str = reply[1].decode()
    return policy


def _persistence(where: str, info: dict[str, str]) -> None:
    if info.get("aof_enabled") == "0":
        logger.warning(
            "Tasks live in Redis's memory: %s has no append-only file, and a restart of the server loses them. "
            "Turn it on with: CONFIG SET appendonly yes, and in redis.conf.", where,
        )  # fmt: skip


def _replication(where: str, info: dict[str, str]) -> None:
    """What a failover can keep. Nobody waits for replicas, so the last moments are at risk in any case."""
    if info.get("connected_slaves") == "0":
        logger.warning("%s: the master has no replica, so there is nothing to fail over to.", where)
    elif info and "min_slaves_good_slaves" not in info:
        logger.warning(
            "%s: a master that is cut off from its replicas goes on taking tasks, and the failover loses them. To have "
            "it refuse them: CONFIG SET min-replicas-to-write 1, on every server and in redis.conf. With a single "
            "replica no task is taken then while either of the two is away.", where,
        )  # fmt: skip
