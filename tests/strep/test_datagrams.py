"""The batch parser equals the scalar parsers: the same fields, or refused for the same reason."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep import header, rtp
from strep.datagrams import DatagramBatch, PacketColumns, collect, parse_rtp, parse_strep
from strep.errors import WireError
from strep.header import StrepHeader
from strep.reject import Reject
from strep.rtp import RtpPacket
from tests.strep.test_header import headers
from tests.strep.test_rtp import packets

MAX_BYTES = 2048
ADDRESS = bytes(28)
mutations = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3)


def mutate(data: bytes, changes: list[tuple[int, int]], cut: int | None) -> bytes:
    changed = bytearray(data)
    for index, value in changes:
        if index < len(changed):
            changed[index] = value
    return bytes(changed[:cut])


strep_datagrams = st.builds(
    mutate,
    st.builds(lambda h, p: header.serialize(h) + rtp.serialize(p), headers, packets),
    mutations,
    st.none() | st.integers(0, 100),
)
rtp_datagrams = st.builds(mutate, st.builds(rtp.serialize, packets), mutations, st.none() | st.integers(0, 60))
rubbish = st.binary(max_size=64) | st.binary(min_size=MAX_BYTES + 1, max_size=MAX_BYTES + 40)


def scalar_strep(data: bytes) -> tuple[StrepHeader, RtpPacket] | Reject:
    """What the scalar parsers say of a datagram on a STREP port; sizes and other protocols first, as documented."""
    if not data:
        return Reject.EMPTY
    if len(data) > MAX_BYTES:
        return Reject.OVERSIZED
    bits = data[0] >> 6
    if bits in (0b00, 0b01):
        return Reject.T38 if bits == 0 else Reject.SIP
    if bits == 0b10:
        is_rtcp = len(data) > 1 and data[1] in rtp.RTCP_PAYLOAD_TYPES
        return Reject.RTCP if is_rtcp else Reject.RTP_WITHOUT_STREP
    try:
        parsed = header.parse(data)
        return parsed, rtp.parse(data[parsed.header_length_bytes :])
    except WireError as error:
        return Reject[error.reason]


def scalar_rtp(data: bytes) -> RtpPacket | Reject:
    if not data:
        return Reject.EMPTY
    if len(data) > MAX_BYTES:
        return Reject.OVERSIZED
    bits = data[0] >> 6
    if bits != 0b10:
        return {0: Reject.T38, 1: Reject.SIP, 3: Reject.STREP_WITHOUT_RTP}[bits]
    try:
        return rtp.parse(data)
    except WireError as error:
        return Reject[error.reason]


def batch_of(datagrams: list[bytes], stale: int) -> DatagramBatch:
    """Return a batch whose rows hold the rubbish of earlier datagrams behind the present ones."""
    batch = collect([(data, i, ADDRESS) for i, data in enumerate(datagrams)])
    for i, data in enumerate(datagrams):
        batch.table[i, len(data) :] = stale
    return batch


def check_packet(columns: PacketColumns, batch: DatagramBatch, i: int, packet: RtpPacket) -> None:
    start = columns.payload_offset[i]
    payload = batch.table[columns.row[i], start : start + columns.payload_length[i]].tobytes()
    found = columns.payload_type[i], columns.sequence_number[i], columns.timestamp[i], columns.ssrc[i], payload
    assert found == (packet.payload_type, packet.sequence_number, packet.timestamp, packet.ssrc, packet.payload)


@given(st.lists(strep_datagrams | rtp_datagrams | rubbish, max_size=12), st.integers(0, 255))
def test_strep_batches_equal_the_scalar_parsers(datagrams: list[bytes], stale: int) -> None:
    batch = batch_of(datagrams, stale)
    columns = parse_strep(batch)
    assert len(columns) + int((columns.reject != Reject.NONE).sum()) == len(datagrams)
    i = 0
    for row, data in enumerate(datagrams):
        expected = scalar_strep(data)
        if isinstance(expected, Reject):
            assert Reject(int(columns.reject[row])) is expected
            continue
        parsed, packet = expected
        assert (columns.reject[row], columns.row[i]) == (Reject.NONE, row)
        leg_id = int(columns.call_leg_high[i]) << 64 | int(columns.call_leg_low[i])
        assert leg_id == parsed.call_leg_id.int
        assert columns.leg_direction[i] == parsed.leg << 1 | parsed.direction
        check_packet(columns, batch, i, packet)
        i += 1
    assert i == len(columns)


@given(st.lists(strep_datagrams | rtp_datagrams | rubbish, max_size=12), st.integers(0, 255))
def test_rtp_batches_equal_the_scalar_parser(datagrams: list[bytes], stale: int) -> None:
    batch = batch_of(datagrams, stale)
    columns = parse_rtp(batch)
    i = 0
    for row, data in enumerate(datagrams):
        expected = scalar_rtp(data)
        if isinstance(expected, Reject):
            assert Reject(int(columns.reject[row])) is expected
            continue
        assert (columns.reject[row], columns.row[i]) == (Reject.NONE, row)
        check_packet(columns, batch, i, expected)
        i += 1
    assert i == len(columns)


@given(
    st.lists(st.lists(strep_datagrams | rtp_datagrams | st.binary(max_size=500), max_size=8), min_size=2, max_size=4),
    st.sampled_from([384, 2048]),
)
def test_a_table_that_is_used_again_and_again(history: list[list[bytes]], width: int) -> None:
    """As `strep.mmsg` does it: rows keep the bytes of earlier batches, and there are more rows than datagrams."""
    table = np.full((16, width), 0xC4, np.uint8)
    for datagrams in history:
        for row, data in enumerate(datagrams):
            table[row, : min(len(data), width)] = np.frombuffer(data[:width], np.uint8)
        fresh = collect([(data, 0, ADDRESS) for data in datagrams], width)
        reused = DatagramBatch(table, fresh.length, fresh.arrival_ns, fresh.source)
        for parse in (parse_strep, parse_rtp):
            expected, columns = parse(fresh), parse(reused)
            for name in PacketColumns.__slots__:
                assert np.array_equal(getattr(columns, name), getattr(expected, name)), name
            too_long = [len(data) > width for data in datagrams]
            assert (columns.reject[too_long] == Reject.OVERSIZED).all()
            assert (columns.payload_offset + columns.payload_length <= width).all()
            assert len(columns) + int((columns.reject != Reject.NONE).sum()) == len(datagrams)


@given(st.lists(st.tuples(headers, packets), min_size=1, max_size=10))
def test_uniform_and_mixed_batches_agree(pairs: list[tuple[StrepHeader, RtpPacket]]) -> None:
    """The short way for batches of plain 24 + 12 byte headers gives what the long way gives."""
    plain = [
        header.serialize(StrepHeader(h.call_leg_id, h.leg, h.direction))
        + rtp.serialize(RtpPacket(p.payload_type, p.sequence_number, p.timestamp, p.ssrc, p.payload))
        for h, p in pairs
    ]
    short = parse_strep(batch_of(plain, 0))
    long = parse_strep(batch_of([*plain, b""], 0))
    for name in PacketColumns.__slots__:
        if name != "reject":
            assert np.array_equal(getattr(short, name), getattr(long, name)), name


def test_take_keeps_all_columns_in_step() -> None:
    data = header.serialize(StrepHeader(UUID(int=5), header.Leg.A, header.Direction.INBOUND))
    batch = batch_of([data + rtp.serialize(RtpPacket(0, n, n, n, b"x")) for n in range(5)], 0)
    taken = parse_strep(batch).take(np.array([3, 1]))
    assert taken.sequence_number.tolist() == taken.ssrc.tolist() == taken.row.tolist() == [3, 1]


@pytest.mark.parametrize("reason", Reject)
def test_every_reason_has_a_text(reason: Reject) -> None:
    assert reason.text
