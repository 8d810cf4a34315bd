"""Actions on a real server, asked for over its HTTP door; the carrier is a socket that keeps what it gets."""

from __future__ import annotations

import asyncio
import io
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import soundfile

from media import Server, ServerConfig
from media.config import Endpoint
from media.events.bus import Told
from media.talk.call import Application
from tests.patience import PATIENCE_S
from tests.talk.live_calls import LOOPBACK, TONE

CALL = "s1"


def line_of(body: bytes) -> Any:
    """Return what a reply of JSON says, which is one line, so that it does not run into the next prompt."""
    assert body.endswith(b"\n")
    return json.loads(body)


class Asking:
    """Asks at an HTTP door.

    Attributes:
        netloc: where it is.
    """

    def __init__(self, netloc: str = "") -> None:
        self.netloc = netloc

    async def act(self, action: str, call_id: str = CALL, **body: Any) -> tuple[int, Any]:
        """Return status and JSON of the reply; what is in ``data`` or ``error`` of it."""
        status, document = await self.ask(f"/v1/calls/{call_id}/actions/{action}", json.dumps(body).encode())
        return status, document.get("data") or document["error"]

    async def done(self, action: str, call_id: str = CALL, **body: Any) -> Any:
        """Return what an action that succeeds is answered."""
        status, data = await self.act(action, call_id, **body)
        assert status == 200, (status, data)
        assert data["result"] == "ok"
        return data

    async def ask(
        self, path: str, body: bytes | None = None, media_type: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """Return status and JSON of a reply."""
        headers = {} if body is None else {"Content-Type": media_type}
        request = urllib.request.Request(f"http://{self.netloc}{path}", body, headers)

        def ask() -> tuple[int, dict[str, Any]]:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                    return reply.status, line_of(reply.read())
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, line_of(error.read())

        return await asyncio.to_thread(ask)


class Acted(Asking):
    """A server that does actions.

    Attributes:
        server: it.
        told: the events so far.
    """

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict[str, Any]] = []
        self._changed = asyncio.Event()

    def take(self, told: Told) -> None:
        self.told.append(told.to_json())
        self._changed.set()

    async def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event of that name with these fields."""
        while True:
            for event in self.told:
                if event["event"] == name and fields.items() <= event.items():
                    return event
            self._changed.clear()
            await self._changed.wait()


@asynccontextmanager
async def acting(app: Application | None = None, **config: Any) -> AsyncIterator[Acted]:
    """Run a server."""
    acted, loopback = Acted(), Endpoint("127.0.0.1", 0)
    async with asyncio.timeout(PATIENCE_S):
        config = {"ws": LOOPBACK, "udp": LOOPBACK, "http": loopback, **config}
        async with Server(ServerConfig(**config), app=app, on_event=acted.take) as acted.server:
            acted.netloc = acted.server.addresses["http"]
            yield acted


def wav(samples: int = len(TONE)) -> bytes:
    """Return an audio file."""
    file = io.BytesIO()
    soundfile.write(file, np.resize(TONE, samples), 8000, format="WAV", subtype="PCM_16")
    return file.getvalue()
