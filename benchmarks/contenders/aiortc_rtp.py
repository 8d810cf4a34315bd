"""aiortc's RTP classes: what does a packet cost that becomes an `RtpPacket`?

``RtpPacket.parse`` behind a `asyncio.DatagramProtocol`, as aiortc does it behind its own transport; STREP's header by
`struct`, the stream from a dict and the payload through a numpy table, as in `per_packet`. Its jitter buffer and
its decoder (PyAV) are left out: both would only add. It is cheaper than bare asyncio because importing aiortc imports
PyAV, see `per_packet.KeptHeapContender`; what parsing adds is the difference to that.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from aiortc.rtp import RtpPacket

from benchmarks.contenders.per_packet import (
    PCM_OF_PCMU,
    STREP_1,
    STREP_BYTES,
    ProtocolContender,
    Stream,
    Streams,
    checksum,
)

_STREP = struct.Struct("!BB6x16s")


class RtpPacketStreams(Streams):
    """All streams of a port."""

    def receive(self, datagram: bytes) -> None:
        """Parse, find the stream, decode."""
        self.received += 1
        if len(datagram) < STREP_BYTES:
            self.rejected += 1
            return
        first, header_bytes, leg = _STREP.unpack_from(datagram)
        if first >> 2 != STREP_1 or header_bytes != STREP_BYTES:
            self.rejected += 1
            return
        try:
            packet = RtpPacket.parse(datagram[STREP_BYTES:])
        except ValueError:
            self.rejected += 1
            return
        if packet.payload_type:
            self.rejected += 1
            return
        key = (leg, first & 3)
        stream = self.streams.get(key)
        if stream is None:
            stream = self.streams[key] = Stream()
        pcm = PCM_OF_PCMU.take(np.frombuffer(packet.payload, np.uint8))
        stream.sequence_numbers.append(packet.sequence_number)
        stream.checksum += checksum(pcm)


class RtpPacketContender(ProtocolContender):
    """A protocol on the event loop of the argument."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Bind; evidence goes to `directory`."""
        super().__init__(argument, directory)
        self._streams = RtpPacketStreams()
