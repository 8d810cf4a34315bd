"""The carrier of `benchmarks.pieces`: streams that play the MP3s they get on a clock, and keep them for the referee.

A mark comes back when what stands before it has been played. What the carrier heard is known afterwards: every MP3 is
decoded by itself, and a hole is where the next one came after the carrier had played everything.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.talk_carrier import SETTLE_S
from media.carrier import mp3
from media.carrier.audio import CONVERSATION, load
from media.codecs.mp3_tag import GAIN
from strep.clock import NS_PER_SECOND

RATE_HZ = 8000
SAMPLES = 30 * RATE_HZ
"""What a call plays, over and over."""
LEVEL = 300.0
"""Seconds of audio that are quieter, root mean square, are not compared: there a lossy codec has nothing to show."""
WORST_DB = -6.0
"""How much a second may differ from what was played; a piece in the wrong place differs by 0 dB or more."""
_UPGRADE = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Piece(NamedTuple):
    """One message of audio.

    Attributes:
        arrived_ns: CLOCK_MONOTONIC.
        left_ns: of audio that the carrier had at that time; less than 0: a hole of so much.
        file: the MP3.
    """

    arrived_ns: int
    left_ns: int
    file: bytes


def speech() -> NDArray[np.int16]:
    """Return two times `SAMPLES` of a telephone conversation, so that a call may begin anywhere in the first half."""
    said = load(CONVERSATION)[0]
    return np.resize(said, 2 * SAMPLES)


def begins_at(call_id: str, *, same: bool) -> int:
    """Return where in `speech` a call begins; all of them at the same place, or no two within 250 ms."""
    number = int(call_id.rpartition("-")[2])
    return 0 if same else number * 2017 % len(load(CONVERSATION)[0])


@dataclass
class Stream(asyncio.Protocol):
    """One media stream.

    Attributes:
        name: its stream_id.
        pieces: what came.
        began_ns: when its start was sent.
        refused: messages that are no MP3, or came sooner than a second after the one before.
    """

    name: str
    pieces: list[Piece] = field(default_factory=list)
    began_ns: int = 0
    refused: int = 0
    is_lost: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._data, self._ends_ns, self._is_open, self._is_done = bytearray(), 0, False, False
        self.transport.write(_UPGRADE.encode())

    def data_received(self, data: bytes) -> None:
        """Take every message that is whole; begin the stream when the upgrade was granted."""
        now_ns = time.monotonic_ns()
        self._data += data
        if not self._is_open:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            assert b" 101 " in head
            self._is_open, self._data, self.began_ns = True, rest, now_ns
            media_format = {"encoding": "PCMU", "sample_rate": RATE_HZ, "channels": 1}
            self._say("start", start={"media_format": media_format})
        for text in self._messages():
            self._take(msgspec.json.decode(text), now_ns)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note."""
        self.is_lost = not self._is_done

    def abort(self) -> None:
        """Be done."""
        self._is_done = True
        self.transport.abort()

    def _messages(self) -> Iterator[bytes]:
        """Take the whole text frames from what came (RFC 6455 section 5.2); a server does not mask them."""
        data, at = self._data, 0
        while at + 2 <= len(data):
            size, body = data[at + 1], at + 2
            if size >= 126:
                body += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : body], "big")
            if body + size > len(data):
                break
            if data[at] == 0x81:
                yield bytes(data[body : body + size])
            at = body + size
        del data[:at]

    def _take(self, message: dict[str, Any], now_ns: int) -> None:
        if message["event"] == "media":
            self._play(b64decode(message["media"]["payload"]), now_ns)
        elif message["event"] == "mark":
            delay_s = max(self._ends_ns - now_ns, 0) / NS_PER_SECOND
            asyncio.get_running_loop().call_later(delay_s, lambda: self._say("mark", mark=message["mark"]))

    def _play(self, file: bytes, now_ns: int) -> None:
        try:
            found = mp3.parse(file)
        except ValueError:
            self.refused += 1
            return
        if self.pieces and now_ns - self.pieces[-1].arrived_ns < NS_PER_SECOND:
            self.refused += 1
        left_ns = self._ends_ns - now_ns
        self.pieces.append(Piece(now_ns, left_ns, file))
        samples = len(mp3.decode(found, honours_tag=True)) if found.tag.start == found.tag.stop else _length(found)
        self._ends_ns = max(self._ends_ns, now_ns) + samples * NS_PER_SECOND // RATE_HZ

    def _say(self, event: str, **body: object) -> None:
        if self.transport.is_closing():
            return
        text = msgspec.json.encode({"event": event, "stream_id": self.name, **body})
        head = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else b"\x81\xfe" + len(text).to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + text)  # masked with zeros


def _length(file: mp3.Mp3) -> int:
    """Return the samples that are left when its tag was obeyed, without decoding it."""
    cut = int.from_bytes(file.frames[file.tag][21:24], "big")
    return file.samples - (cut >> 12) - (cut & 0xFFF)


def complaints(stream: Stream, played: NDArray[np.int16]) -> list[str]:
    """Return what a call heard that is not what was played to it, `played` over and over."""
    if stream.is_lost or stream.refused or not stream.pieces:
        return [f"{stream.name}: {len(stream.pieces)} pieces, {stream.refused} refused, lost: {stream.is_lost}"]
    parts = [mp3.decode(mp3.parse(piece.file), honours_tag=True) for piece in stream.pieces]
    heard = np.concatenate(parts)
    heard = heard[: len(heard) // RATE_HZ * RATE_HZ].astype(np.float32)
    expected = np.float32(GAIN) * np.resize(played, len(heard))
    seconds = np.sqrt(np.mean(np.square(expected.reshape(-1, RATE_HZ)), axis=1))
    different = np.sqrt(np.mean(np.square((heard - expected).reshape(-1, RATE_HZ)), axis=1))
    loud = np.maximum(seconds, LEVEL)
    wrong = np.flatnonzero(20 * np.log10(different / loud + 1e-9) > WORST_DB)
    return [f"{stream.name}: second {wrong[0]} of {len(seconds)} is not what was played"] if len(wrong) else []


async def dial(port: int, calls: int, ramp_s: float) -> list[Stream]:
    """Open `calls` streams within `ramp_s`, and let the last of them begin."""
    loop = asyncio.get_running_loop()
    streams = [Stream(f"call-{number}") for number in range(calls)]
    for stream in streams:
        await loop.create_connection(lambda stream=stream: stream, "127.0.0.1", port)  # type: ignore[misc]
        await asyncio.sleep(ramp_s / calls)
    await asyncio.sleep(SETTLE_S)
    return streams
