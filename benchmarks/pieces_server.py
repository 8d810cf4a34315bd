"""The measured process: our server with an application that talks in MP3 mode, without end.

As a program: ``python -m benchmarks.pieces_server [same]``; on standard input a line asks for the processor time so
far and how late the event loop was since the line before, the end of it for the end.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

from benchmarks.child import answer
from benchmarks.kernel import RECEIVER_CPU, pin
from benchmarks.pieces_carrier import RATE_HZ, SAMPLES, begins_at, speech
from media.config import Endpoint, ServerConfig
from media.runtime import freeze_heap, loop_factory
from media.server import Server
from media.talk.call import LiveCall
from media.talk.lateness import Lateness
from strep.clock import NS_PER_MS, NS_PER_SECOND

BEAT_NS = 5 * NS_PER_MS


class Heartbeat:
    """A timer of the event loop, and how late it is woken: so long does everything else wait, packets included."""

    def __init__(self) -> None:
        """Begin, on the running event loop."""
        self.lateness = Lateness()
        self._loop = asyncio.get_running_loop()
        self._due_ns = time.monotonic_ns()
        self._beat()

    def _beat(self) -> None:
        now_ns = time.monotonic_ns()
        self.lateness.add(now_ns - self._due_ns)
        self._due_ns = now_ns + BEAT_NS
        self._loop.call_later(BEAT_NS / NS_PER_SECOND, self._beat)


def _attend(loop: asyncio.AbstractEventLoop, server: Server, heartbeat: Heartbeat) -> None:
    before = Lateness()
    for _ in sys.stdin:
        lateness = heartbeat.lateness.copy()
        since, before = lateness.since(before), lateness
        answer({"cpu_ns": time.process_time_ns(), "now_ns": time.monotonic_ns(), "loop_ms": since.in_ms()})
    loop.call_soon_threadsafe(server.stop)


async def _run(*, same: bool, is_pinned: bool) -> dict[str, Any]:
    said = speech()

    async def talk(call: LiveCall) -> None:
        begin = begins_at(call.call_id, same=same)
        await call.play(said[begin : begin + SAMPLES], rate_hz=RATE_HZ, loop=0)
        await call.ended()

    server = Server(ServerConfig(ws=Endpoint("127.0.0.1", 0), playback="mp3", idle_timeout_s=600), app=talk)
    async with server:
        freeze_heap()
        heartbeat = Heartbeat()
        answer({"port": int(server.addresses["ws"].rpartition(":")[2]), "pinned": is_pinned})
        threading.Thread(target=_attend, args=(asyncio.get_running_loop(), server, heartbeat), daemon=True).start()
        await server.wait_closed()
    return {"talk": server.snapshot()["talk"]}


def main() -> None:
    """Serve until standard input ends, and tell what was done."""
    is_pinned = pin(RECEIVER_CPU)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        answer(runner.run(_run(same="same" in sys.argv, is_pinned=is_pinned)))


if __name__ == "__main__":
    main()
