"""From parsed RTP packets to frames: which payload types are audio, and in which law (RFC 3551 table 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.engine import Engine
from strep.datagrams import DatagramBatch, PacketColumns
from strep.frames import FrameBatch
from strep.g711 import Codec, transcode_table
from strep.rtp import COMFORT_NOISE
from strep.timeline import Timeline

Int64 = NDArray[np.int64]


def codec_of(payload_type: int) -> Codec:
    """Return the law of a static payload type; PCMU for all that are not G.711, until audio says otherwise."""
    return Codec.PCMA if payload_type == Codec.PCMA else Codec.PCMU


def frames_of(batch: DatagramBatch, packets: PacketColumns, slot: Int64, engine: Engine) -> FrameBatch:
    """Return the packets as frames of their tracks' laws.

    Comfort noise (RFC 3389) keeps its place as audio of no samples: the gap behind it is silence. Other
    payload types than G.711 keep theirs as "no audio", and are counted by type. A packet in the other law than
    its track's is transcoded in place, by table.
    """
    payload_type, codec = packets.payload_type, engine.timeline.codec
    length, is_audio = packets.payload_length, np.ones(len(packets), np.bool_)
    if not (payload_type == codec[slot]).all():
        is_g711 = (payload_type == Codec.PCMU) | (payload_type == Codec.PCMA)
        is_audio = is_g711 | (payload_type == COMFORT_NOISE)
        length = np.where(is_g711, length, 0)
        engine.count_payload_types(slot[~is_audio], payload_type[~is_audio])
        _choose_laws(packets, slot, engine.timeline, is_g711)
        _transcode(batch.table, packets, codec[slot], is_g711 & (payload_type != codec[slot]))
    return FrameBatch(
        slot=slot,
        sequence_number=packets.sequence_number,
        timestamp=packets.timestamp,
        ssrc=packets.ssrc,
        arrival_ns=batch.arrival_ns if len(packets) == len(batch) else batch.arrival_ns[packets.row],
        is_audio=is_audio,
        table=batch.table,
        row=packets.row,
        offset=packets.payload_offset,
        length=length,
    )


def _choose_laws(packets: PacketColumns, slot: Int64, timeline: Timeline, is_g711: NDArray[np.bool_]) -> None:
    """Let tracks without audio so far, which began with other payload types, be of the law that comes now."""
    columns = timeline.table.tracks
    undecided = is_g711 & (packets.payload_type != columns.codec[slot]) & (columns.longest[slot] == 0)
    for i in np.flatnonzero(undecided).tolist():
        timeline.set_codec(int(slot[i]), Codec(int(packets.payload_type[i])))


def _transcode(
    table: NDArray[np.uint8], packets: PacketColumns, codec: NDArray[np.uint8], other: NDArray[np.bool_]
) -> None:
    """Rewrite the payloads of the `other` packets in their track's law, by groups of equal shape."""
    waiting = np.flatnonzero(other)
    while len(waiting):
        shape = packets.payload_type, packets.payload_offset, packets.payload_length
        same = np.logical_and.reduce([column[waiting] == column[waiting[0]] for column in shape])
        law, start, length = (int(column[waiting[0]]) for column in shape)
        rows = packets.row[waiting[same]]
        to_law = transcode_table(Codec(law), Codec(int(codec[waiting[0]])))
        table[rows, start : start + length] = to_law.take(table[rows, start : start + length])
        waiting = waiting[~same]
