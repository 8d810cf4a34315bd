"""A track as the carrier sends it: one row per packet, one column per field, before the network sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from media.carrier.coding import Coding
from media.carrier.faults import NEAR_WRAP_SEQUENCE_NUMBER, NEAR_WRAP_TIMESTAMP, Faults
from media.carrier.keys import EVENT, KeyPress, place
from media.carrier.network import SETTLING_PACKETS
from media.carrier.seeds import Purpose, random_stream
from media.carrier.tones import Party
from strep.errors import ConfigurationError
from strep.g711 import Codec
from strep.header import Direction, Leg
from strep.serial import SEQUENCE_MODULUS, TIMESTAMP_MODULUS

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrackScript:
    """Everything about one direction of one leg, except its sound.

    Attributes:
        party: call, leg and direction.
        call_leg_id: the STREP header's identifier.
        coding: of the payloads.
        start_ns: when the call begins, on the simulation's clock.
        blocks: (n,) int64, which of the party's payloads a packet carries. Packet `i` covers the samples
            from ``blocks[i] * samples_per_packet`` on, counted from the call's beginning, or a key replaces them.
        send_times_ns: (n,) int64, on the simulation's clock.
        sequence_numbers: (n,) uint16.
        timestamps: (n,) uint32.
        ssrcs: (n,) uint32.
        markers: (n,) bool, the first packet of a talkspurt (RFC 3551 section 4.1).
        epochs: (n,) int64 from 0 on; see `media.carrier.network`.
        extras: (n,) uint8 of `media.carrier.faults.Extra` flags.
        keys: that are pressed, in order.
    """

    party: Party
    call_leg_id: UUID
    coding: Coding
    start_ns: int
    blocks: Int64
    send_times_ns: Int64
    sequence_numbers: NDArray[np.uint16]
    timestamps: NDArray[np.uint32]
    ssrcs: NDArray[np.uint32]
    markers: NDArray[np.bool_]
    epochs: Int64
    extras: NDArray[np.uint8]
    keys: Sequence[KeyPress] = ()

    def __len__(self) -> int:
        """Return the number of packets."""
        return len(self.blocks)

    @property
    def codec(self) -> Codec:
        """The law, of a track in G.711; KeyError for others."""
        return Codec[self.coding.encoding.name]

    @property
    def samples_per_packet(self) -> int:
        """Of PCM."""
        return self.coding.samples_per_packet

    @property
    def event_rows(self) -> Int64:
        """(k,) int64, the packets that are no audio, rising."""
        return np.searchsorted(self.blocks, _covered(self.keys))

    @property
    def event_payloads(self) -> NDArray[np.uint8]:
        """(k, bytes of an `EVENT`) uint8, what these carry."""
        payloads = [key.payloads(self.coding.ticks_per_packet) for key in self.keys]
        return np.concatenate([np.empty((0, EVENT.itemsize), np.uint8), *payloads])

    @property
    def positions_samples(self) -> Int64:
        """(n,) int64, each packet's first sample, counted from the call's beginning."""
        return self.blocks * self.samples_per_packet

    @property
    def total_samples(self) -> int:
        """Length of the track's tape, from its first sample to the end of its last packet."""
        return int(self.blocks[-1] - self.blocks[0] + 1) * self.samples_per_packet

    def first(self, packets: int) -> TrackScript:
        """Return its beginning; of a track on which no keys are pressed."""
        columns = (
            "blocks",
            "send_times_ns",
            "sequence_numbers",
            "timestamps",
            "ssrcs",
            "markers",
            "epochs",
            "extras",
        )
        return replace(self, **{name: getattr(self, name)[:packets] for name in columns})

    @property
    def epoch_starts(self) -> Int64:
        """(epochs,) int64, each epoch's first packet."""
        return np.flatnonzero(np.diff(self.epochs, prepend=-1))


@dataclass(frozen=True, slots=True)
class TrackFormat:
    """What all tracks of a simulation have in common.

    Attributes:
        coding: of all payloads.
        packets: payloads in a call without pauses.
        faults: of the sender.
        seed: of the simulation.
        identity: the seed of its SSRCs.
        presses: of every caller: when in ns of the call, rising, and which key.
    """

    coding: Coding
    packets: int
    faults: Faults
    seed: int
    identity: int
    presses: Sequence[tuple[int, str]] = ()


def write_script(party: Party, call_leg_id: UUID, start_ns: int, form: TrackFormat) -> TrackScript:
    """Return the script of one track; the same arguments give the same script."""
    where = (party.call, party.leg, party.direction)
    faults = form.faults
    times_ns = np.arange(form.packets, dtype=np.int64) * form.coding.packet_ns
    is_caller = party.leg is Leg.A and party.direction is Direction.INBOUND
    keys = place(form.presses if is_caller else (), form.packets, form.coding.packet_ns)
    is_sent = faults.is_sent(times_ns, random_stream(form.seed, Purpose.SUPPRESSION, *where))
    is_sent[_covered(keys)] = True
    blocks = np.flatnonzero(is_sent)
    numbering = _Numbering(
        blocks,
        form,
        random_stream(form.seed, Purpose.NUMBERING, *where),
        random_stream(form.identity, Purpose.SSRC, *where),
    )
    for restart_ns, restart in (
        (faults.ssrc_change_at_ns, numbering.change_ssrc),
        (faults.sequence_reset_at_ns, numbering.reset_sequence),
        (faults.timestamp_jump_at_ns, numbering.jump),
    ):
        if restart_ns is not None:
            restart(int(np.searchsorted(times_ns[blocks], restart_ns)))
    numbering.press(keys)
    epochs = np.unique(numbering.restarts, return_inverse=True)[1].astype(np.int64)
    if faults.restarts_at_ns and np.bincount(epochs).min() < SETTLING_PACKETS:
        raise ConfigurationError(
            "ssrc-change, sequence-reset, timestamp-jump: fewer than three packets between two of them, "
            "or before the first, or after the last"
        )
    _check_keys(keys, blocks[np.flatnonzero(np.diff(epochs)) + 1])
    return TrackScript(
        party=party,
        call_leg_id=call_leg_id,
        coding=form.coding,
        start_ns=start_ns,
        blocks=blocks,
        send_times_ns=start_ns + times_ns[blocks],
        sequence_numbers=(numbering.sequence % SEQUENCE_MODULUS).astype(np.uint16),
        timestamps=(numbering.timestamps % TIMESTAMP_MODULUS).astype(np.uint32),
        ssrcs=numbering.ssrcs,
        markers=numbering.markers,
        epochs=epochs,
        extras=faults.draw_extras(len(blocks), random_stream(form.seed, Purpose.EXTRAS, *where)),
        keys=keys,
    )


def _covered(keys: Sequence[KeyPress]) -> Int64:
    """Return (k,) int64, the packet times that have no audio because of `keys`."""
    return np.concatenate([np.empty(0, np.int64), *(np.arange(key.first, key.end) for key in keys)])


def _check_keys(keys: Sequence[KeyPress], restarts: Int64) -> None:
    """See that no key is held while a track starts anew; its timestamp would be another track's."""
    for key in keys:
        if ((restarts > key.first - SETTLING_PACKETS) & (restarts < key.end)).any():
            raise ConfigurationError(
                "dtmf, press: a key is held while the SSRC, sequence numbers or timestamps begin anew"
            )


class _Numbering:
    """The counters of a track in the making; restarts may come in any order of time."""

    def __init__(
        self, blocks: Int64, form: TrackFormat, random: np.random.Generator, ssrcs: np.random.Generator
    ) -> None:
        self._random, self._ssrcs, self._faults = random, ssrcs, form.faults
        count = len(blocks)
        sequence, timestamp = int(random.integers(SEQUENCE_MODULUS)), int(random.integers(TIMESTAMP_MODULUS))
        if form.faults.near_wrap:
            sequence, timestamp = NEAR_WRAP_SEQUENCE_NUMBER, NEAR_WRAP_TIMESTAMP
        self.sequence = sequence + np.arange(count, dtype=np.int64)
        self.timestamps = timestamp + blocks * form.coding.ticks_per_packet
        self.ssrcs = np.full(count, ssrcs.integers(TIMESTAMP_MODULUS), np.uint32)
        self.restarts = np.zeros(count, np.int64)
        self.markers = np.diff(blocks, prepend=-2) != 1
        self._blocks = blocks

    def change_ssrc(self, packet: int) -> None:
        self.ssrcs[packet:] = self._ssrcs.integers(TIMESTAMP_MODULUS)
        self.timestamps[packet:] += self._random.integers(TIMESTAMP_MODULUS)
        self.reset_sequence(packet)

    def reset_sequence(self, packet: int) -> None:
        # Far enough from where it was to be taken neither for loss nor for reordering.
        self.sequence[packet:] += self._random.integers(SEQUENCE_MODULUS // 4, 3 * SEQUENCE_MODULUS // 4)
        self.restarts[packet:] += 1

    def jump(self, packet: int) -> None:
        self.timestamps[packet:] += self._faults.timestamp_jump_samples
        self.restarts[packet:] += 1

    def press(self, keys: Sequence[KeyPress]) -> None:
        # RFC 4733 sections 2.2.1 and 2.5.1.1.
        for key in keys:
            first, end = np.searchsorted(self._blocks, (key.first, key.end))
            self.timestamps[first:end] = self.timestamps[first]
            self.markers[first:end] = np.arange(first, end) == first
