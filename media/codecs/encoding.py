"""What a payload is: the codec's name, its clocks, and how many samples it holds (RFC 3551 section 4.5, table 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from media.codecs.opus_packet import CLOCK_HZ as OPUS_CLOCK_HZ
from media.codecs.opus_packet import samples_at_48_khz
from strep.errors import WireError

FRAME_MS = 20
"""What everybody sends at a time, and RFC 3551 section 4.2 recommends."""
NAMES = ("PCMU", "PCMA", "G722", "L16", "OPUS")
_RATES_HZ: dict[str, tuple[int, ...] | range] = {
    "PCMU": (8000,),
    "PCMA": (8000,),
    "G722": (16000,),
    "L16": range(8000, 48001),
    "OPUS": (8000, 16000, 24000, 48000),
}


class RtpType(NamedTuple):
    """A static RTP payload type; `clock_hz` is that of the timestamps."""

    name: str
    clock_hz: int
    channels: int = 1


STATIC_PAYLOAD_TYPES = {
    0: RtpType("PCMU", 8000),
    3: RtpType("GSM", 8000),
    4: RtpType("G723", 8000),
    5: RtpType("DVI4", 8000),
    6: RtpType("DVI4", 16000),
    7: RtpType("LPC", 8000),
    8: RtpType("PCMA", 8000),
    9: RtpType("G722", 8000),
    10: RtpType("L16", 44100, 2),
    11: RtpType("L16", 44100),
    12: RtpType("QCELP", 8000),
    13: RtpType("CN", 8000),
    14: RtpType("MPA", 90000),
    15: RtpType("G728", 8000),
    16: RtpType("DVI4", 11025),
    17: RtpType("DVI4", 22050),
    18: RtpType("G729", 8000),
}
"""Audio of RFC 3551 table 4 by payload type, and CN of RFC 3389."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """One codec at one rate, mono.

    Attributes:
        name: of `NAMES`.
        sample_rate_hz: of its PCM. G722 has 16,000, whatever RTP says; OPUS is decoded to and encoded from the rate
            that is asked for.
        big_endian: of L16: network byte order is what RFC 3551 section 4.5.11 wants; no other codec looks at it.

    Raises:
        ValueError: no such name, or a rate that it does not have; the text completes "the encoding ...".
    """

    name: str
    sample_rate_hz: int = 8000
    big_endian: bool = True

    def __post_init__(self) -> None:
        rates = _RATES_HZ.get(self.name)
        if rates is None:
            raise ValueError(f"{self.name!r} is not served; there are {', '.join(NAMES)}")
        if self.sample_rate_hz not in rates:
            shown = f"{rates[0]} to {rates[-1]}" if isinstance(rates, range) else " or ".join(map(str, rates))
            raise ValueError(f"{self.name} has no rate of {self.sample_rate_hz} Hz; it has {shown}")

    @property
    def rtp_clock_hz(self) -> int:
        """Of RTP timestamps: G.722's is 8,000 by an old mistake (RFC 3551 4.5.2), Opus' 48,000 (RFC 7587 4.1)."""
        return {"G722": 8000, "OPUS": OPUS_CLOCK_HZ}.get(self.name, self.sample_rate_hz)

    @property
    def bytes_per_second(self) -> int | None:
        """How much a second takes, None where that varies."""
        return {"L16": 2 * self.sample_rate_hz, "OPUS": None}.get(self.name, 8000)

    @property
    def can_be_joined(self) -> bool:
        """Whether two payloads, one behind the other, are a payload; Opus packets are not."""
        return self.name != "OPUS"

    @property
    def frame_samples(self) -> int:
        """Samples of `FRAME_MS`, rounded down where they are not whole (11,025 Hz)."""
        return self.sample_rate_hz * FRAME_MS // 1000

    def samples_of(self, payload: bytes | memoryview) -> int:
        """Return how many samples at `sample_rate_hz` a payload decodes to, without decoding it.

        Raises:
            WireError: PAYLOAD: an Opus packet that is none, or half a sample.
        """
        if self.name == "OPUS":
            return samples_at_48_khz(payload) * self.sample_rate_hz // OPUS_CLOCK_HZ
        if self.name == "L16":
            return whole_samples(payload)
        return len(payload) * (2 if self.name == "G722" else 1)


PCMU = Encoding("PCMU")


def encoding_of_payload_type(payload_type: int) -> Encoding | None:
    """Return what a static payload type stands for, None where it is dynamic or a codec that is not served."""
    rtp = STATIC_PAYLOAD_TYPES.get(payload_type)
    if rtp is None or rtp.name not in NAMES or rtp.channels != 1:
        return None
    return Encoding(rtp.name, 16000 if rtp.name == "G722" else rtp.clock_hz)


def whole_samples(payload: bytes | memoryview) -> int:
    """Return the samples of 16-bit PCM.

    Raises:
        WireError: PAYLOAD: an odd number of bytes.
    """
    if len(payload) % 2:
        raise WireError("PAYLOAD", f"{len(payload)} bytes of L16 end in the middle of a sample")
    return len(payload) // 2
