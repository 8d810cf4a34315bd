"""`DecodedTrack`: one track whose payloads are decoded on their way in, whatever their codecs."""

from __future__ import annotations

from dataclasses import dataclass

from media.codecs import Encoding, FrameDecoder, decoder_for
from media.decoding.order import DecodeOrder, Fate, MovedOrder, Packet
from media.frame_buffer import FrameBuffer
from media.talk.contract import Pcm
from media.talk.resampler import Resampler
from strep.errors import WireError
from strep.g711 import Codec, encode
from strep.serial import signed_difference_32

MEMORYLESS = ("PCMU", "PCMA", "L16")
"""Each of their payloads says all: they are decoded as they come, and late ones still find their place."""
OVERTAKEN_S = 10
"""A timestamp that goes back by less is of a packet that came late, by more of a sender that began anew."""


@dataclass(slots=True)
class MovedDecoder:
    """All that a `DecodedTrack` knows, for another process, but what is in the memory of codec and resampler."""

    encoding: Encoding
    clock_hz: int | None
    is_ordered: bool
    order: MovedOrder
    ssrc: int | None
    timestamp: int | None
    due_timestamp: int
    end_samples: int


class DecodedTrack:
    """Turns packets of any served encodings into frames on one tape.

    Attributes:
        encoding: of the last payload that was decoded; before that, of the first packet.
    """

    def __init__(
        self,
        slot: int,
        encoding: Encoding,
        sample_rate_hz: int,
        law: Codec | None,
        buffer: FrameBuffer,
        reorder_wait_ns: int,
        clock_hz: int | None = None,
    ) -> None:
        """Start before the first packet.

        Args:
            slot: of the tape.
            encoding: of the first packet.
            sample_rate_hz: of the tape; what has another rate is resampled.
            law: of a tape of code bytes, None where the tape holds PCM.
            buffer: where frames wait for the tape.
            reorder_wait_ns: how long a hole is waited for before the codec goes on without it.
            clock_hz: of timestamps; that of the encoding in RTP unless given.
        """
        self.encoding = encoding
        self._slot = slot
        self._rate_hz = sample_rate_hz
        self._law = law
        self._buffer = buffer
        self._order = DecodeOrder(reorder_wait_ns)
        self._is_ordered = False
        self._clock_hz = clock_hz
        self._decoder: FrameDecoder | None = None
        self._resampler: Resampler | None = None
        self._ssrc: int | None = None
        self._timestamp: int | None = None  # of the newest packet of it, not wrapped at 2**32
        self._due_timestamp = 0  # where the one behind the newest is, if nothing lies between
        self._end_samples = 0  # and the sample that it would begin with

    def deadline(self) -> int:
        """Return when `poll` has something to do, in ns."""
        return self._order.deadline()

    def receive(self, packet: Packet) -> None:
        """Take a packet; what can be decoded now goes into the buffer."""
        if packet.encoding is not None and packet.encoding.name not in MEMORYLESS:
            self._is_ordered = True
        ready = self._order.receive(packet) if self._is_ordered else ((packet, Fate.NEXT),)
        for each, fate in ready:
            self._deliver(each, fate)

    def poll(self, now_ns: int) -> None:
        """Go on behind holes whose time is over."""
        for each, fate in self._order.poll(now_ns):
            self._deliver(each, fate)

    def finish(self) -> None:
        """Decode everything that waits: no packet follows."""
        for each, fate in self._order.flush():
            self._deliver(each, fate)

    def copy_out(self) -> MovedDecoder:
        """Return what goes on elsewhere."""
        place = self._ssrc, self._timestamp, self._due_timestamp, self._end_samples
        return MovedDecoder(self.encoding, self._clock_hz, self._is_ordered, self._order.copy_out(), *place)

    def put_in(self, moved: MovedDecoder) -> None:
        """Go on with what was elsewhere: positions are exact, and the codec begins anew."""
        self._is_ordered = moved.is_ordered
        self._order.put_in(moved.order)
        self._ssrc, self._timestamp = moved.ssrc, moved.timestamp
        self._due_timestamp, self._end_samples = moved.due_timestamp, moved.end_samples

    def shift(self, sequence_number: int, shift_samples: int) -> None:
        """Move what waits from `sequence_number` on; see `media.ws.chunks.Placement`."""
        self._order.shift(sequence_number, shift_samples)

    def _deliver(self, packet: Packet, fate: Fate) -> None:
        """Put a packet's samples into the buffer, or its bare place where it has none."""
        place = self._slot, packet.sequence_number
        origin = packet.ssrc, packet.arrival_ns
        if packet.encoding is None or not packet.payload or fate is Fate.BEHIND:
            self._buffer.add_place(*place, self._start(packet, 0), *origin, is_audio=packet.encoding is not None)
            return
        try:
            pcm = self._decode(packet.payload, packet.encoding, is_first=fate is Fate.FIRST)
        except WireError:
            self._buffer.add_place(*place, self._start(packet, 0), *origin, is_audio=False)
            return
        payload = pcm.tobytes() if self._law is None else encode(pcm, self._law).tobytes()
        self._buffer.add(*place, self._start(packet, len(pcm)), *origin, payload)

    def _decode(self, payload: bytes, encoding: Encoding, *, is_first: bool) -> Pcm:
        """Return the samples of a payload at the tape's rate."""
        if encoding != self.encoding or self._decoder is None:
            self.encoding, self._decoder = encoding, decoder_for(encoding)
            same = encoding.sample_rate_hz == self._rate_hz
            self._resampler = None if same else Resampler(encoding.sample_rate_hz, self._rate_hz, delayed=True)
        elif is_first:
            self._decoder.reset()
        if encoding.samples_of(payload) > encoding.sample_rate_hz:
            raise WireError("PAYLOAD", "more than a second does not fit on the tape")
        pcm = self._decoder.decode(payload)
        return pcm if self._resampler is None else self._resampler.process(pcm)

    def _start(self, packet: Packet, length: int) -> int:
        """Return where a packet of `length` samples begins on the tape, modulo 2**32, by its own clock."""
        encoding = packet.encoding or self.encoding
        clock_hz = self._clock_hz or encoding.rtp_clock_hz
        if packet.ssrc != self._ssrc:
            self._ssrc, self._timestamp = packet.ssrc, None
        before, timestamp = self._timestamp, packet.timestamp
        if before is not None:
            timestamp = before + signed_difference_32(timestamp, before)
        start = timestamp * self._rate_hz // clock_hz
        was_overtaken = before is not None and 0 < before - timestamp < OVERTAKEN_S * clock_hz
        if length and not was_overtaken:
            if before is not None and timestamp == self._due_timestamp:
                start = self._end_samples  # a rate that is no multiple leaves fractions: they must not become gaps
            ticks = encoding.samples_of(packet.payload) * clock_hz // encoding.sample_rate_hz
            self._timestamp, self._due_timestamp, self._end_samples = timestamp, timestamp + ticks, start + length
        return start & 0xFFFF_FFFF
