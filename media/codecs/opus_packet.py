"""How long an Opus packet is, told from its first bytes (RFC 6716 sections 3.1 and 3.2).

::

     0 1 2 3 4 5 6 7        c: 0 one frame, 1 two of equal size, 2 two of different sizes, 3 any number
    +-+-+-+-+-+-+-+-+
    | config  |s| c |       then, where c is 3:   |v|p|     M     |  M frames
    +-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from strep.errors import WireError

CLOCK_HZ = 48_000
LONGEST_SAMPLES = 120 * CLOCK_HZ // 1000
"""Of a packet (requirement R5 of section 3.4)."""
_SILK_MS = (10, 20, 40, 60)
_HYBRID_MS = (10, 20)
_CELT_MS = (2.5, 5, 10, 20)
_FRAME_SAMPLES = [
    int(milliseconds * CLOCK_HZ / 1000)
    for durations, bandwidths in ((_SILK_MS, 3), (_HYBRID_MS, 2), (_CELT_MS, 4))
    for _ in range(bandwidths)
    for milliseconds in durations
]
"""By config, 0 to 31 (table 2)."""


def frame_samples_at_48_khz(toc: int) -> int:
    """Return the samples of one frame of a packet whose first byte is `toc`."""
    return _FRAME_SAMPLES[toc >> 3]


def samples_at_48_khz(packet: bytes | memoryview) -> int:
    """Return the samples of the whole packet.

    Raises:
        WireError: PAYLOAD: no packet (requirements R1, R2, R5 and R6 of section 3.4).
    """
    if not packet:
        raise WireError("PAYLOAD", "an Opus packet has a byte at least")
    code = packet[0] & 3
    if code == 3 and len(packet) < 2:
        raise WireError("PAYLOAD", "an Opus packet of code 3 has two bytes at least")
    frames = packet[1] & 0x3F if code == 3 else 1 if code == 0 else 2
    samples = frames * frame_samples_at_48_khz(packet[0])
    if not 0 < samples <= LONGEST_SAMPLES:
        raise WireError("PAYLOAD", f"an Opus packet of {frames} frames, {samples // 48} ms")
    if code == 1 and len(packet) % 2 == 0:
        raise WireError("PAYLOAD", "an Opus packet of two equal frames, but not of equal size")
    return samples
