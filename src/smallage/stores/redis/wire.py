"""One connection: a socket, the C parser of hiredis, and deadlines.

hiredis is used directly and not through redis-py: importing redis-py takes longer than starting Python and all of
Smallage together, and each call through it costs more than the server needs for its part.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from smallage.core.errors import ImproperlyConfigured, StoreRefused, StoreUnavailable
from smallage.stores.redis.address import Address

try:
    import hiredis
except ModuleNotFoundError:
    raise ImproperlyConfigured("The Redis store needs hiredis: pip install 'smallage[redis]'") from None

if TYPE_CHECKING:
    import ssl

Word: TypeAlias = str | bytes | int

_CHUNK = 65_536
_UNANSWERED_MS = 10_000
"""Linux drops a connection whose bytes the peer's kernel has not confirmed for this long."""


class ServerError(Exception):
    """An error reply. `code` is its first word, such as OOM or NOSCRIPT; the text has no full stop at its end."""

    def __str__(self) -> str:
        return super().__str__().rstrip(".")

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]


class Wire:
    """A connection that is logged in. Any failure closes it: after half a reply nothing on it can be trusted."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._reader = hiredis.Reader(protocolError=ConnectionError, replyError=ServerError)
        self._sock: socket.socket | None = None
        # A timeout of Python's costs a poll before each call; one of the kernel's, where it can be used, costs nothing.
        self._kernel_waits = not address.tls and socket.socket.__module__ == "socket"
        try:
            self._sock = _dial(address)
            if self._kernel_waits:
                self._sock.settimeout(None)
            self._be_patient(self._sock, address.read_seconds)
            self._greet()
        except (OSError, ServerError, StoreUnavailable) as error:
            self.close()
            raise _no_connection(address, error) from None

    def fileno(self) -> int:
        """The socket's descriptor, or -1 once closed."""
        return -1 if self._sock is None else self._sock.fileno()

    def send(self, packed: bytes) -> None:
        """Send packed commands. Raises StoreUnavailable."""
        sock = self._sock
        if sock is None:
            raise StoreUnavailable(f"The connection to {self.address.shown} was closed.")
        try:
            sock.sendall(packed)
        except OSError as error:
            self.close()
            raise _broken(self.address, error) from None

    def read(self, seconds: float = 0.0) -> Any:
        """The next reply; `seconds` is how long the command itself may wait. Raises ServerError for an error reply."""
        reply = self._await_reply(seconds)
        if isinstance(reply, ServerError):
            raise reply
        return reply

    def arrived(self) -> list[Any]:
        """The replies that are complete, without waiting; call when the socket is readable. Errors are in the list."""
        sock = self._sock
        if sock is None:
            raise StoreUnavailable(f"The connection to {self.address.shown} was closed.")
        try:
            self._take_what_is_there(sock)
            return self.buffered()
        except OSError as error:
            self.close()
            raise _broken(self.address, error) from None

    def buffered(self) -> list[Any]:
        """The replies that have been received already."""
        replies = []
        while (reply := self._reader.gets()) is not False:
            replies.append(reply)
        return replies

    def idle(self) -> bool:
        """True if the pooled connection still looks alive: no bytes and no end of stream wait to be read."""
        if self._sock is None or self._reader.has_data():
            return False
        try:
            self._take_what_is_there(self._sock)
        except OSError:
            return False
        return not self._reader.has_data()

    def close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def hang_up(self) -> None:
        """End the conversation from another thread: whoever reads gets an error, and closes."""
        sock = self._sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the server was faster

    def forget(self) -> None:
        """Let go of a connection inherited over a fork: only this process's descriptor goes, nothing is said."""
        sock, self._sock = self._sock, None
        if sock is not None:
            os.close(sock.detach())

    def _await_reply(self, seconds: float) -> Any:
        sock = self._sock
        if sock is None:
            raise StoreUnavailable(f"The connection to {self.address.shown} was closed.")
        try:
            if seconds:
                self._be_patient(sock, seconds + self.address.read_seconds)
            while (reply := self._reader.gets()) is False:
                self._feed(sock)
            if seconds:
                self._be_patient(sock, self.address.read_seconds)
            return reply
        except OSError as error:
            self.close()
            raise _broken(self.address, error) from None
        except BaseException:  # cancelled in mid-reply (gevent, Ctrl-C): the next reply read would be the wrong one
            self.close()
            raise

    def _be_patient(self, sock: socket.socket, seconds: float) -> None:
        if self._kernel_waits:
            whole, part = divmod(round(max(seconds, 0.001) * 1_000_000), 1_000_000)
            span = struct.pack("@ll", whole, part)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
        else:
            sock.settimeout(seconds)

    def _take_what_is_there(self, sock: socket.socket) -> None:
        """Read until nothing is left: what TLS has decrypted ahead makes no descriptor readable."""
        try:
            if self._kernel_waits:
                while True:
                    self._feed(sock, socket.MSG_DONTWAIT)
            else:
                sock.settimeout(0)
                try:
                    while True:
                        self._feed(sock)
                finally:
                    sock.settimeout(self.address.read_seconds)
        except OSError as error:
            if not _would_wait(error):
                raise

    def _feed(self, sock: socket.socket, flags: int = 0) -> None:
        data = sock.recv(_CHUNK, flags)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self._reader.feed(data)

    def _greet(self) -> None:
        address = self.address
        commands: list[tuple[Word, ...]] = []
        if address.password is not None:
            user = (address.username,) if address.username else ()
            commands.append(("AUTH", *user, address.password))
        if address.database:
            commands.append(("SELECT", address.database))
        commands.append(("CLIENT", "SETNAME", "smallage"))
        self.send(b"".join([pack(command) for command in commands]))
        for command in commands:
            try:
                self.read()
            except ServerError as error:
                if command[0] != "CLIENT" or error.code in ("NOAUTH", "LOADING"):
                    raise


def pack(words: Sequence[Word]) -> bytes:
    """A command in the protocol's spelling."""
    packed: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # its stub knows one word only
    return packed


def _dial(address: Address) -> socket.socket:
    if address.path is not None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(address.connect_seconds)
            sock.connect(address.path)
        except BaseException:
            sock.close()
            raise
    else:
        sock = socket.create_connection((address.host, address.port), address.connect_seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MS)
    if address.tls:
        sock = _wrap(sock, address)
    return sock


def _wrap(sock: socket.socket, address: Address) -> ssl.SSLSocket:
    import ssl

    context = ssl.create_default_context(cafile=address.ca_certs)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not (address.verify and address.check_hostname):
        context.check_hostname = False
    if not address.verify:
        context.verify_mode = ssl.CERT_NONE
    if address.certificate:
        context.load_cert_chain(address.certificate, address.private_key)
    try:
        return context.wrap_socket(sock, server_hostname=address.host)
    except BaseException:
        sock.close()
        raise


def _would_wait(error: OSError) -> bool:
    """True if nothing has arrived; TLS has its own errors for that, and `ssl` is imported only when it is in use."""
    return isinstance(error, BlockingIOError) or type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError")


def _broken(address: Address, error: BaseException) -> StoreUnavailable:
    late = isinstance(error, (TimeoutError, BlockingIOError))
    why = "no answer in time" if late else str(error)
    lost = StoreUnavailable(f"The connection to {address.shown} broke: {why}. What was asked may have happened.")
    lost.waited = late
    return lost


def _no_connection(address: Address, error: BaseException) -> StoreUnavailable | StoreRefused:
    if isinstance(error, StoreUnavailable):
        return error
    if isinstance(error, ServerError) and "max number of clients" in str(error):
        return StoreUnavailable(f"{address.shown} has no connection left. Raise its maxclients, or run fewer workers.")
    if isinstance(error, ServerError) and error.code in ("WRONGPASS", "NOAUTH", "NOPERM", "ERR"):
        if address.is_sentinel:
            return StoreRefused(
                f"{address.shown} does not let Smallage in: {error}. Sentinels have user and password of their own: "
                "broker_transport_options = {'sentinel_kwargs': {'password': …}}, or ?sentinel_password=… in the URL."
            )
        return StoreRefused(
            f"{address.shown} does not let Smallage in: {error}. Check user, password and database number of the URL."
        )
    if type(error).__name__ == "SSLCertVerificationError":
        start = "sentinel_" if address.is_sentinel else ""
        return StoreRefused(
            f"The certificate of {address.shown} was not accepted: {error}. Name your authority with "
            f"?{start}ssl_ca_certs=/path/ca.pem; ?{start}ssl_check_hostname=0 accepts one for another name, "
            f"?{start}ssl_cert_reqs=none any, if the network is trusted."
        )
    away = StoreUnavailable(f"{address.shown} cannot be reached: {error}. Is the server running?")
    away.waited = isinstance(error, TimeoutError)
    return away
