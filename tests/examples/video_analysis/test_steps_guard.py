"""Strangers' addresses: what the server will connect to."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from video_analysis.steps.errors import NotAllowed
from video_analysis.steps.guard import Guard, is_public


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1"),
        *("::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ],
)
def test_these_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1", "64:ff9b::808:808"])
def test_these_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url", ["ftp://example.com/a", "file:///etc/passwd", "data:,x", "example.com/a", "http://", "http://[::1", "//x"]
)
def test_only_web_addresses_are_fetched(url: str) -> None:
    with pytest.raises(NotAllowed):
        Guard().check_url(url)


def resolving_to(*addresses: str) -> Any:
    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolve


def test_a_name_of_which_one_address_is_private_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("93.184.215.14", "10.0.0.1"))
    guard = Guard()
    with pytest.raises(NotAllowed, match=r"videos\.example is not on the public internet"):
        guard.connect(("videos.example", 80), 1.0)
    assert guard.refusal is not None


def test_the_connection_goes_to_an_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that means another machine at its second look-up (DNS rebinding) has no second look-up."""
    looked_up = []

    def rebinding(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        looked_up.append(host)
        return list(resolving_to("93.184.215.14" if len(looked_up) == 1 else "127.0.0.1")(host, port))

    reached = []
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket.socket, "connect", lambda self, where: reached.append(where))
    Guard().connect(("rebinding.example", 80), 1.0).close()
    assert reached == [("93.184.215.14", 80)]
    assert looked_up == ["rebinding.example"]
