"""URLs: every spelling, and no secret ever shown."""

from __future__ import annotations

import pytest

from smallage.core.errors import ImproperlyConfigured, SmallageError
from smallage.stores import base
from smallage.stores.redis import open as open_store
from smallage.stores.redis.address import parse


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://", "redis://localhost:6379/0"),
        ("redis://host", "redis://host:6379/0"),
        ("redis://host:7000/3", "redis://host:7000/3"),
        ("redis://host?db=4", "redis://host:6379/4"),
        ("redis://user:secret@host/1", "redis://host:6379/1"),
        ("redis://:secret@[::1]:7000/1", "redis://[::1]:7000/1"),
        ("valkey://host/2", "redis://host:6379/2"),
        ("rediss://host", "rediss://host:6379/0"),
        ("valkeys://host", "rediss://host:6379/0"),
        ("unix:///run/redis.sock?db=5", "unix:///run/redis.sock?db=5"),
        ("unix://:secret@/run/redis.sock", "unix:///run/redis.sock?db=0"),
        ("redis+socket:///run/redis.sock?virtual_host=6", "unix:///run/redis.sock?db=6"),
        ("sentinel://h1,h2:7/3?master_name=x", "sentinel://h1:26379,h2:7/3?master_name=x"),
        ("sentinel://u:secret@h1:1/2;sentinel://h2:2/2?master_name=x", "sentinel://h1:1,h2:2/2?master_name=x"),
        ("sentinel://:secret@h1:1;h1:1;[::1]:2/0?master_name=x;", "sentinel://h1:1,[::1]:2/0?master_name=x"),
        ("sentinels://h/?master_name=x&db=4", "sentinels://h:26379/4?master_name=x"),
        ("sentinel://h?master_name=x&ssl=1", "sentinel://h:26379/0?master_name=x&ssl=1"),
        ("sentinel://h?master_name=x&sentinel_ssl=1", "sentinel://h:26379/0?master_name=x&sentinel_ssl=1"),
    ],
)
def test_spellings(url: str, shown: str) -> None:
    assert parse(url).shown == shown
    assert base.open(url).url == shown


def test_what_a_url_says() -> None:
    address = parse("rediss://us%40er:p%2Fw@host:7000/2?ssl_ca_certs=/ca.pem&socket_timeout=1.5&allow_eviction=1")
    assert (address.username, address.password, address.database) == ("us@er", "p/w", 2)
    assert (address.tls, address.verify, address.ca_certs) == (True, True, "/ca.pem")
    assert (address.read_seconds, address.allow_eviction, address.pin_epoch) == (1.5, True, False)


def test_what_a_sentinel_url_says() -> None:
    address = parse(
        "sentinel://us%40er:p%2Fw@h1:1;sentinel://us%40er:p%2Fw@h2/2?master_name=x&min_other_sentinels=1&ssl=1"
        "&ssl_ca_certs=/ca.pem&sentinel_password=other&sentinel_socket_timeout=2&socket_timeout=9"
    )
    assert address.sentinels == (("h1", 1), ("h2", 26379))
    assert (address.username, address.password, address.database) == ("us@er", "p/w", 2)
    assert (address.master, address.min_other_sentinels, address.tls, address.ca_certs) == ("x", 1, True, "/ca.pem")
    ask = address.ask
    assert ask is not None
    assert (ask.username, ask.password, ask.tls, ask.ca_certs) == (None, "other", False, None)
    assert (address.read_seconds, ask.read_seconds, ask.connect_seconds) == (9, 2, 1)


def test_one_certificate_authority_for_all_with_sentinels() -> None:
    address = parse("sentinels://h?master_name=x&ssl_ca_certs=/ca.pem&sentinel_ssl_check_hostname=0")
    ask = address.ask
    assert ask is not None
    assert (address.tls, address.check_hostname, address.ca_certs) == (True, True, "/ca.pem")
    assert (ask.tls, ask.verify, ask.check_hostname, ask.ca_certs) == (True, True, False, "/ca.pem")


def test_certificates_are_checked_unless_that_is_turned_off() -> None:
    assert parse("rediss://host").verify
    assert parse("rediss://host?ssl_cert_reqs=required").verify
    assert not parse("rediss://host?ssl_cert_reqs=none").verify
    assert not parse("rediss://host?ssl_cert_reqs=CERT_NONE").verify


@pytest.mark.parametrize(
    "url",
    [
        "redis://:canary@host:port/0",
        "redis://:canary@host/zero",
        "redis://:canary@host/-1",
        "redis://:canary@host?allow_eviction=perhaps",
        "redis://:canary@host?colour=red",
        "redis://:canary@host?socket_timeout=-1",
        "unix://?db=0",
        "sentinel://:canary@h",
        "sentinel://:canary@h:port/0?master_name=x",
        "sentinel://:canary@h1,:canary@h2/0?master_name=x",
        "sentinel://:canary@h1;sentinel://:canary2@h2?master_name=x",
        "sentinel://:canary@h1/1;sentinel://h2/2?master_name=x",
        "sentinel://:canary@h1;redis://h2?master_name=x",
        "sentinel://h1?master_name=x&sentinel_password=canary&sentinel_colour=red",
    ],
)
def test_urls_that_cannot_work_say_so_without_secrets(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        open_store(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("namespace", ["", "a{b", "a}b", "new\nline"])
def test_a_namespace_must_not_break_the_hash_tag(namespace: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        open_store("redis://", namespace=namespace)


def test_secrets_are_in_no_text(caplog: pytest.LogCaptureFixture) -> None:
    store = open_store("redis://canary-user:canary@127.0.0.1:1/0")
    with pytest.raises(SmallageError) as caught:
        store.setup()
    texts = [str(caught.value), repr(caught.value), store.url, repr(store), repr(vars(store)), caplog.text]
    texts.append(repr(parse("redis://:canary@host")))
    texts.append(repr(parse("sentinel://:canary@host?master_name=x&sentinel_password=canary")))
    assert not [text for text in texts if "canary" in text.replace("canary-user", "")]
