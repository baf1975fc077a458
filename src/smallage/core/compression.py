"""Payloads and results in fewer bytes: which methods there are, and how much may come out of one.

A compressed payload is a msgpack ext whose first byte says how the rest was written. What comes out is bounded while
it comes, so that a few bytes cannot fill the memory.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import Any, Final

from smallage.core.errors import DecodeError, ImproperlyConfigured

GZIP, ZLIB, ZSTD = 1, 2, 3
METHODS: Final = {
    "gzip": GZIP,
    "application/x-gzip": GZIP,
    "zlib": ZLIB,
    "application/zlib": ZLIB,
    "zstd": ZSTD,
    "application/zstd": ZSTD,
}
"""Celery's names of the methods that are offered → the mark in the bytes."""
MAX_PLAIN: Final = 64 * 2**20
"""Bytes that may come out of one payload or result."""
_WINDOWS: Final = {GZIP: 31, ZLIB: 15}


def method(name: Any) -> int | None:
    """The mark of a method by name; None for none. Raises ImproperlyConfigured for one that is not offered."""
    if name is None:
        return None
    found = METHODS.get(name) if isinstance(name, str) else None
    if found is None:
        raise ImproperlyConfigured(f"The compression {name!r} is not offered; use 'gzip', 'zlib' or 'zstd'.")
    if found == ZSTD:
        _zstd()
    return found


def squeeze(data: bytes, how: int) -> bytes:
    """The mark and `data` in fewer bytes; the same bytes for the same data."""
    if how == ZSTD:
        packed: bytes = _zstd().compress(data)
    else:
        maker = zlib.compressobj(wbits=_WINDOWS[how])
        packed = maker.compress(data) + maker.flush()
    return bytes((how,)) + packed


def expand(data: bytes) -> bytes:
    """What `squeeze` was given. Raises DecodeError for anything else, and above `MAX_PLAIN` bytes."""
    how, packed = data[:1], data[1:]
    if how and how[0] in _WINDOWS:
        return _inflate(packed, _WINDOWS[how[0]])
    if how == bytes((ZSTD,)):
        return _unzstd(packed)
    raise DecodeError("compressed by a method that is not ours")


def _inflate(packed: bytes, window: int) -> bytes:
    reader = zlib.decompressobj(wbits=window)
    try:
        made = reader.decompress(packed, MAX_PLAIN)
    except zlib.error as error:
        raise DecodeError(f"compressed bytes are damaged: {error}") from None
    if reader.unconsumed_tail or not reader.eof or reader.unused_data:
        _refuse(bool(reader.unconsumed_tail))
    return made


def _unzstd(packed: bytes) -> bytes:
    zstd = _zstd()
    reader = zstd.ZstdDecompressor()
    try:
        made: bytes = reader.decompress(packed, MAX_PLAIN)
    except zstd.ZstdError as error:
        raise DecodeError(f"compressed bytes are damaged: {error}") from None
    if not reader.eof or reader.unused_data:
        _refuse(not reader.eof and not reader.needs_input)
    return made


def _refuse(large: bool) -> None:
    raise DecodeError(
        f"more than {MAX_PLAIN:,} bytes come out of it"
        if large
        else "compressed bytes are cut short or followed by more"
    )


def _zstd() -> Any:
    """The standard library's module (Python 3.14), or its backport."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise ImproperlyConfigured(
        "zstd needs Python 3.14, or the package backports.zstd: pip install backports.zstd. gzip and zlib need nothing."
    )
