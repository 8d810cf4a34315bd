"""Ours: what does a packet cost from the kernel to a finished recording?

`media.server.Server` as ``strep serve --udp 127.0.0.1:0 --record DIRECTORY`` makes it, on uvloop where that is
installed: drain, parse, demultiplex, RFC 3550 statistics, timeline, blocks, the sink's queue and thread,
decoding, a stereo WAV file and a sidecar per call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

from benchmarks.kernel import RECEIVE_BUFFER_BYTES, own_buffer
from media.config import Endpoint, ServerConfig
from media.serve import freeze_heap, loop_factory
from media.server import Server


class Recording:
    """The server, recording in the format of the argument."""

    def __init__(self, argument: str, directory: Path) -> None:
        """Record into `directory`."""
        record_format = cast('Literal["pcm16", "passthrough"]', argument)
        self._config = ServerConfig(
            udp=Endpoint("127.0.0.1", 0),
            record=directory,
            record_format=record_format,
            receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
        )
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, ready: Callable[[int], None]) -> None:
        """Receive until `stop`, then end all calls and finish all files."""
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(self._run(ready))

    async def _run(self, ready: Callable[[int], None]) -> None:
        self._loop, self._server = asyncio.get_running_loop(), Server(self._config)
        async with self._server as server:
            port = int(server.addresses["udp"].rpartition(":")[2])
            own_buffer(port)
            ready(port)
            freeze_heap()
            await server.wait_closed()

    def stop(self) -> None:
        """End `run`."""
        assert self._loop is not None
        assert self._server is not None
        self._loop.call_soon_threadsafe(self._server.stop)

    def received(self) -> int:
        """Return the datagrams so far."""
        return self._server.strep.datagrams if self._server else 0

    def evidence(self) -> dict[str, Any]:
        """Return the server's last totals; the rest of the evidence is in the files."""
        assert self._server is not None
        return self._server.snapshot()
