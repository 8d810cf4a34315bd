"""RTP packets, one at a time (RFC 3550 section 5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import WireError
from strep.rtp import FIXED_HEADER_BYTES, RtpPacket, parse, serialize

words = st.integers(0, 2**32 - 1)
extensions = st.none() | st.tuples(
    st.integers(0, 0xFFFF), st.integers(0, 6).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))
)
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127).filter(lambda pt: not 64 <= pt < 96),  # those look like RTCP with a marker
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=words,
    ssrc=words,
    payload=st.binary(max_size=300),
    marker=st.booleans(),
    csrc=st.lists(words, max_size=15).map(tuple),
    extension=extensions,
    padding_bytes=st.integers(0, 255),
)


@given(packets)
def test_parse_is_the_inverse_of_serialize(packet: RtpPacket) -> None:
    assert parse(serialize(packet)) == packet


@given(packets)
def test_truncations_never_escape_as_another_exception(packet: RtpPacket) -> None:
    data = serialize(packet)
    for length in range(len(data)):
        try:
            parsed = parse(data[:length])
        except WireError:
            continue
        assert length >= FIXED_HEADER_BYTES
        assert len(parsed.payload) <= len(packet.payload) + packet.padding_bytes


def test_a_packet_of_a_telephone() -> None:
    data = bytes.fromhex("8000ffdc00000000deadbeef") + b"\xff" * 160
    assert parse(data) == RtpPacket(0, 65500, 0, 0xDEADBEEF, b"\xff" * 160)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "TRUNCATED"),
        (b"\x80" + bytes(10), "TRUNCATED"),
        (b"\x40" + bytes(11), "RTP_VERSION"),
        (b"\x80\xc8" + bytes(10), "RTCP"),
        (b"\x80\xdf" + bytes(10), "RTCP"),
        (b"\x81\x00" + bytes(10), "RTP_LENGTH"),
        (b"\x90\x00" + bytes(10), "RTP_LENGTH"),
        (b"\x90\x00" + bytes(10) + b"\x00\x00\x00\x01", "RTP_LENGTH"),
        (b"\xa0\x00" + bytes(10) + b"\x00", "RTP_PADDING"),
        (b"\xa0\x00" + bytes(10) + b"\x02", "RTP_PADDING"),
    ],
)
def test_refusals(data: bytes, reason: str) -> None:
    with pytest.raises(WireError) as refusal:
        parse(data)
    assert refusal.value.reason == reason
