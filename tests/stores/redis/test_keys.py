"""Ids in keys: short, and never two under one name."""

from __future__ import annotations

import uuid

from hypothesis import example, given
from hypothesis import strategies as st

from smallage.core.message import is_uuid, member_id
from smallage.stores.redis.keys import decode_id, encode_id

UUIDS = st.uuids().map(str)
IDS = st.one_of(
    st.text(min_size=1, max_size=40),
    UUIDS,
    UUIDS.map(str.upper),
    st.builds(member_id, UUIDS, st.integers(0, 10**6)),
    st.binary(min_size=15, max_size=15).map(lambda raw: raw.decode("latin-1")),
)


@given(IDS)
@example("x" * 15)
@example("y" * 14)
@example("\x00" * 16)
@example("\ud800")
def test_every_id_comes_back(task_id: str) -> None:
    assert decode_id(encode_id(task_id)) == task_id


@given(IDS, IDS)
@example("a" * 15, "a" * 15 + ".")
def test_two_ids_never_share_a_name(one: str, other: str) -> None:
    assert (encode_id(one) == encode_id(other)) == (one == other)


@given(st.binary(min_size=15, max_size=15))
def test_no_text_looks_like_a_uuid(raw: bytes) -> None:
    text = encode_id(raw.decode("latin-1"))
    assert len(text) != 16


@given(st.text("0123456789abcdefA- \u0661\n", min_size=36, max_size=36) | UUIDS)
@example("0000000 -0000-4000-8000-000000000001")
@example("00000000-0000-4000-8000-00000000000 ")
def test_only_canonical_uuids_are_shortened(text: str) -> None:
    assert (len(encode_id(text)) == 16) == is_uuid(text)


def test_uuids_take_16_bytes() -> None:
    task_id = str(uuid.uuid4())
    assert encode_id(task_id) == uuid.UUID(task_id).bytes
    assert len(encode_id(member_id(task_id, 7))) == 18
