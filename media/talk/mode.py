"""How audio goes back on a stream: MP3 or raw, in which codec and at what rate, and the `Playout` that does it.

A Telnyx ``start`` frame does not say how the stream was asked for (``stream_bidirectional_mode`` and its kin), so
that is the server's configuration. A stream overrides it by the query of its ``stream_url`` or by custom parameters
of the same names: ``?playback=rtp&playback_codec=G722&playback_rate=16000``. Custom parameters go first. Other
dialects take raw audio in the codec that they send.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from media.codecs import Encoding, encoder_for
from media.codecs.encoding import FRAME_MS
from media.talk.contract import PlaybackError, ReturnFrames
from media.talk.lateness import Lateness
from media.talk.mp3_maker import Makers, PieceMaker
from media.talk.mp3_mode import Mp3Playout
from media.talk.player import Player
from media.talk.playout import Playout
from media.talk.rtp_mode import RtpOptions, RtpPlayout
from media.ws.dialects.dialect import Dialect, Playback
from media.ws.host import StreamStart
from strep.errors import ConfigurationError

MODES = ("mp3", "rtp")
CODECS = ("PCMU", "PCMA", "G722", "L16", "OPUS")
MP3_RATES_HZ = (8000, 16000, 24000)
HAVE_MEMORY = ("G722", "OPUS")


@dataclass(frozen=True, slots=True)
class PlaybackMode:
    """How a stream was asked for.

    Attributes:
        mode: "mp3" or "rtp".
        codec: of rtp mode, as `CODECS` has it.
        rate_hz: of the audio in either mode; G.722 has 16,000 whatever is said.
        is_big_endian: of L16.
        keep_alive: of rtp mode, see `RtpOptions`.
    """

    mode: str = "mp3"
    codec: str = "PCMU"
    rate_hz: int = 8000
    is_big_endian: bool = False
    keep_alive: bool = False

    @property
    def encoding(self) -> Encoding:
        """The encoding of rtp mode.

        Raises:
            ValueError: the codec does not have this rate.
        """
        rate_hz = 16000 if self.codec == "G722" else self.rate_hz
        return Encoding(self.codec, rate_hz, big_endian=self.is_big_endian)


def mode_of(start: StreamStart, default: PlaybackMode) -> PlaybackMode:
    """Return how a stream wants to be played to.

    Raises:
        PlaybackError: it cannot be played to, or asks for what does not exist; the text says what.
    """
    dialect = start.dialect
    if dialect.playback is Playback.NONE:
        raise PlaybackError(f"nothing can be played into this call: a {dialect.name} stream goes one way")
    if dialect.playback is Playback.RTP:
        heard = start.encoding
        mode = replace(default, mode="rtp", codec=heard.name, rate_hz=heard.sample_rate_hz)
        mode = replace(mode, is_big_endian=heard.big_endian)
    else:
        mode = _overridden(default, _asked(start))
    try:
        if mode.mode == "rtp":
            mode.encoding  # noqa: B018
        elif mode.rate_hz not in MP3_RATES_HZ:
            raise ValueError(f"MP3 has no rate of {mode.rate_hz} Hz")
    except ValueError as error:
        raise PlaybackError(f"this stream was to be played to in a way that is not possible: {error}") from error
    return mode


def _asked(start: StreamStart) -> dict[str, str]:
    """Return what the stream itself says, names in lower case."""
    said = dict(parse_qsl(urlsplit(start.handshake.path).query))
    custom: Any = start.identity.get("custom_parameters")
    if isinstance(custom, list):  # the shape in which they were asked for
        custom = {item.get("name"): item.get("value") for item in custom if isinstance(item, Mapping)}
    if isinstance(custom, Mapping):
        said |= {str(name): str(value) for name, value in custom.items()}
    return {name: value.strip() for name, value in said.items() if name.startswith("playback")}


def _overridden(mode: PlaybackMode, asked: Mapping[str, str]) -> PlaybackMode:
    kind, codec = asked.get("playback", mode.mode).lower(), asked.get("playback_codec", mode.codec).upper()
    rate = asked.get("playback_rate", "")
    if kind not in MODES:
        raise PlaybackError(f"playback={kind[:20]!r} of this stream is neither mp3 nor rtp")
    if codec not in CODECS:
        raise PlaybackError(f"playback_codec={codec[:20]!r} of this stream is none of {', '.join(CODECS)}")
    if rate and not (rate.isascii() and rate.isdigit() and len(rate) < 7):
        raise PlaybackError(f"playback_rate={rate[:20]!r} of this stream is no rate")
    return replace(mode, mode=kind, codec=codec, rate_hz=int(rate) if rate else mode.rate_hz)


class StreamFrames:
    """The frames of one stream, `ReturnFrames` of its dialect."""

    def __init__(self, dialect: Dialect, stream_id: str) -> None:
        assert dialect.media is not None
        self._media, self._mark, self._clear = dialect.media, dialect.mark, dialect.clear
        self._stream_id = stream_id

    def media(self, payload: bytes) -> str:
        """See `ReturnFrames.media`."""
        return self._media(self._stream_id, payload)

    def mark(self, name: str) -> str | None:
        """See `ReturnFrames.mark`."""
        return self._mark(self._stream_id, name) if self._mark is not None else None

    def clear(self) -> str | None:
        """See `ReturnFrames.clear`."""
        return self._clear(self._stream_id) if self._clear is not None else None


def playout_for(
    mode: PlaybackMode,
    frames: ReturnFrames,
    lateness: Lateness,
    *,
    phase: float = 0.0,
    mp3_makers: Makers | None = None,
) -> Playout:
    """Make the return path of a stream.

    Args:
        mode: how it was asked for.
        frames: of its dialect.
        lateness: of all calls.
        phase: as `RtpOptions` has it.
        mp3_makers: who makes MP3s, if not those that all streams share.

    Raises:
        PlaybackError: the codec needs a package that is not installed.
    """
    if mode.mode == "mp3":
        return Mp3Playout(Player(mode.rate_hz), frames, PieceMaker(mode.rate_hz, mp3_makers))
    try:
        encoder = encoder_for(mode.encoding)
    except ConfigurationError as error:
        raise PlaybackError(str(error)) from error
    options = RtpOptions(keep_alive=mode.keep_alive, has_memory=mode.codec in HAVE_MEMORY, phase=phase)
    if not mode.encoding.can_be_joined:
        options = replace(options, message_ms=FRAME_MS)
    return RtpPlayout(Player(encoder.sample_rate_hz), frames, encoder, options, lateness)
