"""STREP's header: the bit picture of the specification, in both directions."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import WireError
from strep.header import HEADER_BYTES, Direction, Leg, StrepHeader, parse, serialize

LEG_ID = UUID("7f3a1c52-c9d0-11f0-8e41-02420a5b6c7d")
headers = st.builds(
    StrepHeader, st.uuids(), st.sampled_from(Leg), st.sampled_from(Direction), st.integers(HEADER_BYTES, 255)
)


class TestVectors:
    """First bytes and layout as the vendor's text has them."""

    @pytest.mark.parametrize(
        ("first", "leg", "direction"),
        [
            (0xC4, Leg.A, Direction.INBOUND),
            (0xC5, Leg.A, Direction.OUTBOUND),
            (0xC6, Leg.B, Direction.INBOUND),
            (0xC7, Leg.B, Direction.OUTBOUND),
        ],
    )
    def test_first_byte(self, first: int, leg: Leg, direction: Direction) -> None:
        expected = bytes([first]) + bytes.fromhex("18000000000000" + LEG_ID.hex)
        assert serialize(StrepHeader(LEG_ID, leg, direction)) == expected
        assert parse(expected) == StrepHeader(LEG_ID, leg, direction)

    def test_reserved_bytes_are_ignored(self) -> None:
        data = bytearray(serialize(StrepHeader(LEG_ID, Leg.A, Direction.INBOUND)))
        data[2:8] = b"\xff" * 6
        assert parse(bytes(data)).call_leg_id == LEG_ID


@given(headers, st.binary(max_size=40))
def test_parse_is_the_inverse_of_serialize_whatever_follows(header: StrepHeader, behind: bytes) -> None:
    assert parse(serialize(header) + behind) == header


@given(headers)
def test_every_truncation_is_refused(header: StrepHeader) -> None:
    data = serialize(header)
    for length in range(len(data)):
        with pytest.raises(WireError) as refusal:
            parse(data[:length])
        assert refusal.value.reason == ("EMPTY" if length == 0 else "TRUNCATED")


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({0: 0x80}, "NOT_STREP"),
            ({0: 0x44}, "NOT_STREP"),
            ({0: 0xC0}, "STREP_VERSION"),
            ({0: 0xC8}, "STREP_VERSION"),
            ({0: 0xFC}, "STREP_VERSION"),
            ({1: 23}, "STREP_HEADER_LENGTH"),
            ({1: 0}, "STREP_HEADER_LENGTH"),
            ({1: 25}, "TRUNCATED"),
        ],
    )
    def test_reason(self, change: dict[int, int], reason: str) -> None:
        data = bytearray(serialize(StrepHeader(LEG_ID, Leg.A, Direction.INBOUND)))
        for index, value in change.items():
            data[index] = value
        with pytest.raises(WireError) as refusal:
            parse(bytes(data))
        assert refusal.value.reason == reason
