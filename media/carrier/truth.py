"""What a receiver that does everything right has to find out, to the packet and to the sample.

Definitions are those of `media.carrier.network`. Per track:

* ``sent = delivered + dropped``, and a receiver gets ``delivered + duplicated`` datagrams;
* ``lost`` is RFC 3550's cumulative loss (section 6.4.1, appendix A.3) without its quirk of counting
  duplicates as received: highest extended sequence number - first + 1 - *distinct* packets received, summed
  over the stretches between restarts of the numbering. It equals ``dropped``, unless the network model was
  told not to keep the ends of a track: nobody can miss what went before the first delivery or after the last;
* ``total_samples = received_samples + lost_samples + silence_samples`` is the tape from the first delivered
  packet's first sample to the end of the last one, where silence is what the sender suppressed (DTX, hold) or
  replaced by a pressed key's packets. What a lost packet held, audio or a key, no receiver can see; but it sees how
  much room for audio a hole has, and none where a key's packet is the next to come: what is there then is silence.

Positions on the tape are the sender's. A receiver that anchors a new epoch by its arrival time finds the
same ones, because the first packets of an epoch are never delayed, unless a stall caught them; then
``has_exact_positions`` is false, and nobody can tell how long the tape is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.carrier.keys import KeyPress
from media.carrier.network import Deliveries
from media.carrier.script import TrackScript
from strep.g711 import SAMPLE_RATE_HZ

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EpochTruth:
    """A stretch of a track under one SSRC, without resets or jumps. It begins with packet `first_packet`."""

    first_packet: int
    packets: int
    ssrc: int
    sequence_number: int
    timestamp: int
    position_samples: int
    """Of its first packet, counted from the call's beginning."""


@dataclass(frozen=True, slots=True)
class KeyTruth:
    """A key that was pressed on a line of packets."""

    digit: str
    position_samples: int
    """Of its beginning, counted from the call's."""
    duration_ms: int
    packets: int
    delivered: int
    """Of these; a key of which none arrives cannot be known of."""
    told_ms: int
    """The longest duration that a delivered one tells."""


@dataclass(frozen=True, slots=True)
class TrackTruth:
    """One direction of one leg; field names as in the file's docstring."""

    call: int
    call_leg_id: str
    leg: str
    """"A" or "B"."""
    direction: str
    """"inbound" or "outbound"."""
    codec: str
    samples_per_packet: int
    start_ns: int
    """When the call begins, on the simulation's clock."""
    sent: int
    delivered: int
    duplicated: int
    reordered: int
    dropped: int
    lost: int
    lost_packets: list[tuple[int, int]]
    """The dropped ones as runs: number of the first (counted from 0 in order of sending), how many."""
    longest_wait_ns: int
    """For how long, at most, a later packet had been there when one came; no deadline longer than this
    makes a packet late."""
    first_position_samples: int
    total_samples: int
    received_samples: int
    lost_samples: int
    silence_samples: int
    has_exact_positions: bool
    """No epoch began in a stall."""
    first_delivery_ns: int
    last_delivery_ns: int
    epochs: list[EpochTruth]
    stream_id: str = ""
    """WebSocket only; as it is on the wire."""
    sample_rate_hz: int = SAMPLE_RATE_HZ
    """Of the positions."""
    keys: list[KeyTruth] = field(default_factory=list)
    """Not over WebSocket, where they are no packets."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The whole simulation."""

    transport: str
    seed: int
    calls: int
    tracks: list[TrackTruth]
    malformed: dict[str, int] = field(default_factory=dict)
    """Datagrams by the name of the `strep.reject.Reject` that each must end as."""

    def total(self, name: str) -> int:
        """Return the sum of the integer field `name` over all tracks."""
        return sum(getattr(track, name) for track in self.tracks)

    @property
    def datagrams(self) -> int:
        """Everything that a receiver gets: packets, duplicates, rubbish."""
        return self.total("delivered") + self.total("duplicated") + sum(self.malformed.values())

    def to_json(self) -> bytes:
        """Return the inverse of `from_json`, for people as well."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Truth:
        """Parse what `to_json` wrote.

        Raises:
            msgspec.ValidationError: it is something else.
        """
        return msgspec.json.decode(data, type=cls)

    def write(self, path: Path) -> None:
        """Write the JSON to `path`."""
        path.write_bytes(self.to_json())


def track_truth(script: TrackScript, deliveries: Deliveries, stream_id: str = "") -> TrackTruth:
    """Work out the truth about one track. At least one packet must have been delivered."""
    is_delivered = delivered_mask(deliveries)
    kept = np.flatnonzero(is_delivered)
    first, last = int(kept[0]), int(kept[-1])
    lost = last - first + 1 - len(kept)
    samples = script.samples_per_packet
    lost_samples = _lost_blocks(script, kept) * samples
    received_samples = int(_delivers_audio(script, is_delivered).sum()) * samples
    total_samples = int(script.blocks[last] - script.blocks[first] + 1) * samples
    waits_ns = deliveries.waits_ns()
    return TrackTruth(
        call=script.party.call,
        call_leg_id=str(script.call_leg_id),
        leg=script.party.leg.name,
        direction=script.party.direction.name.lower(),
        codec=script.coding.encoding.name,
        sample_rate_hz=script.coding.encoding.sample_rate_hz,
        samples_per_packet=samples,
        start_ns=script.start_ns,
        sent=deliveries.sent,
        delivered=deliveries.delivered,
        duplicated=deliveries.duplicated,
        reordered=deliveries.reordered,
        dropped=len(deliveries.dropped),
        lost=lost,
        lost_packets=_runs(deliveries.dropped),
        longest_wait_ns=int(waits_ns.max()) if len(waits_ns) else 0,
        first_position_samples=int(script.positions_samples[first]),
        total_samples=total_samples,
        received_samples=received_samples,
        lost_samples=lost_samples,
        has_exact_positions=_begins_on_time(script, deliveries),
        silence_samples=total_samples - received_samples - lost_samples,
        first_delivery_ns=int(deliveries.times_ns[0]),
        last_delivery_ns=int(deliveries.times_ns[-1]),
        epochs=_epochs(script),
        stream_id=stream_id,
        keys=[_key_truth(key, script, is_delivered) for key in script.keys],
    )


def expected_tape(
    script: TrackScript, payloads: NDArray[np.uint8], is_delivered: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Return the tape of a track as uint8 code bytes, the codec's silence where nothing came.

    It has a meaning where bytes have a place in time of their own: G.711 (a byte a sample) and L16 (two).

    Args:
        script: of the track.
        payloads: (n, bytes per packet) uint8, of every packet of the script.
        is_delivered: (n,) bool.
    """
    kept = np.flatnonzero(_delivers_audio(script, is_delivered))
    blocks = script.blocks[kept] - script.blocks[kept[0]]
    tape = np.full((int(blocks[-1]) + 1, payloads.shape[1]), script.coding.silence, np.uint8)
    tape[blocks] = payloads[kept]
    return tape.ravel()


def delivered_mask(deliveries: Deliveries) -> NDArray[np.bool_]:
    """Return (sent,) bool: which packets arrive."""
    mask = np.ones(deliveries.sent, np.bool_)
    mask[deliveries.dropped] = False
    return mask


def _begins_on_time(script: TrackScript, deliveries: Deliveries) -> bool:
    arrivals_ns = script.send_times_ns.copy()
    first = ~deliveries.is_duplicate
    arrivals_ns[deliveries.packets[first]] = deliveries.times_ns[first]
    delays_ns = (arrivals_ns - script.send_times_ns)[script.epoch_starts]
    return bool((delays_ns == delays_ns[0]).all())


def _epochs(script: TrackScript) -> list[EpochTruth]:
    starts = script.epoch_starts
    counts = np.diff(np.append(starts, len(script)))
    return [
        EpochTruth(
            first_packet=int(start),
            packets=int(count),
            ssrc=int(script.ssrcs[start]),
            sequence_number=int(script.sequence_numbers[start]),
            timestamp=int(script.timestamps[start]),
            position_samples=int(script.positions_samples[start]),
        )
        for start, count in zip(starts, counts, strict=True)
    ]


def _delivers_audio(script: TrackScript, is_delivered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (n,) bool: the packets that arrive and are no key's."""
    delivers_audio = is_delivered.copy()
    delivers_audio[script.event_rows] = False
    return delivers_audio


def _lost_blocks(script: TrackScript, kept: Int64) -> int:
    """Return for how many packets of audio there is room in the holes of a track of which the rows `kept` arrive."""
    is_key = np.isin(kept, script.event_rows)
    heard_until = np.maximum.accumulate(np.where(is_key, 0, script.blocks[kept] + 1))[:-1]
    room = np.where(is_key[1:], 0, script.blocks[kept[1:]] - heard_until)
    return int(np.minimum(np.diff(kept) - 1, room).sum())


def _key_truth(key: KeyPress, script: TrackScript, is_delivered: NDArray[np.bool_]) -> KeyTruth:
    first, end = np.searchsorted(script.blocks, (key.first, key.end)).tolist()
    arrived = np.flatnonzero(is_delivered[first:end]).tolist()
    until = arrived[-1] + 1 if arrived else 0
    return KeyTruth(
        digit=key.digit,
        position_samples=key.first * script.samples_per_packet,
        duration_ms=key.length * script.coding.ptime_ms,
        packets=end - first,
        delivered=len(arrived),
        told_ms=min(until, key.length) * script.coding.ptime_ms,
    )


def _runs(numbers: Int64) -> list[tuple[int, int]]:
    starts = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)
    counts = np.diff(np.append(starts, len(numbers)))
    return [(int(numbers[start]), int(count)) for start, count in zip(starts, counts, strict=True)]
