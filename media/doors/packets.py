"""From parsed RTP packets to frames: which payload types are audio, and in which law (RFC 3551 table 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strep.datagrams import DatagramBatch, PacketColumns
from strep.frames import FrameBatch
from strep.g711 import Codec, transcode_table
from strep.rtp import COMFORT_NOISE
from strep.timeline import Timeline

Int64 = NDArray[np.int64]


def codec_of(payload_type: int) -> Codec:
    """Return the law of a static payload type; PCMU for all that are not G.711, until audio says otherwise."""
    return Codec.PCMA if payload_type == Codec.PCMA else Codec.PCMU


def frames_of(batch: DatagramBatch, packets: PacketColumns, slot: Int64, timeline: Timeline) -> FrameBatch:
    """Return the packets as frames of their tracks' laws.

    Comfort noise (RFC 3389) keeps its place as audio of no samples: the gap behind it is silence. Other
    payload types than G.711 keep theirs as "no audio". A packet in the other law than its track's is
    transcoded in place, by table.
    """
    payload_type = packets.payload_type
    length, is_audio = packets.payload_length, np.ones(len(packets), np.bool_)
    if not (payload_type == timeline.table.tracks.codec[slot]).all():
        is_g711 = (payload_type == Codec.PCMU) | (payload_type == Codec.PCMA)
        is_audio = is_g711 | (payload_type == COMFORT_NOISE)
        length = np.where(is_g711, length, 0)
        _align_laws(batch.table, packets, slot, timeline, is_g711)
    return FrameBatch(
        slot=slot,
        sequence_number=packets.sequence_number,
        timestamp=packets.timestamp,
        ssrc=packets.ssrc,
        arrival_ns=batch.arrival_ns[packets.row],
        is_audio=is_audio,
        table=batch.table,
        row=packets.row,
        offset=packets.payload_offset,
        length=length,
    )


def _align_laws(
    table: NDArray[np.uint8],
    packets: PacketColumns,
    slot: Int64,
    timeline: Timeline,
    is_g711: NDArray[np.bool_],
) -> None:
    codec = timeline.table.tracks.codec
    for i in np.flatnonzero(is_g711 & (packets.payload_type != codec[slot])).tolist():
        law = Codec(int(packets.payload_type[i]))
        if timeline.set_codec(int(slot[i]), law):
            continue
        start = int(packets.payload_offset[i])
        payload = table[packets.row[i], start : start + int(packets.payload_length[i])]
        payload[:] = transcode_table(law, Codec(int(codec[slot[i]]))).take(payload)
