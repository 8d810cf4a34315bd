"""Scripts to bytes, many packets at a time: STREP or bare RTP, one row of a table per datagram.

`DatagramWriter` keeps all tracks' columns end to end and one finished STREP header per track, so a batch
of any mixture of tracks is a few gathers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.carrier.audio import AudioLoop
from media.carrier.faults import Extra
from media.carrier.keys import EVENT, PAYLOAD_TYPE
from media.carrier.script import TrackScript
from strep import header, rtp
from strep.header import StrepHeader

Int64 = NDArray[np.int64]

#                V P X CC, M PT, sequence_number, timestamp, ssrc: RFC 3550 section 5.1
RTP = np.dtype([("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])
"""An RTP header without CSRCs."""
assert RTP.itemsize == rtp.FIXED_HEADER_BYTES

CSRC_BYTES = b"\x0a\x0b\x0c\x0d\x1a\x1b\x1c\x1d"
"""Two contributing sources."""
EXTENSION_BYTES = b"\xbe\xde\x00\x02" + bytes(range(0x10, 0x18))
"""Profile 0xBEDE (RFC 8285), two words."""
PADDING_BYTES = b"\x00\x00\x00\x04"
"""Four bytes, the last one their number."""


@dataclass(frozen=True, slots=True)
class DatagramTable:
    """A batch of datagrams.

    Attributes:
        rows: (n, width) uint8, C-contiguous; what is beyond a row's length has no meaning.
        lengths: (n,) int64, bytes.
    """

    rows: NDArray[np.uint8]
    lengths: Int64

    def datagram(self, row: int) -> bytes:
        """Return one datagram."""
        return self.rows[row, : self.lengths[row]].tobytes()


class DatagramWriter:
    """Serialises packets of many tracks.

    Args:
        scripts: the tracks.
        audio: payloads.
        audio_rows: (tracks,) int64, which row of `audio` a track speaks.
        header_bytes: STREP HeaderLen, or 0 for bare RTP.
    """

    def __init__(
        self, scripts: Sequence[TrackScript], audio: AudioLoop, audio_rows: Int64, header_bytes: int
    ) -> None:
        self._audio, self._audio_rows = audio, audio_rows
        self._offsets = np.cumsum([0, *map(len, scripts)])[:-1]
        self._headers = _strep_headers(scripts, header_bytes)
        self._blocks = np.concatenate([script.blocks for script in scripts])
        self._extras = np.concatenate([script.extras for script in scripts])
        self._events = np.concatenate([script.event_payloads for script in scripts])
        event_rows = [script.event_rows + offset for script, offset in zip(scripts, self._offsets, strict=True)]
        self._event_rows = np.concatenate(event_rows)
        self._rtp = _rtp_headers(scripts, len(self._blocks), self._event_rows)
        self._payload_start = header_bytes + RTP.itemsize
        most_extra = len(CSRC_BYTES) + len(EXTENSION_BYTES) + len(PADDING_BYTES)
        self.width = self._payload_start + audio.width_bytes + (most_extra if self._extras.any() else 0)
        """Bytes of the longest datagram."""

    def payloads(self, tracks: Int64, packets: Int64) -> NDArray[np.uint8]:
        """Return (n, bytes of the longest) uint8, what packet `packets` of each of `tracks` carries."""
        where = self._offsets[tracks] + packets
        payloads = self._audio.take(self._audio_rows[tracks], self._blocks[where])
        is_event = np.isin(where, self._event_rows)
        payloads[is_event, : EVENT.itemsize] = self._events[np.searchsorted(self._event_rows, where[is_event])]
        return payloads

    def payload_lengths(self, tracks: Int64, packets: Int64) -> Int64:
        """Return (n,) int64, how many bytes of each row of `payloads` are the payload."""
        where = self._offsets[tracks] + packets
        lengths = self._audio.take_lengths(self._audio_rows[tracks], self._blocks[where])
        return np.where(np.isin(where, self._event_rows), EVENT.itemsize, lengths)

    def write(self, tracks: Int64, packets: Int64, width: int = 0) -> DatagramTable:
        """Return the table of packet `packets` of each of `tracks`, at least `width` bytes wide."""
        count = len(tracks)
        rows = np.zeros((count, max(width, self.width)), np.uint8)
        rtp_start = self._headers.shape[1]
        payload_start = self._payload_start
        where = self._offsets[tracks] + packets
        rows[:, :rtp_start] = self._headers[tracks]
        rows[:, rtp_start:payload_start] = self._rtp[where]
        rows[:, payload_start : payload_start + self._audio.width_bytes] = self.payloads(tracks, packets)
        lengths = payload_start + self.payload_lengths(tracks, packets)
        extras = self._extras[where]
        has_extras = np.flatnonzero(extras)
        for flags, length in {*zip(extras[has_extras].tolist(), lengths[has_extras].tolist(), strict=True)}:
            chosen = has_extras[(extras[has_extras] == flags) & (lengths[has_extras] == length)]
            _insert_extras(rows, lengths, chosen, Extra(flags), payload_start)
        return DatagramTable(rows, lengths)


def _insert_extras(rows: NDArray[np.uint8], lengths: Int64, chosen: Int64, flags: Extra, payload_start: int) -> None:
    """Rewrite the `chosen` rows, all of one plain length, with the extras that `flags` name."""
    front = CSRC_BYTES * bool(flags & Extra.CSRC) + EXTENSION_BYTES * bool(flags & Extra.EXTENSION)
    back = PADDING_BYTES * bool(flags & Extra.PADDING)
    plain_bytes = int(lengths[chosen[0]])
    end = plain_bytes + len(front)
    payloads = rows[chosen, payload_start:plain_bytes]
    rows[chosen, payload_start : payload_start + len(front)] = np.frombuffer(front, np.uint8)
    rows[chosen, payload_start + len(front) : end] = payloads
    rows[chosen, end : end + len(back)] = np.frombuffer(back, np.uint8)
    lengths[chosen] = end + len(back)
    first_byte = bool(back) << 5 | bool(flags & Extra.EXTENSION) << 4
    first_byte |= len(CSRC_BYTES) // 4 * bool(flags & Extra.CSRC)
    rows[chosen, payload_start - RTP.itemsize] |= np.uint8(first_byte)


def _strep_headers(scripts: Sequence[TrackScript], header_bytes: int) -> NDArray[np.uint8]:
    headers = np.full((len(scripts), header_bytes), 0xEE, np.uint8)
    if header_bytes:
        for row, script in enumerate(scripts):
            fields = StrepHeader(script.call_leg_id, script.party.leg, script.party.direction, header_bytes)
            fixed = header.serialize(fields)[: header.HEADER_BYTES]
            headers[row, : header.HEADER_BYTES] = np.frombuffer(fixed, np.uint8)
    return headers


def _rtp_headers(scripts: Sequence[TrackScript], count: int, event_rows: Int64) -> NDArray[np.uint8]:
    columns = np.empty(count, RTP)
    columns["first"] = rtp.VERSION << 6
    markers = np.concatenate([script.markers for script in scripts]).astype(np.uint8)
    payload_types = np.repeat([script.coding.payload_type for script in scripts], [len(s) for s in scripts])
    payload_types[event_rows] = PAYLOAD_TYPE
    columns["second"] = markers << 7 | payload_types
    columns["sequence"] = np.concatenate([script.sequence_numbers for script in scripts])
    columns["timestamp"] = np.concatenate([script.timestamps for script in scripts])
    columns["ssrc"] = np.concatenate([script.ssrcs for script in scripts])
    return columns.view(np.uint8).reshape(count, RTP.itemsize)
