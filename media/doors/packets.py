"""From parsed RTP packets to frames: which payload types are audio of which encoding, and which are none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.calls import Track
from media.codecs import Encoding
from media.decoding.desk import FIRST_HANDLE
from media.decoding.order import Packet
from media.decoding.payload_types import NO_LAW
from media.engine import Engine
from strep.datagrams import DatagramBatch, PacketColumns
from strep.frames import FrameBatch
from strep.g711 import Codec, transcode_table
from strep.rtp import COMFORT_NOISE

Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]
TURNED_AWAY = 256
"""Of a drain; further packets of unknown legs or sources are not looked at, so that a flood takes a bounded time."""


def frames_of(batch: DatagramBatch, packets: PacketColumns, slot: Int64, engine: Engine) -> FrameBatch:
    """Return the packets as frames of their tracks' laws; what has to be decoded goes its own way.

    Comfort noise (RFC 3389) keeps its place as audio of no samples: the gap behind it is silence. Payload types that
    are no audio keep theirs as "no audio", and are counted by type; telephone-events (RFC 4733) are events of the
    call. A packet in the other law than its track's is transcoded in place, by table.

    Args:
        batch: where the packets lie.
        packets: of known tracks.
        slot: (n,) the `Track.handle` of each.
        engine: has the tracks.
    """
    if len(engine.desk):
        packets, slot = _decode_tracks(batch, packets, slot, engine)
    payload_type, codec = packets.payload_type, engine.timeline.codec
    length, is_audio = packets.payload_length, np.ones(len(packets), np.bool_)
    if not (payload_type == codec[slot]).all():
        packets, slot = _decode_strangers(batch, packets, slot, engine)
        types, payload_type = engine.payload_types, packets.payload_type
        law, is_event = types.law[payload_type], types.is_event[payload_type]
        is_g711 = law != NO_LAW
        is_audio = is_g711 | (payload_type == COMFORT_NOISE)
        length = np.where(is_g711, packets.payload_length, 0)
        for i in np.flatnonzero(is_event).tolist():
            press(
                engine,
                engine.reels.code_bytes.tracks[int(slot[i])],
                packet_of(batch, packets, i, None),
                int(payload_type[i]),
            )
        unknown = ~is_audio & ~is_event
        engine.reels.code_bytes.count_payload_types(slot[unknown], payload_type[unknown])
        _choose_laws(law, slot, engine, is_g711)
        _transcode(batch.table, packets, law, codec[slot], is_g711 & (law != codec[slot]))
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


def packet_of(batch: DatagramBatch, packets: PacketColumns, i: int, encoding: Encoding | None) -> Packet:
    """Return packet `i` on its own, its payload copied."""
    row, start = int(packets.row[i]), int(packets.payload_offset[i])
    return Packet(
        sequence_number=int(packets.sequence_number[i]),
        timestamp=int(packets.timestamp[i]),
        ssrc=int(packets.ssrc[i]),
        arrival_ns=int(batch.arrival_ns[row]),
        payload=batch.table[row, start : start + int(packets.payload_length[i])].tobytes(),
        encoding=encoding,
    )


def press(engine: Engine, track: Track, packet: Packet, payload_type: int) -> None:
    """Take a telephone-event of `track`."""
    engine.desk.press(track, packet, engine.payload_types.event_clock_hz(payload_type))


def _decode_tracks(
    batch: DatagramBatch, packets: PacketColumns, slot: Int64, engine: Engine
) -> tuple[PacketColumns, Int64]:
    """Decode the packets of tracks that are decoded altogether; return the others."""
    decoded = slot >= FIRST_HANDLE
    if not decoded.any():
        return packets, slot
    types = engine.payload_types
    for i in np.flatnonzero(decoded).tolist():
        track, payload_type = engine.desk[int(slot[i])], int(packets.payload_type[i])
        packet = packet_of(batch, packets, i, types.encoding_of(payload_type))
        if payload_type == COMFORT_NOISE and track.decoder is not None:
            packet = packet._replace(payload=b"", encoding=track.decoder.encoding)
        elif types.is_event[payload_type]:
            press(engine, track, packet, payload_type)
        elif packet.encoding is None:
            engine.reels.of(track).payload_types[track.slot, payload_type] += 1
        engine.desk.receive(track, packet)
    kept = np.flatnonzero(~decoded)
    return packets.take(kept), slot[kept]


def _decode_strangers(
    batch: DatagramBatch, packets: PacketColumns, slot: Int64, engine: Engine
) -> tuple[PacketColumns, Int64]:
    """Decode packets that are no G.711 but came to tracks that are; return the others."""
    types = engine.payload_types
    strange = types.is_decoded[packets.payload_type]
    if not strange.any():
        return packets, slot
    for i in np.flatnonzero(strange).tolist():
        track, encoding = engine.reels.code_bytes.tracks[int(slot[i])], types.opening(int(packets.payload_type[i]))
        engine.decode(track, encoding)
        engine.desk.receive(track, packet_of(batch, packets, i, encoding))
    kept = np.flatnonzero(~strange)
    return packets.take(kept), slot[kept]


def _choose_laws(law: UInt8, slot: Int64, engine: Engine, is_g711: NDArray[np.bool_]) -> None:
    """Let tracks without audio so far, which began with other payload types, be of the law that comes now."""
    columns = engine.timeline.table.tracks
    undecided = is_g711 & (law != columns.codec[slot]) & (columns.longest[slot] == 0)
    for i in np.flatnonzero(undecided).tolist():
        if engine.reels.code_bytes.tracks[int(slot[i])].decoder is None:  # whose frames may wait, in the law that was
            engine.timeline.set_codec(int(slot[i]), Codec(int(law[i])))


def _transcode(table: UInt8, packets: PacketColumns, source: UInt8, target: UInt8, other: NDArray[np.bool_]) -> None:
    """Rewrite the payloads of the `other` packets from the `source` to the `target` law, by groups of equal shape."""
    waiting = np.flatnonzero(other)
    while len(waiting):
        shape = source, target, packets.payload_offset, packets.payload_length
        same = np.logical_and.reduce([column[waiting] == column[waiting[0]] for column in shape])
        law, wanted, start, length = (int(column[waiting[0]]) for column in shape)
        rows = packets.row[waiting[same]]
        to_law = transcode_table(Codec(law), Codec(wanted))
        table[rows, start : start + length] = to_law.take(table[rows, start : start + length])
        waiting = waiting[~same]
