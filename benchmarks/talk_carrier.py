"""The carrier of `benchmarks.talk`: streams that keep every byte they get and when, and press a digit now and then.

While it runs it only notes bytes and times; what they are is found out afterwards. Marks come back a look-ahead
later, about when a carrier would have played what is before them.
"""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.talk.rtp_mode import RtpOptions
from strep.g711 import Codec, encode

MARK_DELAY_S = RtpOptions().lookahead_ms / 1000
SETTLE_S = 0.5
_UPGRADE = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_NAME = re.compile(rb'"mark":\{"name":"([^"]*)"')


def speech(samples: int) -> NDArray[np.int16]:
    """Return noise that both sides can make; no piece of it is like another."""
    return np.random.default_rng(7).integers(-30_000, 30_000, samples).astype(np.int16)


def _text_frame(document: object) -> bytes:
    """Return a masked text frame (RFC 6455 section 5.2), the mask being zero."""
    text = msgspec.json.encode(document)
    head = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else b"\x81\xfe" + len(text).to_bytes(2, "big")
    return head + b"\0\0\0\0" + text


@dataclass
class Stream(asyncio.Protocol):
    """One media stream.

    Attributes:
        name: its stream_id.
        data: everything that came behind the handshake.
        arrivals: (CLOCK_MONOTONIC in ns, length of `data` then) of every piece that came.
        pressed_ns: when digits were pressed.
        on_start: called when it has begun.
    """

    name: str
    data: bytearray = field(default_factory=bytearray)
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    is_lost: bool = False
    on_start: Callable[[Stream], None] = lambda stream: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._is_open = self._is_done = False
        self.pressed_ns: list[int] = []
        self.transport.write(_UPGRADE.encode())

    def data_received(self, data: bytes) -> None:
        """Keep what came; begin the stream when the upgrade was granted."""
        now_ns = time.monotonic_ns()
        if not self._is_open:
            head, found, data = data.partition(b"\r\n\r\n")
            assert found
            assert b" 101 " in head
            self._is_open = True
            media_format = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
            self._say("start", start={"media_format": media_format})
            self.on_start(self)
        self.data += data
        self.arrivals.append((now_ns, len(self.data)))
        if b'"mark"' in data:
            for name in _NAME.findall(data):
                asyncio.get_running_loop().call_later(MARK_DELAY_S, self._return_mark, name.decode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note."""
        self.is_lost = not self._is_done

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def stop(self) -> None:
        """Say that the stream ends."""
        self._say("stop", stop={})
        self._is_done = True

    def abort(self) -> None:
        """Be done."""
        self._is_done = True
        self.transport.abort()

    def _return_mark(self, name: str) -> None:
        if not self._is_done:
            self._say("mark", mark={"name": name})

    def press(self) -> None:
        """Press a digit."""
        self.pressed_ns.append(time.monotonic_ns())
        self._say("dtmf", dtmf={"digit": "1"})

    def _say(self, event: str, **body: object) -> None:
        if not self.transport.is_closing():
            self.transport.write(_text_frame({"event": event, "stream_id": self.name, **body}))

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Yield (arrival in ns, text) of every message that came whole."""
        at, arrivals, data = 0, iter(self.arrivals), bytes(self.data)
        now_ns, so_far = next(arrivals, (0, 0))
        while at + 2 <= len(data):
            size, body = data[at + 1], at + 2
            if size == 126:
                size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if body + size > len(data):
                return
            while so_far < body + size:
                now_ns, so_far = next(arrivals)
            if data[at] == 0x81:
                yield now_ns, data[body : body + size]
            at = body + size


class Heard:
    """What one stream got, run by run: a run is what lies between two clears.

    Attributes:
        arrivals: per run, (arrival in ns, samples before it in the run) of every message of audio.
        cleared_ns: arrivals of the clears.
        complaints: what is not as it was played.
    """

    def __init__(self, stream: Stream, expected: bytes) -> None:
        self.arrivals: list[list[tuple[int, int]]] = [[]]
        self.cleared_ns: list[int] = []
        self.complaints: list[str] = []
        audio = bytearray()
        for now_ns, text in stream.messages():
            if text.startswith(b'{"event":"media"'):
                self.arrivals[-1].append((now_ns, len(audio)))
                audio += b64decode(msgspec.json.decode(text)["media"]["payload"])
            elif text.startswith(b'{"event":"clear"'):
                self.cleared_ns.append(now_ns)
                self._judge(stream.name, audio, expected)
                audio.clear()
                self.arrivals.append([])
        self._judge(stream.name, audio, expected)
        if stream.is_lost:
            self.complaints.append(f"{stream.name}: the socket was lost")

    def _judge(self, name: str, audio: bytearray, expected: bytes) -> None:
        if not audio:
            self.complaints.append(f"{name}: run {len(self.arrivals)} is silent")
        elif audio != (expected * (len(audio) // len(expected) + 1))[: len(audio)]:
            self.complaints.append(f"{name}: run {len(self.arrivals)} is not what was played")


def expected_bytes(samples: int) -> bytes:
    """Return `speech` as mu-law."""
    return encode(speech(samples), Codec.PCMU).tobytes()


async def dial(port: int, calls: int, ramp_s: float, on_start: Callable[[Stream], None]) -> list[Stream]:
    """Open `calls` streams within `ramp_s`, and let the last of them begin."""
    loop = asyncio.get_running_loop()
    streams = [Stream(f"call-{number}", on_start=on_start) for number in range(calls)]
    for stream in streams:
        await loop.create_connection(lambda stream=stream: stream, "127.0.0.1", port)  # type: ignore[misc]
        await asyncio.sleep(ramp_s / calls)
    await asyncio.sleep(SETTLE_S)
    return streams


async def listen_to(streams: list[Stream], seconds: float, press_every_s: float) -> None:
    """Listen for `seconds`, each stream pressing a digit now and then."""
    loop = asyncio.get_running_loop()
    calls, presses = len(streams), []
    for number, stream in enumerate(streams):
        first_s = 0.5 + press_every_s * number / calls  # one after another
        times_s = np.arange(first_s, seconds - 0.5, press_every_s).tolist()
        presses += [loop.call_later(time_s, stream.press) for time_s in times_s]
    await asyncio.sleep(seconds)
