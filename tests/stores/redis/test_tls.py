"""rediss://: the certificate counts, unless the user says otherwise."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from smallage.core.errors import StoreRefused
from smallage.core.message import Done
from smallage.stores.redis import open as open_store
from tests.contract.kit import Session, task
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def port(start_redis: Callable[..., RedisServer], certificate: Path) -> int:
    """The TLS port of a server that was built with TLS."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    try:
        start_redis(
            tls_port=str(number),
            tls_cert_file=str(certificate),
            tls_key_file=f"{certificate}.key",
            tls_ca_cert_file=str(certificate),
            tls_auth_clients="no",
        )
    except RuntimeError as error:
        pytest.skip(f"this server has no TLS: {error}")
    return number


def test_an_unknown_authority_is_refused(port: int) -> None:
    store = open_store(f"rediss://:canary@127.0.0.1:{port}/0")
    with pytest.raises(StoreRefused, match="ssl_ca_certs") as caught:
        store.setup()
    assert "canary" not in str(caught.value)
    store.close()


@pytest.mark.parametrize("how", ["ssl_ca_certs", "ssl_cert_reqs=none"])
def test_work_over_tls(port: int, certificate: Path, how: str) -> None:
    query = f"ssl_ca_certs={certificate}" if how == "ssl_ca_certs" else how
    store = open_store(f"rediss://127.0.0.1:{port}/0?{query}")
    store.setup()
    worker = Session(store, inbox="box")
    watch = store.watch()
    watch.add([task(1).id])
    store.push([task(1, b"x" * 100_000)])
    assert store.listen("s1", ["celery"], 10) is True
    assert store.listen("s1", ["other"], 0.01) is False
    worker.run(Done(b"y" * 100_000))
    assert watch.wait(30) == {task(1).id}
    assert store.revoke([task(1).id]) == ["ended"]
    box = store.mailbox("box")
    assert box.take() == []
    for closing in (box, watch, store):
        closing.close()
