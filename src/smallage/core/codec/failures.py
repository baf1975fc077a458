"""Exceptions ⇄ bytes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from smallage.core.codec.plain import plain, type_name
from smallage.core.codec.values import decode_value, encode
from smallage.core.errors import DecodeError, Reject, Retry
from smallage.core.wrapped import HEAD, unwrap

MAX_TRACEBACK: Final = 64 * 1024
"""Characters of a traceback that are kept: the first and the last half of these."""
MAX_MESSAGE: Final = 16 * 1024


class ErrorData(msgspec.Struct, frozen=True):
    """An exception as data. `args` hold what could travel of the exception's arguments, texts for the rest."""

    module: str
    kind: str
    args: tuple[Any, ...]
    message: str
    traceback: str | None = None
    extra: dict[str, Any] = {}
    """Attributes of `CARRIED`."""


CARRIED: Final[dict[type, tuple[str, ...]]] = {
    Reject: ("reason", "requeue"),
    Retry: ("message", "when", "excs"),
}
"""Attributes that our own exceptions keep beside their arguments on the way."""


def encode_error(error: BaseException, traceback: str | None = None) -> bytes:
    """An exception as bytes. Never raises: what cannot travel goes as text."""
    kind = type(error)
    message = _text(error, MAX_MESSAGE)
    module, name = kind.__module__, kind.__qualname__
    if isinstance(getattr(error, "exc_type", None), str) and hasattr(error, "remote_traceback"):
        module, name = "", getattr(error, "exc_type", name)  # a RemoteError passed on keeps its first type
        message = str(getattr(error, "message", message))
    extra = {attribute: _error_value(getattr(error, attribute, None)) for attribute in CARRIED.get(kind, ())}
    return encode([module, name, _error_args(error), message, _shorten(traceback), *([extra] if extra else [])])


def _error_args(error: BaseException) -> list[Any]:
    args: tuple[Any, ...] = error.args
    if isinstance(error, OSError) and len(args) == 2 and error.filename is not None:
        args = (*args, error.filename, *(() if error.filename2 is None else (None, error.filename2)))
    return [_error_value(value) for value in args]


def _error_value(value: Any) -> Any:
    """A value of an exception; text if it cannot travel or is large."""
    try:
        packed = plain(value, 1)
        return packed if len(encode(packed)) <= MAX_MESSAGE else _text(value, MAX_MESSAGE)
    except Exception:
        return _text(value, MAX_MESSAGE, repr)


def _text(value: Any, most: int, form: Any = str) -> str:
    """`value` as text that can be encoded, cut to `most` characters."""
    try:
        text = form(value)
    except Exception:
        text = f"<{type_name(value)} whose text cannot be made>"
    text = text if len(text) <= most else text[:most] + "…"
    clean: str = text.encode("utf-8", "replace").decode()
    return clean


def _shorten(traceback: str | None) -> str | None:
    if traceback is None:
        return None
    if len(traceback) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2
        traceback = f"{traceback[:half]}\n    …\n{traceback[-half:]}"
    return traceback.encode("utf-8", "replace").decode()


def decode_error(data: bytes) -> ErrorData:
    """An exception as data. Raises DecodeError."""
    if data[:1] == HEAD:
        data = unwrap(data)[0] or b""
    value = decode_value(data)
    try:
        module, kind, args, message, traceback = value[:5]
        extra = value[5] if len(value) > 5 and type(value[5]) is dict else {}
        made = ErrorData(module, kind, tuple(args), message, traceback, extra)
    except (TypeError, ValueError):
        raise DecodeError("not an error of ours") from None
    if not (isinstance(module, str) and isinstance(kind, str) and isinstance(message, str)):
        raise DecodeError("not an error of ours")
    return made
