"""Compressed payloads and results: what comes out is what went in, and a few bytes cannot fill the memory."""

from __future__ import annotations

import gzip
import zlib
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallage.core import codec, compression
from smallage.core.errors import DecodeError, ImproperlyConfigured

TEXT = "the same again " * 100
METHODS = [compression.GZIP, compression.ZLIB]


@pytest.mark.parametrize("how", METHODS)
@pytest.mark.parametrize("extras", [None, {"h": {"a": 1}, "l": [1, 2]}])
@pytest.mark.parametrize(("args", "kwargs"), [([TEXT], {}), ([], {"a": TEXT}), ([1, TEXT], {"b": [TEXT, None]})])
def test_arguments_come_back(how, args, kwargs, extras):
    plain = codec.encode_payload(args, kwargs, extras)
    small = codec.squeeze_payload(plain, how)
    assert len(small) < len(plain) / 5
    assert codec.decode_payload(small) == codec.decode_payload(plain) == (args, kwargs, extras or {})
    assert small == codec.squeeze_payload(plain, how), "a repeated push must be the same"


@pytest.mark.parametrize("how", METHODS)
@given(value=st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_results_come_back(how, value):
    plain = codec.encode_result([value, TEXT])
    assert plain is not None
    assert codec.decode_result(codec.squeeze_result(plain, how)) == [value, TEXT]


def test_what_would_not_get_smaller_is_left_alone():
    plain = codec.encode_payload((1, 2))
    assert codec.squeeze_payload(plain, compression.GZIP) == plain
    assert codec.squeeze_result(b"\x01", compression.GZIP) == b"\x01"


@pytest.mark.parametrize("how", METHODS)
def test_what_comes_out_is_bounded(how, monkeypatch):
    monkeypatch.setattr(compression, "MAX_PLAIN", 10_000)
    assert compression.expand(compression.squeeze(bytes(10_000), how)) == bytes(10_000)
    with pytest.raises(DecodeError, match="more than 10,000 bytes"):
        compression.expand(compression.squeeze(bytes(10_001), how))
    bomb = codec.squeeze_payload(codec.encode_payload((bytes(10**6),)), how)
    assert len(bomb) < 2000
    with pytest.raises(DecodeError, match="more than 10,000 bytes"):
        codec.decode_payload(bomb)
    with pytest.raises(DecodeError, match="more than 10,000 bytes"):
        codec.decode_result(codec.squeeze_result(codec.encode_result("x" * 10**6) or b"", how))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00rest",
        b"\x01",
        b"\x01rest",
        b"\x01" + gzip.compress(TEXT.encode())[:-4],
        b"\x01" + gzip.compress(TEXT.encode()) + b"more",
        b"\x02" + zlib.compress(TEXT.encode())[:-1],
        b"\x02" + zlib.compress(TEXT.encode()) + b"more",
    ],
    ids=["empty", "unknown", "gzip-none", "gzip-bad", "gzip-cut", "gzip-more", "zlib-cut", "zlib-more"],
)
def test_damaged_bytes(data):
    with pytest.raises(DecodeError):
        compression.expand(data)


def test_a_compressed_payload_is_read_as_strictly_as_a_plain_one():
    from msgspec.msgpack import Ext, encode

    def zipped(inside: object) -> Ext:
        return Ext(codec.ZIPPED, compression.squeeze(encode(inside), compression.ZLIB))

    assert codec.decode_payload(encode([zipped([[1], {"a": 2}])])) == ([1], {"a": 2}, {})
    for wrong in (
        [zipped([zipped([[1]])])],  # within itself
        [zipped([[zipped(1)]])],
        [zipped([[1], {}, {}])],
        [zipped([[1], [2]])],
        [zipped(3)],
        [zipped([[1]]), {"a": 1}],
        [zipped([[1]]), {}, {"h": zipped(1)}],
        [[1], {}, {"h": zipped(1)}],
        [[zipped(1)]],
        [Ext(99, b"x")],
        zipped([[1]]),
    ):
        with pytest.raises(DecodeError):
            codec.decode_payload(encode(wrong))
    with pytest.raises(DecodeError):
        codec.decode_value(encode(zipped(1)))


def test_names():
    assert compression.method(None) is None
    assert compression.method("gzip") == compression.method("application/x-gzip") == compression.GZIP
    assert compression.method("application/zlib") == compression.ZLIB
    for name in ("bzip2", "lzma", "", 3):
        with pytest.raises(ImproperlyConfigured, match="use 'gzip', 'zlib' or 'zstd'"):
            compression.method(name)


def test_zstd_says_what_it_needs_or_works():
    if not has_zstd():
        with pytest.raises(ImproperlyConfigured, match=r"pip install backports\.zstd"):
            compression.method("zstd")
        return
    assert compression.method("zstd") == compression.ZSTD
    small = codec.squeeze_payload(codec.encode_payload((TEXT,)), compression.ZSTD)
    assert codec.decode_payload(small)[0] == [TEXT]
    with pytest.raises(DecodeError):
        compression.expand(small[:20])


def has_zstd() -> bool:
    try:
        return bool(find_spec("compression.zstd") or find_spec("backports.zstd"))
    except ModuleNotFoundError:
        return False
