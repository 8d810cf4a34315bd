"""Applications on a real server, over real sockets; the carrier here is a socket that keeps what it gets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from media import Server, ServerConfig
from media.config import Endpoint
from media.sinks.contract import Sink
from media.talk.call import LiveCall
from strep.g711 import Codec, encode
from tests.patience import PATIENCE_S

LOOPBACK = Endpoint("127.0.0.1", 0)
TONE = (8000 * np.sin(np.arange(4000) * 0.3)).astype(np.int16)


class Carrier:
    """One media stream of Telnyx's dialect; marks come back at once, as if it played in no time."""

    def __init__(self, socket: ClientConnection, stream_id: str) -> None:
        self.socket, self.stream_id = socket, stream_id
        self.payloads: list[bytes] = []
        self.events: list[str] = []
        self._chunk = 0
        self._changed = asyncio.Event()

    async def start(self, **body: Any) -> None:
        media_format = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
        await self.say("start", sequence_number="1", start={"media_format": media_format, **body})

    async def say(self, event: str, **fields: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(json.dumps({"event": event, "stream_id": self.stream_id, **fields}))

    async def talk(self, pcm: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        for start in range(0, len(pcm), 160):
            self._chunk += 1
            payload = base64.b64encode(encode(pcm[start : start + 160], Codec.PCMU).tobytes()).decode()
            number = str(self._chunk)
            media = {"track": "inbound", "chunk": number, "timestamp": str(20 * self._chunk), "payload": payload}
            await self.say("media", sequence_number=str(self._chunk + 1), media=media)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for what shows in what it got."""
        while not is_so():
            self._changed.clear()
            await self._changed.wait()

    async def until_samples(self, samples: int) -> None:
        """Wait for so much audio."""
        await self.until(lambda: len(self.heard) >= samples)

    async def listen(self) -> None:
        async for message in self.socket:
            frame = json.loads(message)
            self.events.append(frame["event"])
            if frame["event"] == "media":
                self.payloads.append(base64.b64decode(frame["media"]["payload"]))
            elif frame["event"] == "mark":
                await self.say("mark", mark=frame["mark"])
            self._changed.set()

    @property
    def heard(self) -> bytes:
        return b"".join(self.payloads)


@asynccontextmanager
async def serving(app: Callable[[LiveCall], Any], sinks: Sequence[Sink] = (), **config: Any) -> AsyncIterator[Server]:
    async with asyncio.timeout(PATIENCE_S):
        async with Server(ServerConfig(ws=LOOPBACK, udp=LOOPBACK, **config), sinks, app=app) as server:
            yield server


@asynccontextmanager
async def stream(
    server: Server, stream_id: str = "s1", path: str = "/?playback=rtp", **body: Any
) -> AsyncIterator[Carrier]:
    async with connect(f"ws://{server.addresses['ws']}{path}") as socket:
        carrier = Carrier(socket, stream_id)
        listening = asyncio.create_task(carrier.listen())
        try:
            await carrier.start(**body)
            yield carrier
            await carrier.say("stop")
        except BaseException:
            listening.cancel()  # what has failed is said already
            raise
    await listening


class Script:
    """An application that keeps what it did."""

    def __init__(self, act: Callable[[LiveCall], Any]) -> None:
        self._act = act
        self.done = asyncio.Event()
        self.result: Any = None
        self.calls: list[LiveCall] = []

    async def __call__(self, call: LiveCall) -> None:
        self.calls.append(call)
        try:
            self.result = await self._act(call)
        finally:
            self.done.set()
