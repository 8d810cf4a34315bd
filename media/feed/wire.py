"""The format of a message of PCM, version 1: a header, then samples of one track of one call. All little-endian.

::

     0       4   5   6   7   8       10      12          16
    +-------+---+---+---+---+-------+-------+-----------+
    | SPCM  |ver|fmt|trk|flg| header| id    | rate, Hz  |
    +-------+---+---+---+---+-------+-------+-----------+
    | sequence number       | position of the first sample|   16 to 32
    +-----------------------+---------------------------+
    | origin, wall clock, ns| samples   | lost samples  |   32 to 48
    +-----------------------+-----------+---------------+
    | call id, UTF-8, zeros up to a multiple of 8       |   48 to `header`
    +---------------------------------------------------+
    | samples                                           |   `header` to the end of the message
    +---------------------------------------------------+

`FIELDS` is the same as a table; ``docs/feed.md`` is made of it.

**Position.** Both tracks of a call lie on one timeline. A sample at position p of a message at rate r was spoken
p / r seconds behind the call's origin, exactly: positions are counted at the rate *of the message*, whatever the
call's own is, and sample p of a resampled track stands for that moment, the filter's delay taken out. The same audio
at 8 kHz and at 16 kHz has positions of which the second are twice the first.

**Sequence.** Numbers count the messages of one track at one rate and format from 0. Where the next number is missing,
this reader missed messages. Where numbers follow one another and positions do not, there is no audio in between
(`Flag.GAP`): the carrier began anew, or the call was paused. Patches (`Flag.LATE`) are numbered with the others.

**Later versions.** A reader skips what it does not know: bytes of the header behind the call id, and flags. Whatever
cannot be skipped changes the version.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.errors import WireError
from strep.g711 import Codec, decode
from strep.header import Direction

MAGIC = b"SPCM"
VERSION = 1
MAX_CALL_ID_BYTES = 1024
MAX_SAMPLES = 1 << 24
"""Of one message; far more than any block, and little enough to be believed."""
ALIGNMENT_BYTES = 8
"""Samples begin at a multiple of this, so that an array can be laid over them."""

FIELDS = (
    ("magic", "4s", "the letters `SPCM`"),
    ("version", "B", "1"),
    ("format", "B", "of a sample: 1 int16, 2 float32 of -1 to 1, 3 mu-law (G.711, a byte a sample)"),
    ("track", "B", "0 inbound (what the carrier received), 1 outbound (what it transmitted)"),
    ("flags", "B", "sum of 1 lost, 2 late, 4 gap, 8 end, see below"),
    ("header_bytes", "H", "where the samples begin, a multiple of 8"),
    ("call_id_bytes", "H", "length of the call id, at least 1"),
    ("sample_rate_hz", "I", "of these samples"),
    ("sequence_number", "Q", "of this track at this rate and format, from 0"),
    ("position_samples", "q", "of the first sample on the call's timeline, at `sample_rate_hz`; 0 is the origin"),
    ("origin_wall_ns", "q", "wall clock of the call's origin, nanoseconds since 1970"),
    ("samples", "I", "so many follow the header"),
    ("lost_samples", "I", "so many of these are silence in place of packets that were lost"),
)
"""Name, `struct` code and meaning, in their order; the call id follows."""
HEADER = struct.Struct("<" + "".join(code for _, code, _ in FIELDS))


class SampleFormat(IntEnum):
    """How a sample is written."""

    INT16 = 1
    FLOAT32 = 2
    MULAW = 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of an array over the samples."""
        return _DTYPES[self]

    @property
    def sample_bytes(self) -> int:
        """Length of a sample."""
        return self.dtype.itemsize


_DTYPES: dict[SampleFormat, np.dtype[Any]] = {
    SampleFormat.INT16: np.dtype("<i2"),
    SampleFormat.FLOAT32: np.dtype("<f4"),
    SampleFormat.MULAW: np.dtype("u1"),
}


class Flag(IntFlag):
    """What is special about a message."""

    NONE = 0
    LOST = 1
    """Some of the samples are silence that stands for lost packets."""
    LATE = 2
    """A patch: packets that came when silence had been sent in their place. It belongs there; or ignore it."""
    GAP = 4
    """It does not begin where the one before it ended, with no audio in between; or is the first of a track.

    A reader who joins others that have the track at this rate does not get it for its first message.
    """
    END = 8
    """The track has ended; no message of it follows. It has no samples."""


@dataclass(frozen=True, slots=True)
class PcmMessage:
    """One message.

    Attributes:
        call_id: whose call.
        track: whose voice.
        sample_rate_hz, position_samples, sequence_number, origin_wall_ns, lost_samples: as in `FIELDS`.
        format: of `payload`.
        payload: the samples' bytes; a view into what was parsed.
        flags: a sum of `Flag`.
    """

    call_id: str
    track: Direction
    sample_rate_hz: int
    format: SampleFormat
    position_samples: int
    sequence_number: int
    origin_wall_ns: int
    payload: bytes | memoryview
    lost_samples: int = 0
    flags: Flag = Flag.NONE

    @property
    def samples(self) -> int:
        """How many."""
        return len(self.payload) // self.format.sample_bytes

    @property
    def end_samples(self) -> int:
        """Position behind the last sample."""
        return self.position_samples + self.samples

    def pcm(self) -> NDArray[np.int16]:
        """Return (samples,) int16, whatever the format is; not to be written to."""
        raw: NDArray[np.generic] = np.frombuffer(self.payload, self.format.dtype)
        if self.format is SampleFormat.MULAW:
            return decode(raw.view(np.uint8), Codec.PCMU)
        if self.format is SampleFormat.FLOAT32:
            scaled = np.rint(raw.view("<f4") * np.float32(32768))
            return np.clip(scaled, -32768, 32767).astype(np.int16)
        return raw.view("<i2").astype(np.int16, copy=False)


def serialize(message: PcmMessage) -> bytes:
    """Return the bytes of a message.

    Raises:
        ValueError: the call id has no bytes or more than `MAX_CALL_ID_BYTES`.
        struct.error: a number does not fit its field.
    """
    call_id = message.call_id.encode()
    if not 0 < len(call_id) <= MAX_CALL_ID_BYTES:
        raise ValueError(f"a call id of {len(call_id)} bytes: 1 to {MAX_CALL_ID_BYTES} can be sent")
    padding = -(HEADER.size + len(call_id)) % ALIGNMENT_BYTES
    fixed = HEADER.pack(
        MAGIC,
        VERSION,
        message.format,
        message.track,
        message.flags,
        HEADER.size + len(call_id) + padding,
        len(call_id),
        message.sample_rate_hz,
        message.sequence_number,
        message.position_samples,
        message.origin_wall_ns,
        message.samples,
        message.lost_samples,
    )
    return b"".join((fixed, call_id, bytes(padding), message.payload))


def parse(data: bytes | memoryview) -> PcmMessage:
    """Parse a message, bytes from the network; its samples are not copied.

    Raises:
        WireError: it is none, it is of another version, or what it says of itself is not so.
    """
    if len(data) < HEADER.size:
        raise WireError("TRUNCATED", f"{len(data)} bytes, a header has {HEADER.size} and a call id")
    (
        magic, version, format_number, track, flags, header_bytes, call_id_bytes,
        sample_rate_hz, sequence_number, position_samples, origin_wall_ns, samples, lost_samples,
    ) = HEADER.unpack_from(data)  # fmt: skip
    if magic != MAGIC:
        raise WireError("NOT_PCM", f"begins with {magic!r} where a message has {MAGIC!r}")
    if version != VERSION:
        raise WireError("VERSION", f"version {version}, known is {VERSION}")
    _check_lengths(len(data), header_bytes, call_id_bytes)
    try:
        sample_format, direction = SampleFormat(format_number), Direction(track)
        call_id = bytes(data[HEADER.size : HEADER.size + call_id_bytes]).decode()
    except ValueError as error:
        raise WireError("FIELD", str(error)) from None
    payload = memoryview(data)[header_bytes:]
    if len(payload) != samples * sample_format.sample_bytes or samples > MAX_SAMPLES:
        raise WireError(
            "LENGTH", f"{len(payload)} bytes behind the header for {samples} samples of {sample_format.name}"
        )
    if not sample_rate_hz or lost_samples > samples:
        raise WireError("FIELD", f"{sample_rate_hz} Hz, {lost_samples} of {samples} samples lost")
    return PcmMessage(
        call_id,
        direction,
        sample_rate_hz,
        sample_format,
        position_samples,
        sequence_number,
        origin_wall_ns,
        payload,
        lost_samples,
        Flag(flags),
    )


def _check_lengths(data_bytes: int, header_bytes: int, call_id_bytes: int) -> None:
    if not 0 < call_id_bytes <= MAX_CALL_ID_BYTES:
        raise WireError("CALL_ID", f"a call id of {call_id_bytes} bytes, at least 1 and at most {MAX_CALL_ID_BYTES}")
    if header_bytes < HEADER.size + call_id_bytes or header_bytes % ALIGNMENT_BYTES:
        raise WireError("HEADER_LENGTH", f"a header of {header_bytes} bytes with a call id of {call_id_bytes}")
    if header_bytes > data_bytes:
        raise WireError("TRUNCATED", f"a header of {header_bytes} bytes in a message of {data_bytes}")
