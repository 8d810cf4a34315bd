"""All that will be sent, by whom and when, before anything is: one row per delivery, in order of time.

The plan is held in memory at about 60 bytes per packet; the datagrams are written in batches on demand.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from media.carrier import malformed, seeds
from media.carrier.audio import AudioLoop, load, loop, spoken
from media.carrier.datagrams import DatagramTable, DatagramWriter
from media.carrier.dialects import DIALECTS
from media.carrier.network import Deliveries, Span
from media.carrier.options import BLeg, SimulationOptions, Transport
from media.carrier.script import TrackFormat, TrackScript, write_script
from media.carrier.seeds import Purpose, random_stream
from media.carrier.tones import Party, tone_loop
from media.carrier.truth import TrackTruth, Truth, delivered_mask, expected_tape, track_truth
from media.codecs import decoder_for
from strep import header
from strep.clock import NS_PER_MS
from strep.header import Direction, Leg, StrepHeader

Int64 = NDArray[np.int64]

RUBBISH = -1
"""In the track column: a malformed datagram, whose packet column counts `Plan.malformed`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A simulation on paper.

    Attributes:
        options: what was asked for.
        scripts: the tracks, as sent: per call inbound then outbound, A leg then B leg.
        deliveries: what arrives of each, in the same order.
        malformed: rubbish to be sent in between.
        times_ns: (n,) int64, when each delivery is due, from 0 on, never falling.
        tracks: (n,) int64, index into `scripts`, or RUBBISH.
        packets: (n,) int64, which packet of the track.
    """

    options: SimulationOptions
    scripts: Sequence[TrackScript]
    deliveries: Sequence[Deliveries]
    malformed: Sequence[bytes]
    times_ns: Int64
    tracks: Int64
    packets: Int64
    _writer: DatagramWriter
    _audio: AudioLoop
    _audio_rows: Int64
    _encoded: dict[tuple[int, int], str | bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of deliveries."""
        return len(self.times_ns)

    @property
    def end_ns(self) -> int:
        """When the last call is over, and every delivery made."""
        last_start_ns = max(script.start_ns for script in self.scripts)
        return max(last_start_ns + self.options.duration_ns, int(self.times_ns[-1]))

    def destinations(self, start: int, stop: int) -> Int64:
        """Return (stop - start,) int64: 0 for STREP; for bare RTP ``2 * call + direction``."""
        tracks = self.tracks[start:stop]
        if self.options.transport is Transport.STREP:
            return np.zeros(len(tracks), np.int64)
        is_rubbish = tracks == RUBBISH
        return np.where(is_rubbish, self.packets[start:stop] % (2 * self.options.calls), tracks)

    def times(self, start: int, stop: int) -> Int64:
        """Return (stop - start,) int64, when deliveries `start` to `stop` are due."""
        return self.times_ns[start:stop]

    def table(self, start: int, stop: int) -> DatagramTable:
        """Return the datagrams of deliveries `start` to `stop` (exclusive)."""
        tracks, packets = self.tracks[start:stop], self.packets[start:stop]
        rubbish = np.flatnonzero(tracks == RUBBISH)
        if not len(rubbish):
            return self._writer.write(tracks, packets)
        longest = max(len(self.malformed[row]) for row in packets[rubbish])
        is_media = tracks != RUBBISH
        table = self._writer.write(np.where(is_media, tracks, 0), np.where(is_media, packets, 0), longest)
        for row in rubbish:
            datagram = self.malformed[packets[row]]
            table.rows[row, : len(datagram)] = np.frombuffer(datagram, np.uint8)
            table.lengths[row] = len(datagram)
        return table

    def datagram(self, delivery: int) -> bytes:
        """Return the datagram of one delivery."""
        return self.table(delivery, delivery + 1).datagram(0)

    def batches(self, step_ns: int = 5 * NS_PER_MS) -> Iterator[tuple[int, int, int]]:
        """Yield ``(now_ns, start, stop)`` for every step of simulated time: what came since the one before.

        Empty steps are yielded too; the last one ends after the last delivery.
        """
        start = 0
        for now_ns in range(step_ns, self.end_ns + 2 * step_ns, step_ns):
            stop = int(np.searchsorted(self.times_ns, now_ns, side="right"))
            yield now_ns, start, stop
            start = stop

    def payloads(self, track: int) -> NDArray[np.uint8]:
        """Return (packets, bytes of the longest) uint8, everything that the track sends."""
        packets = np.arange(len(self.scripts[track]))
        return self._writer.payloads(np.full(len(packets), track), packets)

    def payload(self, track: int, packet: int) -> NDArray[np.uint8]:
        """Return (bytes,) uint8, what one packet carries."""
        where = np.array([track]), np.array([packet])
        one: NDArray[np.uint8] = self._writer.payloads(*where)[0]
        return one[: int(self._writer.payload_lengths(*where)[0])]

    def sent_pcm(self, track: int) -> NDArray[np.int16]:
        """Return (samples,) int16: what a decoder makes of all the audio that the track sends, packet by packet."""
        decoder, script = decoder_for(self.options.encoding), self.scripts[track]
        audio = np.setdiff1d(np.arange(len(script)), script.event_rows).tolist()
        return np.concatenate([decoder.decode(self.payload(track, packet).tobytes()) for packet in audio])

    def block(self, track: int, block: int, *, is_text: bool) -> str | bytes:
        """Return payload `block` of a track as it is sent over WebSocket, base64 or as it is; made once."""
        audio_row = int(self._audio_rows[track])
        key = audio_row, block % self._audio.payloads.shape[1]
        known = self._encoded.get(key)
        if known is None:
            payload = self._audio.payloads[key][: self._audio.lengths[key]].tobytes()
            known = b2a_base64(payload, newline=False).decode("ascii") if is_text else payload
            self._encoded[key] = known
        return known

    def expected_encoded(self, track: int) -> NDArray[np.uint8]:
        """Return (samples,) uint8: the code bytes that a perfect receiver has, silence where nothing came.

        It begins at the truth's ``first_position_samples`` and is ``total_samples`` long.
        """
        mask = delivered_mask(self.deliveries[track])
        return expected_tape(self.scripts[track], self.payloads(track), mask)

    def truth(self, made: Mapping[int, int] | None = None) -> Truth:
        """Return what a receiver has to find out.

        Args:
            made: WebSocket, by track how many of its deliveries could be made; without it all of them.
                A track of which none was is left out.
        """
        options = self.options
        is_strep = options.transport is Transport.STREP
        reasons = [malformed.reason(datagram, is_strep=is_strep) for datagram in self.malformed]
        return Truth(
            transport=options.transport.value,
            seed=options.seed,
            calls=options.calls,
            tracks=[
                self._track_truth(track, None if made is None else made[track])
                for track in range(len(self.scripts))
                if made is None or made[track]
            ],
            malformed={name: reasons.count(name) for name in sorted(set(reasons))},
        )

    def _track_truth(self, track: int, made: int | None) -> TrackTruth:
        script, deliveries = self.scripts[track], self.deliveries[track]
        if made is not None:
            deliveries = deliveries.first(made)
            script = script.first(deliveries.sent)
        is_stream = self.options.transport is Transport.WEBSOCKET
        if not is_stream:
            return track_truth(script, deliveries)
        stream_id = str(seeds.stream_id(self.options.identity, script.party.call))
        wire_name = DIALECTS[self.options.websocket.dialect].stream_name(stream_id)
        return track_truth(script, deliveries, wire_name)


def make_plan(options: SimulationOptions) -> Plan:
    """Plan a simulation; no clock is read and no socket opened.

    Raises:
        ConfigurationError: the audio file cannot be used.
    """
    parties = parties_of(options)
    form = form_of(options)
    scripts = [script_of(party, options, form) for party in parties]
    deliveries = [deliver(script, options) for script in scripts]
    rubbish, rubbish_times_ns = _rubbish(scripts, options)
    counts = [len(track.times_ns) for track in deliveries]
    times_ns = np.concatenate([*(track.times_ns for track in deliveries), rubbish_times_ns])
    tracks = np.repeat(np.append(np.arange(len(scripts)), RUBBISH), [*counts, len(rubbish)])
    packets = np.concatenate([*(track.packets for track in deliveries), np.arange(len(rubbish))])
    order = np.argsort(times_ns, kind="stable")
    audio, audio_rows = audio_of(parties, options)
    header_bytes = options.faults.header_bytes if options.transport is Transport.STREP else 0
    writer = DatagramWriter(scripts, audio, audio_rows, header_bytes)
    return Plan(
        options,
        scripts,
        deliveries,
        rubbish,
        times_ns[order],
        tracks[order],
        packets[order],
        writer,
        audio,
        audio_rows,
    )


def form_of(options: SimulationOptions) -> TrackFormat:
    """Return what all scripts have in common."""
    presses = () if options.transport is Transport.WEBSOCKET else options.key_presses()
    return TrackFormat(options.coding, options.packets, options.faults, options.seed, options.identity, presses)


def parties_of(options: SimulationOptions) -> list[Party]:
    """Return who speaks, in the order of `Plan.scripts`."""
    legs = (Leg.A,) if options.b_leg is BLeg.NONE else (Leg.A, Leg.B)
    directions = tuple(Direction)
    if options.transport is Transport.WEBSOCKET:
        directions = tuple(d for d in Direction if d.name.lower() in options.websocket.streamed_tracks)
    return [Party(call, leg, direction) for call in range(options.calls) for leg in legs for direction in directions]


def script_of(party: Party, options: SimulationOptions, form: TrackFormat) -> TrackScript:
    """Return what `party` sends."""
    own_b_leg = party.leg is Leg.B and options.b_leg is BLeg.OWN_ID
    identifier = seeds.call_leg_id(options.identity, party.call, own_b_leg=own_b_leg)
    return write_script(party, identifier, int(party.call * options.stagger_ms * NS_PER_MS), form)


def deliver(script: TrackScript, options: SimulationOptions) -> Deliveries:
    """Return what arrives of it."""
    party = script.party
    random = random_stream(options.seed, Purpose.NETWORK, party.call, party.leg, party.direction)
    times_ns = script.send_times_ns - script.start_ns
    deliveries = options.network.deliver(times_ns, random, script.epochs)
    drop_at_ns = options.websocket.drop_at_ns
    if options.transport is Transport.WEBSOCKET and drop_at_ns is not None:
        deliveries = deliveries.without(Span(drop_at_ns, options.websocket.redial_after_ns))
    return deliveries.shifted(script.start_ns)


def audio_of(parties: list[Party], options: SimulationOptions) -> tuple[AudioLoop, Int64]:
    """Return all payloads, and (parties,) int64, which row of them each party speaks."""
    if options.says:
        pcm = spoken(options.says, options.duration_ns, options.encoding.sample_rate_hz)
        return loop(pcm, options.coding), np.array([party.direction for party in parties], np.int64)
    if options.audio is None:
        audio = tone_loop(parties, options.coding, options.seed)
        return audio, np.arange(len(parties))
    audio = loop(load(options.audio, options.encoding.sample_rate_hz), options.coding)
    return audio, np.array([party.direction for party in parties], np.int64)


def _rubbish(scripts: list[TrackScript], options: SimulationOptions) -> tuple[list[bytes], Int64]:
    count = round(options.faults.malformed * sum(map(len, scripts)))
    if options.transport is Transport.WEBSOCKET or not count:
        return [], np.empty(0, np.int64)
    random = random_stream(options.seed, Purpose.MALFORMED)
    party = scripts[0].party
    strep_header = header.serialize(StrepHeader(scripts[0].call_leg_id, party.leg, party.direction))
    datagrams = malformed.make(count, strep_header, random, is_strep=options.transport is Transport.STREP)
    end_ns = max(int(script.send_times_ns[-1]) for script in scripts)
    return datagrams, random.integers(0, end_ns, count)
