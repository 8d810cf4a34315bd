"""A tap has no timestamps: its audio is continuous, unless the arrival clock says that over a second is missing."""

from __future__ import annotations

import numpy as np
import pytest

from media.ws.host import Handshake
from media.ws.protocol import MediaStreamConnection
from strep.clock import NS_PER_MS
from tests.media.world import World

FRAME_MS = 20


class Tap:
    """A tap on a world, and the sender's clock."""

    def __init__(self) -> None:
        self.world = World()
        handshake = Handshake(path="/signalwire-tap", connection_id="1")
        self.connection = MediaStreamConnection(self.world.stream, self.world.clock.now_ns(), handshake)

    def send(self, frames: int, *, every_ms: int = FRAME_MS) -> None:
        for _ in range(frames):
            now_ns = self.world.clock.now_ns()
            assert self.connection.receive(b"\x10" * 160, now_ns) is None
            self.world.stream.deliver(now_ns)
            self.world.tick(every_ms)

    def wait(self, milliseconds: int) -> None:
        for _ in range(milliseconds // FRAME_MS):
            self.world.tick(FRAME_MS)

    def totals(self) -> dict[str, int]:
        self.connection.closed(self.world.clock.now_ns())
        self.world.clock.advance(6000 * NS_PER_MS)
        self.world.stream.end_detached(self.world.clock.now_ns())
        ((_, report),) = self.world.ear.ended
        assert self.world.engine.conservation_errors == 0
        assert report.reason == "stop", "no frame says so, and the socket has closed"
        return report.tracks[0].totals


@pytest.mark.parametrize("pause_ms", [1200, 3000, 10_000])
def test_a_pause_is_silence(pause_ms: int) -> None:
    tap = Tap()
    tap.send(150)
    tap.wait(pause_ms)
    tap.send(200)
    totals = tap.totals()
    assert totals["received"] == 350 * 160
    assert abs(totals["silence"] - pause_ms * 8) <= 160


@pytest.mark.parametrize("stall_ms", [300, 800])
def test_less_than_a_second_is_jitter(stall_ms: int) -> None:
    tap = Tap()
    tap.send(150)
    tap.wait(stall_ms)
    tap.send(200)
    assert tap.totals()["silence"] == 0


def test_a_stalled_network_that_delivers_its_backlog_has_lost_nothing() -> None:
    tap = Tap()
    tap.send(150)
    tap.wait(2000)
    tap.send(100, every_ms=0)
    tap.send(200)
    totals = tap.totals()
    assert (totals["received"], totals["silence"]) == (450 * 160, 0)


def test_the_audio_is_what_was_sent() -> None:
    tap = Tap()
    tap.send(50)
    tap.totals()
    assert len(np.unique(tap.world.ear.pcm("tap-1", 0))) == 1
