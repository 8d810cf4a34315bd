"""What to simulate: one frozen record, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from media.carrier.audio import CONVERSATION
from media.carrier.coding import PAYLOAD_TYPES, Coding
from media.carrier.dialects import DIALECTS
from media.carrier.faults import Faults
from media.carrier.keys import KEYS, place
from media.carrier.network import NetworkModel
from media.carrier.tones import MAX_CALLS
from media.codecs import Encoding
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.errors import ConfigurationError
from strep.g711 import Codec

PTIMES_MS = (10, 20, 30, 60)


class Transport(StrEnum):
    """How the audio travels."""

    STREP = "strep"
    """Both directions of all calls to one UDP port (``target``)."""
    RTP = "rtp"
    """Bare RTP, a port for each direction (``rx`` and ``tx``)."""
    WEBSOCKET = "websocket"
    """JSON frames, a socket for each call (``stream_url``)."""


class BLeg(StrEnum):
    """Whether calls have a B leg, and under which call_leg_id (the documents leave both possible)."""

    NONE = "none"
    SAME_ID = "same-id"
    OWN_ID = "own-id"


class PlaybackMode(StrEnum):
    """What the payloads sent *to* the carrier are (``stream_bidirectional_mode``)."""

    RTP = "rtp"
    """The codec's bytes."""
    MP3 = "mp3"
    """A whole file in every message."""


class ErrorShape(StrEnum):
    """Which of the two documented error frames is sent."""

    PRESENT = "present"
    """``payload:{code: number}``, without a sequence number (2026)."""
    OLD = "old"
    """``error:{code: "string"}`` with one (2022 to 2024)."""
    ALTERNATING = "alternating"


class TargetLegs(StrEnum):
    """Who hears what is sent (``stream_bidirectional_target_legs``)."""

    OPPOSITE = "opposite"
    SELF = "self"
    BOTH = "both"


class TimestampUnit(StrEnum):
    """Unit of a media frame's ``timestamp``, which nobody has documented."""

    MILLISECONDS = "ms"
    SAMPLES = "samples"
    PACKETS = "packets"


@dataclass(frozen=True, slots=True)
class PlaybackManners:
    """How the carrier plays what it is sent, where the documents are silent or carriers differ."""

    honours_tag: bool = True
    """The MP3 decoder cuts off what the LAME tag says is not audio; False plays it, as many decoders do."""
    ignores_raw: bool = False
    """In mode mp3, bytes that are no MP3 are dropped without a word; by default they are error 100004."""
    mp3_interval_ns: int = NS_PER_SECOND
    """At most one message in this time, in mode mp3."""
    error_rate: float = 0.0
    """Share of the media messages that are refused, and not played, for no reason: half 100005, half 100002."""
    error_shape: ErrorShape = ErrorShape.PRESENT
    keeps_playing: bool = True
    """What is queued goes on playing when the socket breaks; False forgets it. Documented nowhere."""

    def __post_init__(self) -> None:
        if not 0 <= self.error_rate <= 1:
            raise ConfigurationError(f"error-rate: {self.error_rate} is not a share from 0 to 1")


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """The spelling and the manners of a media stream; the defaults are as documented, where anything is."""

    dialect: str = "telnyx"
    """Whose frames: a name of `media.carrier.dialects.DIALECTS`."""
    tracks: tuple[str, ...] | None = None
    """Which tracks are streamed (``stream_track``); None for the dialect's own, see `streamed_tracks`."""
    numbers_as_strings: bool = True
    """Counters are JSON strings; False makes them numbers."""
    shared_chunks: bool = False
    """Both tracks count their chunks together; by default each has a counter of its own."""
    first_chunk: int = 1
    """Where the chunk counters begin."""
    timestamp_unit: TimestampUnit = TimestampUnit.MILLISECONDS
    """Unit of ``timestamp``, counted from the call's beginning."""
    mime_encoding: bool = False
    """Spell the encoding audio/x-mulaw or audio/x-alaw, as older documents do."""
    auth_token: str = ""
    """Sent in the upgrade request and, where the dialect does that, in the connected frame."""
    dtmf: str = ""
    """Digits, a dtmf frame each, spread evenly over the call."""
    oddities: bool = False
    """Error frames of both shapes, a mark nobody asked for, unknown events and unknown fields in between."""
    drop_at_ns: int | None = None
    """The socket breaks without a close frame at this time of the call; the carrier dials again."""
    redial_after_ns: int = 500 * NS_PER_MS
    """What gets through then. Frames made meanwhile are lost; stream_id and counters go on."""
    playback_mode: PlaybackMode | None = None
    """What the carrier takes the audio sent to it for; None for the dialect's own: mp3 where there is such a mode."""
    playback_encoding: Encoding = field(default_factory=lambda: Encoding("PCMU"))
    """Mode rtp: of the bytes."""
    target_legs: TargetLegs = TargetLegs.OPPOSITE
    manners: PlaybackManners = field(default_factory=PlaybackManners)
    stop_frame: bool = True
    """End with a stop frame; False just closes the socket."""

    def __post_init__(self) -> None:
        if self.dialect not in DIALECTS:
            raise ConfigurationError(f"dialect: {self.dialect}; one of {', '.join(DIALECTS)}")
        if not self.streamed_tracks or set(self.streamed_tracks) - {"inbound", "outbound"}:
            raise ConfigurationError(f"websocket tracks: {self.tracks}; inbound, outbound or both")
        if len(self.streamed_tracks) > 1 and not DIALECTS[self.dialect].writer.is_text:
            raise ConfigurationError(f"websocket tracks: the messages of {self.dialect} do not say which; choose one")
        if self.playback_mode is PlaybackMode.MP3 and not DIALECTS[self.dialect].takes_mp3:
            raise ConfigurationError(f"playback: {self.dialect} has no mode mp3")

    @property
    def streamed_tracks(self) -> tuple[str, ...]:
        """Which tracks are streamed."""
        return DIALECTS[self.dialect].tracks if self.tracks is None else self.tracks

    @property
    def takes_audio(self) -> bool:
        """Whether the carrier plays what is sent to it."""
        return self.streamed_tracks in DIALECTS[self.dialect].talks_back_on

    @property
    def mode(self) -> PlaybackMode:
        """What the carrier takes the audio sent to it for."""
        usual = PlaybackMode.MP3 if DIALECTS[self.dialect].takes_mp3 else PlaybackMode.RTP
        return self.playback_mode or usual


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """A simulation from end to end; the same record gives the same datagrams at the same times."""

    transport: Transport = Transport.STREP
    calls: int = 1
    seconds: float = 20.0
    """Length of each call; rounded to whole packets."""
    ptime_ms: int = 20
    """Audio per packet: 10, 20, 30 or 60 ms."""
    codec: Codec | Encoding = Codec.PCMU
    """Of the payloads; see `encoding`."""
    payload_type: int | None = None
    """RTP's; None for `media.carrier.coding.PAYLOAD_TYPES`."""
    stagger_ms: float = 7.0
    """Time between the beginnings of two calls. 7 spreads them evenly over a packet's 20 ms."""
    audio: Path | None = CONVERSATION
    """A file that is repeated as long as the calls last; None for tones, see `media.carrier.tones`."""
    b_leg: BLeg = BLeg.NONE
    seed: int = 1
    ids: int | None = None
    """The seed of call_leg_ids, SSRCs and stream ids alone; None for `seed`."""
    network: NetworkModel = field(default_factory=NetworkModel)
    faults: Faults = field(default_factory=Faults)
    websocket: WebSocketOptions = field(default_factory=WebSocketOptions)
    presses: tuple[tuple[int, str], ...] = ()
    """Keys that the caller presses: when, in nanoseconds after the call's beginning, and which. A frame each over
    WebSocket, else telephone-event packets in the A leg's inbound audio; see `media.carrier.keys`."""
    says: tuple[tuple[int, Path], ...] = ()
    """What the caller says instead of `audio`: when, and a file; silence in between, and from the other side."""

    def __post_init__(self) -> None:
        if self.calls < 1:
            raise ConfigurationError(f"calls: {self.calls}; at least 1")
        if self.audio is None and self.calls > MAX_CALLS:
            raise ConfigurationError(f"calls: {self.calls}; there are different tones for {MAX_CALLS}")
        if self.ptime_ms not in PTIMES_MS:
            raise ConfigurationError(f"ptime: {self.ptime_ms} ms; one of {', '.join(map(str, PTIMES_MS))}")
        self._check_caller()
        if self.transport is Transport.WEBSOCKET:
            self._check_stream()
        if self.packets < 2:
            raise ConfigurationError(f"seconds: {self.seconds} is less than two packets of {self.ptime_ms} ms")
        if self.stagger_ms < 0 or self.seed < 0 or self.identity < 0:
            raise ConfigurationError("stagger, seed and ids: not negative")
        for restart_ns in self._events_ns():
            if not 0 < restart_ns < self.duration_ns - self.ptime_ms * NS_PER_MS:
                raise ConfigurationError(
                    f"ssrc-change, sequence-reset, timestamp-jump, ws-drop: {restart_ns / NS_PER_SECOND:g} s "
                    f"is not inside a call of {self.seconds:g} s"
                )
        if self.transport is not Transport.STREP and self.b_leg is not BLeg.NONE:
            raise ConfigurationError("b-leg: only STREP packets say which leg they belong to")

    def _check_caller(self) -> None:
        digits = "".join(digit for _, digit in self.key_presses())
        if set(digits) - set(KEYS):
            raise ConfigurationError(f"dtmf: {digits!r} has digits that no telephone has")
        for time_ns in [time_ns for time_ns, _ in (*self.presses, *self.says)]:
            if not 0 <= time_ns < self.duration_ns:
                raise ConfigurationError(f"press, say: {time_ns / NS_PER_SECOND:g} s is not inside the call")
        if self.transport is not Transport.WEBSOCKET:
            place(self.key_presses(), self.packets, self.coding.packet_ns)

    def _check_stream(self) -> None:
        dialect, name = self.websocket.dialect, self.encoding.name
        encodings = DIALECTS[dialect].writer.encodings
        if name not in encodings:
            raise ConfigurationError(f"codec: {dialect} streams no {name}; it has {', '.join(encodings)}")

    def _events_ns(self) -> list[int]:
        drop_at_ns = self.websocket.drop_at_ns
        if drop_at_ns is None:
            return self.faults.restarts_at_ns
        return [*self.faults.restarts_at_ns, drop_at_ns, drop_at_ns + self.websocket.redial_after_ns]

    @property
    def identity(self) -> int:
        """The seed of everything that tells one call from another."""
        return self.seed if self.ids is None else self.ids

    @property
    def encoding(self) -> Encoding:
        """Of the payloads."""
        return self.codec if isinstance(self.codec, Encoding) else Encoding(self.codec.name)

    @property
    def coding(self) -> Coding:
        """How audio becomes payloads."""
        name = self.encoding.name
        payload_type = PAYLOAD_TYPES[name] if self.payload_type is None else self.payload_type
        return Coding(self.encoding, self.ptime_ms, payload_type)

    @property
    def samples_per_packet(self) -> int:
        """Samples in a payload."""
        return self.coding.samples_per_packet

    def key_presses(self) -> list[tuple[int, str]]:
        """Return when, after its beginning, each call presses which key."""
        digits = self.websocket.dtmf
        evenly = [(self.duration_ns * place // (len(digits) + 1), digit) for place, digit in enumerate(digits, 1)]
        return sorted([*evenly, *self.presses])

    @property
    def packets(self) -> int:
        """Payloads in a call without pauses."""
        return round(self.seconds * 1000 / self.ptime_ms)

    @property
    def duration_ns(self) -> int:
        """Length of each call in nanoseconds."""
        return self.packets * self.ptime_ms * NS_PER_MS
