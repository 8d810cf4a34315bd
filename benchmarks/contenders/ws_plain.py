"""The plainest server on `websockets`: what does a media frame cost that a few lines of Python receive?

``async for``, `json`, `base64`, `audioop`, and that is all: no order, no loss, no statistics, no recording. The
referee's part is a CRC of what was decoded.
"""

from __future__ import annotations

import asyncio
import json
import timeit
import warnings
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

from websockets.asyncio.server import ServerConnection, serve

from benchmarks.contenders.per_packet import event_loop

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it is gone from 3.13 on, and audioop-lts takes its place
    import audioop

BYTES_PER_SAMPLE = 2
BACKLOG = 1024


class MediaStreams:
    """All tracks of all streams, decoded and forgotten."""

    def __init__(self) -> None:
        self.received = 0
        self._tracks: dict[tuple[str, str], list[int]] = {}

    def receive(self, text: str) -> None:
        """Take a frame."""
        message = json.loads(text)
        if message["event"] == "media":
            media = message["media"]
            pcm = audioop.ulaw2lin(b64decode(media["payload"]), BYTES_PER_SAMPLE)
            self.take(message["stream_id"], media["track"], pcm)

    def take(self, stream_id: str, track: str, pcm: bytes) -> None:
        """Count, and sum up."""
        self.received += 1
        sums = self._tracks.get((stream_id, track))
        if sums is None:
            sums = self._tracks[stream_id, track] = [0, 0]
        sums[0] += 1
        sums[1] += crc32(pcm)

    def evidence(self) -> dict[str, Any]:
        """Return count and checksum of every track."""
        tracks = [
            {"stream_id": stream_id, "track": track, "count": count, "checksum": checksum}
            for (stream_id, track), (count, checksum) in self._tracks.items()
        ]
        return {"received": self.received, "tracks": tracks, "referee_ns": referee_ns()}


def referee_ns() -> float:
    """Return what the CRC costs per frame, measured on its own."""
    pcm, count = bytes(range(160)) * 2, 20_000
    return round(min(timeit.repeat(lambda: crc32(pcm), number=count, repeat=3)) / count * 1e9, 1)


class WsPlain:
    """``websockets.serve`` with a handler, on the event loop of the argument."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Prepare; nothing is written to `directory`."""
        self._streams = MediaStreams()
        self._loop_name = argument
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`."""
        with asyncio.Runner(loop_factory=event_loop(self._loop_name)) as runner:
            runner.run(self._run(ready))

    async def _run(self, ready: Callable[[int], None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with serve(self._handle, "127.0.0.1", 0, compression=None, backlog=BACKLOG) as server:
            ready(next(iter(server.sockets)).getsockname()[1])
            await self._stopping.wait()

    async def _handle(self, socket: ServerConnection) -> None:
        async for message in socket:
            assert isinstance(message, str)
            self._streams.receive(message)

    def stop(self) -> None:
        """End `run`."""
        assert self._loop is not None
        assert self._stopping is not None
        self._loop.call_soon_threadsafe(self._stopping.set)

    def received(self) -> int:
        """Return the media frames so far."""
        return self._streams.received

    def evidence(self) -> dict[str, Any]:
        """Return counts and checksums."""
        return self._streams.evidence()
