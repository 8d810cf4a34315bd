"""Datagrams in columns: STREP and RTP headers of a whole batch, parsed at once.

This file composes the wire formats of `strep.header` and `strep.rtp`, whose scalar parsers are its oracle:
for every datagram either both give the same fields or both refuse it for the same reason. Nothing here
raises on any bytes; what is not call audio gets a `Reject` code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.header import HEADER_BYTES
from strep.reject import Reject
from strep.rtp import FIXED_HEADER_BYTES, RTCP_PAYLOAD_TYPES

Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]

MAX_DATAGRAM_BYTES = 2048
"""Larger datagrams are refused: 60 ms of 16 kHz linear PCM with all headers has 1,968."""


SOURCE_BYTES = 28
"""sizeof(struct sockaddr_in6), which has room for a sockaddr_in as well."""


@dataclass(slots=True)
class DatagramBatch:
    """Datagrams as the kernel gave them, in the order of their arrival.

    Attributes:
        table: (>= n, width) uint8, one datagram a row; valid until the receiver is asked again.
        length: (n,) int64, bytes of each datagram, even where the row holds fewer.
        arrival_ns: (n,) int64, monotonic.
        source: (n, 28) uint8, the kernel's sockaddr_in or sockaddr_in6 of the sender.
    """

    table: NDArray[np.uint8]
    length: Int64
    arrival_ns: Int64
    source: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of datagrams."""
        return len(self.length)


@dataclass(slots=True)
class PacketColumns:
    """The RTP packets of a batch; k rows, of n datagrams.

    Attributes:
        row: (k,) int64, row in the batch's table.
        payload_offset, payload_length: (k,) int64, bytes within that row.
        payload_type: (k,) uint8.
        sequence_number, timestamp, ssrc: (k,) int64.
        call_leg_high, call_leg_low: (k,) uint64, the halves of the call_leg_id; zeros for plain RTP.
        leg_direction: (k,) uint8, L << 1 | D; zeros for plain RTP.
        reject: (n,) uint8, a `Reject` code for every datagram; the k rows are those with NONE.
    """

    row: Int64
    payload_offset: Int64
    payload_length: Int64
    payload_type: NDArray[np.uint8]
    sequence_number: Int64
    timestamp: Int64
    ssrc: Int64
    call_leg_high: UInt64
    call_leg_low: UInt64
    leg_direction: NDArray[np.uint8]
    reject: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of packets."""
        return len(self.row)

    def take(self, index: NDArray[np.intp]) -> PacketColumns:
        """Return the packets at `index`; `reject` stays that of the whole batch."""
        columns = {name: getattr(self, name)[index] for name in self.__slots__ if name != "reject"}
        return PacketColumns(**columns, reject=self.reject)


_RTP_FIELDS: list[tuple[str, str]] = [
    ("rtp_first", "u1"),
    ("rtp_second", "u1"),
    ("sequence_number", ">u2"),
    ("timestamp", ">u4"),
    ("ssrc", ">u4"),
]
_RTP = np.dtype(_RTP_FIELDS)
_STREP_RTP = np.dtype(
    [
        ("first_and_header_length", "<u2"),
        ("reserved", "V6"),
        ("call_leg_high", ">u8"),
        ("call_leg_low", ">u8"),
        *_RTP_FIELDS,
    ]
)
_ROWS = np.arange(4096)
_OFFSETS = np.full(4096, _STREP_RTP.itemsize)
for _column in (_ROWS, _OFFSETS):  # shared by all batches
    _column.flags.writeable = False
_PLAIN_STREP = HEADER_BYTES << 8 | 0b1100_0100
"""The first two bytes of nearly every datagram, L and D masked: magic, version 1, header length 24."""
_PLAIN_V2 = 0x80
"""First RTP byte of nearly every packet: version 2, no padding, no extension, no CSRC."""


def parse_strep(batch: DatagramBatch) -> PacketColumns:
    """Parse datagrams of a STREP port; see `PacketColumns`."""
    n, length = len(batch), batch.length
    head = np.ndarray((n,), _STREP_RTP, batch.table, 0, (batch.table.shape[1],))
    plain = head["first_and_header_length"] & 0xFFFC == _PLAIN_STREP
    plain &= head["rtp_first"] == _PLAIN_V2
    plain &= ~_is_rtcp(head["rtp_second"])
    shortest, longest = length.min(initial=_STREP_RTP.itemsize), length.max(initial=0)
    if plain.all() and shortest >= _STREP_RTP.itemsize and longest <= batch.table.shape[1]:
        return _uniform(batch, head)
    return _parse_each(batch, _classify_strep(batch), is_strep=True)


def parse_rtp(batch: DatagramBatch) -> PacketColumns:
    """Parse datagrams of a plain RTP port; see `PacketColumns`."""
    return _parse_each(batch, _classify_plain(batch), is_strep=False)


def _is_rtcp(second: NDArray[np.uint8]) -> NDArray[np.bool_]:
    rtcp: NDArray[np.bool_] = second & 0xE0 == RTCP_PAYLOAD_TYPES.start  # 192 to 223
    return rtcp


def _uniform(batch: DatagramBatch, head: NDArray[Any]) -> PacketColumns:
    """All datagrams are a 24-byte STREP header and a 12-byte RTP header."""
    n = len(batch)
    return PacketColumns(
        row=_ROWS[:n] if n <= len(_ROWS) else np.arange(n),
        payload_offset=_OFFSETS[:n] if n <= len(_OFFSETS) else np.full(n, _STREP_RTP.itemsize),
        payload_length=batch.length - _STREP_RTP.itemsize,
        payload_type=head["rtp_second"] & np.uint8(0x7F),
        sequence_number=head["sequence_number"].astype(np.int64),
        timestamp=head["timestamp"].astype(np.int64),
        ssrc=head["ssrc"].astype(np.int64),
        call_leg_high=head["call_leg_high"].astype(np.uint64),
        call_leg_low=head["call_leg_low"].astype(np.uint64),
        leg_direction=batch.table[:n, 0] & np.uint8(0b11),
        reject=np.zeros(n, np.uint8),
    )


def _classify_by_first_bits(batch: DatagramBatch) -> NDArray[np.uint8]:
    n = len(batch)
    by_bits = np.array([Reject.T38, Reject.SIP, Reject.NONE, Reject.NONE], np.uint8)
    reject: NDArray[np.uint8] = by_bits[batch.table[:n, 0] >> 6]
    reject[batch.length == 0] = Reject.EMPTY
    reject[batch.length > batch.table.shape[1]] = Reject.OVERSIZED
    return reject


def _refuse(reject: NDArray[np.uint8], condition: NDArray[np.bool_], reason: Reject) -> None:
    reject[(reject == Reject.NONE) & condition] = reason


def _classify_strep(batch: DatagramBatch) -> NDArray[np.uint8]:
    n, length, table = len(batch), batch.length, batch.table
    reject = _classify_by_first_bits(batch)
    first, header_length = table[:n, 0], table[:n, 1].astype(np.int64)
    bare = first >> 6 == 0b10
    _refuse(reject, bare & _is_rtcp(table[:n, 1]) & (length > 1), Reject.RTCP)
    _refuse(reject, bare, Reject.RTP_WITHOUT_STREP)
    _refuse(reject, (first >> 2 & 0b1111) != 1, Reject.STREP_VERSION)
    _refuse(reject, length < HEADER_BYTES, Reject.TRUNCATED)
    _refuse(reject, header_length < HEADER_BYTES, Reject.STREP_HEADER_LENGTH)
    _refuse(reject, length < header_length, Reject.TRUNCATED)
    return reject


def _classify_plain(batch: DatagramBatch) -> NDArray[np.uint8]:
    reject = _classify_by_first_bits(batch)
    _refuse(reject, batch.table[: len(batch), 0] >> 6 == 0b11, Reject.STREP_WITHOUT_RTP)
    return reject


def _parse_each(batch: DatagramBatch, reject: NDArray[np.uint8], *, is_strep: bool) -> PacketColumns:
    """Find RTP by each datagram's own header length, and the payload by each packet's own headers."""
    table = batch.table
    row = np.flatnonzero(reject == Reject.NONE)
    start = table[row, 1].astype(np.int64) if is_strep else np.zeros(len(row), np.int64)
    length = batch.length[row]
    reject[row[length < start + FIXED_HEADER_BYTES]] = Reject.TRUNCATED
    rtp = _gather(table, row, start, FIXED_HEADER_BYTES).view(_RTP)[:, 0]
    first = rtp["rtp_first"]
    kept = reject[row]
    _refuse(kept, first >> 6 != 2, Reject.RTP_VERSION)
    _refuse(kept, _is_rtcp(rtp["rtp_second"]), Reject.RTCP)
    payload_start = _payload_start(table, row, start, first, length)
    _refuse(kept, payload_start > length, Reject.RTP_LENGTH)
    padding = np.where(first & 0x20, _gather(table, row, length - 1, 1)[:, 0], 0).astype(np.int64)
    empty_padding = (first & 0x20 != 0) & (padding == 0)
    _refuse(kept, empty_padding | (padding > length - payload_start), Reject.RTP_PADDING)
    reject[row] = kept
    good = kept == Reject.NONE
    leg = _gather(table, row, np.full(len(row), 8), 16).view(">u8").astype(np.uint64)
    if not is_strep:
        leg[:] = 0
    return PacketColumns(
        row=row[good],
        payload_offset=payload_start[good],
        payload_length=(length - padding - payload_start)[good],
        payload_type=rtp["rtp_second"][good] & 0x7F,
        sequence_number=rtp["sequence_number"][good].astype(np.int64),
        timestamp=rtp["timestamp"][good].astype(np.int64),
        ssrc=rtp["ssrc"][good].astype(np.int64),
        call_leg_high=leg[good, 0],
        call_leg_low=leg[good, 1],
        leg_direction=(table[row, 0] & (0b11 if is_strep else 0))[good],
        reject=reject,
    )


def _payload_start(
    table: NDArray[np.uint8], row: Int64, start: Int64, first: NDArray[np.uint8], length: Int64
) -> Int64:
    """Return where the payload begins: behind the CSRC list and the extension (RFC 3550 5.1, 5.3.1)."""
    after_csrc = start + FIXED_HEADER_BYTES + 4 * (first & 0b1111).astype(np.int64)
    has_extension = first & 0x10 != 0
    words = _gather(table, row, after_csrc + 2, 2).view(">u2")[:, 0].astype(np.int64)
    cut_off = has_extension & (after_csrc + 4 > length)
    extension = np.where(cut_off, MAX_DATAGRAM_BYTES * 4, 4 + 4 * words)
    return after_csrc + np.where(has_extension, extension, 0)


def _gather(table: NDArray[np.uint8], row: Int64, start: Int64, count: int) -> NDArray[np.uint8]:
    """Return ``table[row, start : start + count]`` per row, (k, count); indexes beyond the row are clipped."""
    index = np.minimum(start[:, None] + np.arange(count), table.shape[1] - 1)
    gathered: NDArray[np.uint8] = np.ascontiguousarray(table[row[:, None], index])
    return gathered


def collect(datagrams: list[tuple[bytes, int, bytes]], width: int = MAX_DATAGRAM_BYTES) -> DatagramBatch:
    """Return a batch made of (bytes, arrival_ns, 28 bytes of sockaddr) records.

    For receivers that get datagrams one by one, captures and tests.
    """
    n = len(datagrams)
    table = np.zeros((n, width), np.uint8)
    for i, (data, _, _) in enumerate(datagrams):
        table[i, : min(len(data), width)] = np.frombuffer(data[:width], np.uint8)
    source = np.frombuffer(b"".join(address for _, _, address in datagrams), np.uint8).reshape(n, SOURCE_BYTES)
    length = np.array([len(data) for data, _, _ in datagrams], np.int64)
    return DatagramBatch(table, length, np.array([at for _, at, _ in datagrams], np.int64), source)
