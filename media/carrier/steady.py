"""A plan that is not written down: calls without faults over a perfect network, for as long as one likes.

`media.carrier.plan` holds about a hundred bytes per packet, which is too much for an hour of 5,000 calls. Where every
track sends a packet per packet time and all arrive, delivery number `n` can be computed: within each packet time
("tick") the same tracks come in the same order, that of their phases. Datagrams, times and truth are those of
`make_plan` for the same options, to the byte; memory depends on the number of tracks only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from media.carrier.datagrams import RTP, DatagramTable, DatagramWriter
from media.carrier.faults import Faults
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport
from media.carrier.plan import audio_of, deliver, form_of, parties_of, script_of
from media.carrier.script import TrackScript
from media.carrier.tones import Party
from media.carrier.truth import Truth, delivered_mask, expected_tape, track_truth
from strep.errors import UsageError
from strep.header import HEADER_BYTES

Int64 = NDArray[np.int64]

_SHORTEST = 2
"""Packets of a script that has the numbers that a longer one begins with."""


class Steady:
    """What a `Plan` is for options without faults, network or rubbish; the same names mean the same.

    Args:
        options: STREP, all of `faults` and `network` left alone, except that numbers may be near their wrap.

    Raises:
        UsageError: there is more in `options`.
    """

    def __init__(self, options: SimulationOptions) -> None:
        if not self.is_possible(options):
            raise UsageError("steady: only STREP without faults and over a perfect network can be computed")
        self.options = options
        parties = parties_of(options)
        form = form_of(options)
        scripts = [script_of(party, options, replace(form, packets=_SHORTEST)) for party in parties]
        self.scripts: Sequence[TrackScript] = _Scripts(parties, options)
        self._audio, self._audio_rows = audio_of(parties, options)
        self._numbers = np.array([(script.sequence_numbers[0], script.timestamps[0]) for script in scripts], np.int64)
        writer = DatagramWriter(scripts, self._audio, self._audio_rows, HEADER_BYTES)
        every = np.arange(len(scripts))
        self._first = writer.write(every, np.zeros_like(every)).rows[:, : HEADER_BYTES + RTP.itemsize].copy()
        self._later = writer.write(every, np.ones_like(every)).rows[:, : HEADER_BYTES + RTP.itemsize].copy()
        self._ticks = _Ticks(np.array([script.start_ns for script in scripts]), form.coding.packet_ns, form.packets)
        self._ticks_per_packet = form.coding.ticks_per_packet

    @staticmethod
    def is_possible(options: SimulationOptions) -> bool:
        """Say whether there is nothing in `options` that must be written down."""
        return (
            options.transport is Transport.STREP
            and replace(options.faults, near_wrap=False) == Faults()
            and options.network == NetworkModel()
            and options.encoding.can_be_joined  # packets of one length
            and not options.key_presses()
        )

    def __len__(self) -> int:
        """Return the number of deliveries."""
        return len(self._ticks)

    def destinations(self, start: int, stop: int) -> Int64:
        """Return (stop - start,) int64: 0, the one of STREP."""
        return np.zeros(stop - start, np.int64)

    def times(self, start: int, stop: int) -> Int64:
        """Return (stop - start,) int64, when deliveries `start` to `stop` are due."""
        return self._ticks.times_ns(*self._ticks.rows(start, stop))

    def table(self, start: int, stop: int) -> DatagramTable:
        """Return the datagrams of deliveries `start` to `stop` (exclusive)."""
        tracks, packets = self._ticks.rows(start, stop)
        payload_start = self._later.shape[1]
        rows = np.empty((len(tracks), payload_start + self._audio.width_bytes), np.uint8)
        rows[:, :payload_start] = self._later[tracks]
        begins = np.flatnonzero(packets == 0)
        rows[begins, :payload_start] = self._first[tracks[begins]]
        rtp = rows[:, HEADER_BYTES:payload_start].view(RTP)[:, 0]
        rtp["sequence"] = (self._numbers[tracks, 0] + packets) & 0xFFFF
        rtp["timestamp"] = (self._numbers[tracks, 1] + packets * self._ticks_per_packet) & 0xFFFF_FFFF
        rows[:, payload_start:] = self._audio.take(self._audio_rows[tracks], packets)
        return DatagramTable(rows, np.full(len(rows), rows.shape[1], np.int64))

    def payloads(self, track: int) -> NDArray[np.uint8]:
        """Return (packets, samples per packet) uint8, everything that the track sends."""
        packets = np.arange(self.options.packets)
        return self._audio.take(np.full(len(packets), self._audio_rows[track]), packets)

    def expected_encoded(self, track: int) -> NDArray[np.uint8]:
        """Return (samples,) uint8: the code bytes that a perfect receiver has."""
        script = self.scripts[track]
        return expected_tape(script, self.payloads(track), delivered_mask(deliver(script, self.options)))

    def truth(self) -> Truth:
        """Return what a receiver has to find out."""
        tracks = [track_truth(script, deliver(script, self.options)) for script in self.scripts]
        options = self.options
        return Truth(transport=options.transport.value, seed=options.seed, calls=options.calls, tracks=tracks)


class _Scripts(Sequence[TrackScript]):
    """Scripts, each written when it is asked for."""

    def __init__(self, parties: list[Party], options: SimulationOptions) -> None:
        self._parties, self._options = parties, options

    def __len__(self) -> int:
        return len(self._parties)

    @overload
    def __getitem__(self, track: int) -> TrackScript: ...
    @overload
    def __getitem__(self, track: slice) -> list[TrackScript]: ...
    def __getitem__(self, track: int | slice) -> TrackScript | list[TrackScript]:
        if isinstance(track, slice):
            return [self[number] for number in range(len(self))[track]]
        return script_of(self._parties[track], self._options, form_of(self._options))


class _Ticks:
    """Which packet of which track is delivery number `n`?

    Args:
        starts_ns: (tracks,) int64, when each sends its first packet.
        packet_ns: from one to the next.
        packets: of every track.
    """

    def __init__(self, starts_ns: Int64, packet_ns: int, packets: int) -> None:
        self._packet_ns, self._packets = packet_ns, packets
        self._first_tick, self._phase_ns = starts_ns // packet_ns, starts_ns % packet_ns
        self._by_phase = np.argsort(self._phase_ns, kind="stable")
        changes = np.zeros(int(self._first_tick.max()) + packets + 1, np.int64)
        np.add.at(changes, self._first_tick, 1)
        np.add.at(changes, self._first_tick + packets, -1)
        self._edges = np.concatenate([[0], np.cumsum(np.cumsum(changes)[:-1])])
        self._known_tick, self._known_tracks = -1, self._by_phase

    def __len__(self) -> int:
        return int(self._edges[-1])

    def rows(self, start: int, stop: int) -> tuple[Int64, Int64]:
        """Return track and packet of deliveries `start` to `stop`."""
        parts = [(tracks, np.full(len(tracks), tick)) for tick, tracks in self._parts(start, stop)]
        tracks = np.concatenate([np.empty(0, np.int64), *(part[0] for part in parts)])
        ticks = np.concatenate([np.empty(0, np.int64), *(part[1] for part in parts)])
        return tracks, ticks - self._first_tick[tracks]

    def times_ns(self, tracks: Int64, packets: Int64) -> Int64:
        """Return when each is due."""
        times_ns: Int64 = (self._first_tick[tracks] + packets) * self._packet_ns + self._phase_ns[tracks]
        return times_ns

    def _parts(self, start: int, stop: int) -> Iterator[tuple[int, Int64]]:
        tick = int(np.searchsorted(self._edges, start, side="right")) - 1
        while start < stop:
            first, end = int(self._edges[tick]), int(self._edges[tick + 1])
            yield tick, self._tracks(tick)[start - first : stop - first]
            start, tick = end, tick + 1

    def _tracks(self, tick: int) -> Int64:
        """Return who sends in `tick`, in the order of sending."""
        if tick != self._known_tick:
            begins = self._first_tick[self._by_phase]
            self._known_tracks = self._by_phase[(begins <= tick) & (tick < begins + self._packets)]
            self._known_tick = tick
        return self._known_tracks
