"""How a party's audio is cut into payloads: a codec, a rate, a packet time, and what RTP calls them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.codecs import Encoding, encoder_for
from media.codecs.encoding import FRAME_MS
from strep.clock import NS_PER_MS
from strep.errors import ConfigurationError

PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9, "L16": 96, "OPUS": 111}
"""RFC 3551 table 4 for the first three; the others are dynamic, with the numbers that most senders choose."""
_SILENCE = {"PCMU": 0xFF, "PCMA": 0xD5}


@dataclass(frozen=True, slots=True)
class Coding:
    """What all packets of a simulation have in common.

    Attributes:
        encoding: of the payloads.
        ptime_ms: of each.
        payload_type: RTP's.
    """

    encoding: Encoding
    ptime_ms: int = 20
    payload_type: int = 0

    def __post_init__(self) -> None:
        if not self.encoding.can_be_joined and self.ptime_ms != FRAME_MS:
            raise ConfigurationError(f"ptime: {self.encoding.name} is sent {FRAME_MS} ms at a time")
        if self.encoding.sample_rate_hz * self.ptime_ms % 1000:
            raise ConfigurationError(
                f"ptime: {self.ptime_ms} ms are no whole samples at {self.encoding.sample_rate_hz} Hz"
            )

    @property
    def samples_per_packet(self) -> int:
        """Of PCM."""
        return self.encoding.sample_rate_hz * self.ptime_ms // 1000

    @property
    def ticks_per_packet(self) -> int:
        """Of the RTP clock."""
        return self.encoding.rtp_clock_hz * self.ptime_ms // 1000

    @property
    def packet_ns(self) -> int:
        """Duration of a payload."""
        return self.ptime_ms * NS_PER_MS

    @property
    def silence(self) -> int:
        """The byte that stands for silence; it means something for G.711 and L16 only."""
        return _SILENCE.get(self.encoding.name, 0)

    def encode(self, tracks: NDArray[np.int16]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Encode and cut up, the last payload filled up with silence.

        Args:
            tracks: (rows, samples) int16 at the encoding's rate.

        Returns:
            (rows, payloads, bytes of the longest) uint8, and (rows, payloads) int64, how long each is.
        """
        rows, samples = tracks.shape
        count = -(-samples // self.samples_per_packet)
        # Encoders take whole frames; a packet of 10 or 30 ms need not be some.
        frame_samples = self.encoding.frame_samples
        needed = -(-count * self.samples_per_packet // frame_samples) * frame_samples
        cut: list[list[bytes]] = []
        for row in range(rows):
            pcm = np.zeros(needed, np.int16)
            pcm[:samples] = tracks[row]
            cut.append(self._cut(pcm, count))
        lengths = np.array([[len(payload) for payload in payloads] for payloads in cut], np.int64)
        table = np.zeros((rows, count, int(lengths.max())), np.uint8)
        for row, payloads in enumerate(cut):
            for place, payload in enumerate(payloads):
                table[row, place, : len(payload)] = np.frombuffer(payload, np.uint8)
        return table, lengths

    def _cut(self, pcm: NDArray[np.int16], count: int) -> list[bytes]:
        encoder = encoder_for(self.encoding)
        if not self.encoding.can_be_joined:
            return [encoder.encode(frame) for frame in pcm.reshape(count, -1)]
        whole = encoder.encode(pcm)
        size = len(whole) * self.samples_per_packet // len(pcm)
        return [whole[place * size : (place + 1) * size] for place in range(count)]
