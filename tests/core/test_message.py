"""Ids of members, digests, and that the values that travel cannot be changed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallage.core.message import (
    Claim,
    Done,
    Envelope,
    Message,
    Settlement,
    digest,
    is_uuid,
    member_id,
    member_of,
    settlement,
)

UUID = "0198c5d6-1c2a-7b3e-8f00-0123456789ab"


def message(payload: bytes = b"work", **envelope: object) -> Message:
    return Message("1", payload, Envelope(**{"name": "add", **envelope}))  # type: ignore[arg-type]


@given(st.uuids(), st.integers(0, 999_999_999))
def test_member_ids_are_read_back(group: object, index: int) -> None:
    assert member_of(member_id(str(group), index)) == (str(group), index)


@pytest.mark.parametrize(
    "text",
    [
        "",
        UUID,
        f"{UUID}.",
        f"{UUID}.-1",
        f"{UUID}.01",
        f"{UUID}.1.2",
        f"{UUID}.1 ",
        f"{UUID}.٣",
        f"{UUID}.1234567890",
        f"{UUID.upper()}.1",
        f"{UUID.replace('-', '')}.1",
        f"{UUID.replace('-', '_')}.1",
        f"x{UUID[1:]}.1",
        "report.7",
    ],
)
def test_other_ids_are_no_members(text: str) -> None:
    assert member_of(text) is None


@given(st.text(max_size=60))
def test_any_text_can_be_asked(text: str) -> None:
    place = member_of(text)
    assert place is None or member_id(*place) == text


@given(st.uuids())
def test_canonical_uuids_are_known(value: object) -> None:
    assert is_uuid(str(value))


@pytest.mark.parametrize(
    "text", ["", UUID[:-1], UUID + "0", UUID.upper(), UUID.replace("-", "0"), UUID.replace("a", "g")]
)
def test_other_spellings_are_not_canonical(text: str) -> None:
    assert not is_uuid(text)


def test_the_digest_tells_tasks_apart() -> None:
    tasks = [message(), message(b"other"), message(name="mul"), message(queue="q"), message(priority=1)]
    digests = [digest(each) for each in tasks]
    assert len(set(digests)) == len(tasks)
    assert {len(each) for each in digests} == {8}


def test_times_and_ids_are_no_part_of_the_digest() -> None:
    later = message(delay_us=5, due_us=7, expires_us=9, expires_in_us=11, keep_us=0, max_crashes=1, max_lost=1)
    assert digest(later) == digest(message()) == digest(msgspec.structs.replace(message(), id="2"))


def test_names_and_payloads_do_not_run_into_each_other() -> None:
    assert digest(message(b"cd", name="ab")) != digest(message(b"d", name="abc"))
    assert digest(message(name="a", queue="bc")) != digest(message(name="ab", queue="c"))


def test_a_settlement_presents_its_claim() -> None:
    claim = Claim(id="1", gen=2, tok=3, nonce="n", name="add", payload=b"", queue="q")
    assert settlement(claim, Done(b"4")) == Settlement("1", 2, 3, "n", Done(b"4"))


@pytest.mark.parametrize("value", [message(), message().envelope, Done(), Settlement("1", 1, 1, "n", Done())])
def test_values_that_travel_are_frozen(value: msgspec.Struct) -> None:
    with pytest.raises(AttributeError):
        setattr(value, value.__struct_fields__[0], None)
