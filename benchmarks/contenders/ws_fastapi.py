"""FastAPI: what does a media frame cost in the server that tutorials teach?

An application with one WebSocket route, run by uvicorn as it comes (on uvloop and `websockets` if they are
installed), and the same with pipecat's serializer for Telnyx in the place of `json` and `base64`. Of pipecat it is
that alone, at the sample rate of the call, so that nothing is resampled: its transport and its pipeline would come on
top.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.contenders.ws_plain import BACKLOG, MediaStreams


class WsFastApi:
    """uvicorn with the application."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Prepare; nothing is written to `directory`."""
        self._streams = MediaStreams()
        app = FastAPI()
        app.add_api_websocket_route("/media", self._route)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`."""
        sock = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        ready(sock.getsockname()[1])
        self._server.run(sockets=[sock])

    async def _route(self, websocket: WebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await self._converse(websocket)

    async def _converse(self, websocket: WebSocket) -> None:
        while True:
            self._streams.receive(await websocket.receive_text())

    def stop(self) -> None:
        """End `run`."""
        self._server.should_exit = True

    def received(self) -> int:
        """Return the media frames so far."""
        return self._streams.received

    def evidence(self) -> dict[str, Any]:
        """Return counts and checksums."""
        return self._streams.evidence()


class WsPipecat(WsFastApi):
    """The same, with a serializer per connection."""

    async def _converse(self, websocket: WebSocket) -> None:
        telnyx = import_module("pipecat.serializers.telnyx")
        await websocket.receive_text()  # connected
        stream_id = json.loads(await websocket.receive_text())["stream_id"]
        parameters = telnyx.TelnyxFrameSerializer.InputParams(sample_rate=8000, auto_hang_up=False)
        serializer = telnyx.TelnyxFrameSerializer(stream_id, "PCMU", "PCMU", params=parameters)
        serializer._sample_rate = 8000  # as `setup` does it, which wants a pipeline
        while True:
            frame = await serializer.deserialize(await websocket.receive_text())
            if isinstance(frame, telnyx.InputAudioRawFrame):
                self._streams.take(stream_id, "both", frame.audio)  # it does not say which track
