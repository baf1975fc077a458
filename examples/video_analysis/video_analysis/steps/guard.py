"""Which addresses may be fetched: a server must not be a way into the network that it stands in.

A URL of a stranger may name the server itself, its neighbours, or the cloud provider's metadata service; its host may
resolve to one of them, or it may redirect there. So the rule is applied where connections are made: the host is
resolved once, all its addresses are checked, and the connection goes to one that was checked. A name that resolves
differently the next time gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from video_analysis.steps.errors import NotAllowed

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_6TO4 = ipaddress.ip_network("2002::/16")


@dataclass
class Guard:
    """The rule for one download; `refusal` is what it refused, if it did, whatever others made of the exception."""

    allow_private: bool = False
    """Also allow this computer and its network: for tests and for trying out offline."""
    refusal: NotAllowed | None = None

    def check_url(self, url: str) -> None:
        """Raise NotAllowed for what is no http or https URL with a host."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise self._refuse("This is not a valid web address.") from None
        if parts.scheme.lower() not in ("http", "https"):
            raise self._refuse("Only addresses that begin with http:// or https:// can be fetched.")
        if not host:
            raise self._refuse("This is not a valid web address: it names no host.")

    def resolve(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """The addresses of `host`, as `socket.getaddrinfo` gives them. Raises NotAllowed if any is not public, OSError
        if there are none."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not self.allow_private and not all(is_public(str(entry[4][0])) for entry in found):
            raise self._refuse(f"The address of {host} is not on the public internet, so it is not fetched.")
        return list(found)

    def connect(
        self, address: tuple[str, int], timeout: Any = None, source_address: tuple[str, int] | None = None
    ) -> socket.socket:
        """As `socket.create_connection`, to public addresses only."""
        failure: OSError = OSError(f"{address[0]} has no address")
        for family, kind, protocol, _, where in self.resolve(*address):
            connection = socket.socket(family, kind, protocol)
            try:
                if isinstance(timeout, (int, float)):
                    connection.settimeout(timeout)
                if source_address:
                    connection.bind(source_address)
                connection.connect(where)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        raise failure

    def _refuse(self, text: str) -> NotAllowed:
        self.refusal = NotAllowed(text)
        return self.refusal


def is_public(address: str) -> bool:
    """Can `address` (IPv4 or IPv6, as text) be reached from anywhere? IPv6 that stands for an IPv4 address is judged by
    that one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)))
        if ip in _6TO4:
            return is_public(str(ipaddress.IPv4Address(int(ip) >> 80 & 0xFFFF_FFFF)))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
