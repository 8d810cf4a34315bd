"""The measured process: our server with an application that talks, and lets itself be interrupted.

As a program: ``python -m benchmarks.talk_server SAMPLES [DIRECTORY]``, the latter to record in; on standard input a
line ``mark`` asks for the processor time so far and how late the messages since the line before went out, the end of
it for the end.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import answer
from benchmarks.kernel import RECEIVER_CPU, pin
from benchmarks.talk_carrier import speech
from media.config import Endpoint, ServerConfig
from media.runtime import freeze_heap, loop_factory
from media.server import Server
from media.talk.call import LiveCall
from media.talk.lateness import Lateness


class Talker:
    """Talks without end; a digit interrupts it, and it begins again.

    Attributes:
        cleared_ns: per call, when `clear` was called; CLOCK_MONOTONIC.
    """

    def __init__(self, samples: int) -> None:
        self.cleared_ns: dict[str, list[int]] = {}
        self._pcm = speech(samples)

    async def __call__(self, call: LiveCall) -> None:
        """Be the application of one call."""
        cleared_ns = self.cleared_ns.setdefault(call.call_id, [])
        await call.play(self._pcm, rate_hz=8000, loop=0)
        async for event in call.events():
            if event["event"] == "dtmf":
                cleared_ns.append(time.monotonic_ns())
                await call.clear()
                await call.play(self._pcm, rate_hz=8000, loop=0)


def _attend(loop: asyncio.AbstractEventLoop, server: Server) -> None:
    before = Lateness()
    for _ in sys.stdin:
        lateness = server.lateness
        assert lateness is not None
        since, before = lateness.since(before), lateness
        spent = {"cpu_ns": time.process_time_ns(), "now_ns": time.monotonic_ns()}
        answer({**spent, "messages": since.count, "lateness_ms": since.in_ms()})
    loop.call_soon_threadsafe(server.stop)


async def _run(samples: int, record: Path | None, *, is_pinned: bool) -> dict[str, Any]:
    talker = Talker(samples)
    config = ServerConfig(ws=Endpoint("127.0.0.1", 0), playback="rtp", idle_timeout_s=600, record=record)
    server = Server(config, app=talker)
    async with server:
        freeze_heap()
        answer({"port": int(server.addresses["ws"].rpartition(":")[2]), "pinned": is_pinned})
        threading.Thread(target=_attend, args=(asyncio.get_running_loop(), server), daemon=True).start()
        await server.wait_closed()
    totals = server.snapshot()
    rejected = totals["doors"]["ws"]["rejected"]
    return {
        "talk": totals["talk"],
        "cleared_ns": talker.cleared_ns,
        "faults": {"conservation errors": totals["conservation_errors"], **rejected},
    }


def main() -> None:
    """Serve until standard input ends, and tell what was done."""
    is_pinned = pin(RECEIVER_CPU)
    np.zeros(1)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        record = Path(sys.argv[2]) if len(sys.argv) > 2 else None
        answer(runner.run(_run(int(sys.argv[1]), record, is_pinned=is_pinned)))


if __name__ == "__main__":
    main()
