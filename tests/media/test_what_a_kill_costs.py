"""What a process that is killed (SIGKILL) takes with it: what had arrived and is not in the file; at most a second.

Pulse, engine, timeline and recording under a clock that the test moves. The longest wait is just before a beat.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from uuid import UUID

import numpy as np
import pytest
import soundfile

from media.config import Endpoint
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.pulse import Pulse
from media.sinks.recording import AGED_NS, FLUSH_SAMPLES, LAG_SAMPLES, SWEEP_NS, RecordingSink
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import DatagramBatch, collect
from strep.header import Direction, Leg, StrepHeader
from strep.header import serialize as strep_header
from strep.rtp import RtpPacket
from strep.rtp import serialize as rtp_packet
from strep.table import TimelineSettings
from strep.timeline import Timeline
from tests.media.harness import BEGINNING_NS, SOURCE, Directly
from tests.media.test_pulse import ManualLoop
from tests.searching import IS_LONG

PTIME_MS, SECONDS = 20, 12
MOST_LOST_MS = 1000


class Carrier:
    """Sends a call, a packet of every direction each 20 ms, with a phase of its own and some lost on the way."""

    most, name, errors, kernel_drops = 4096, "carrier", 0, 0
    room, address = 100_000, Endpoint("127.0.0.1", 1)

    def __init__(self, clock: ManualClock, random: Random, directions: list[Direction], loss: float) -> None:
        self._clock = clock
        self._sent: list[tuple[bytes, int, bytes]] = []
        for direction in directions:
            phase_ns = random.randrange(150 * NS_PER_MS)
            for number in range(SECONDS * 1000 // PTIME_MS):
                if number < 10 or random.random() >= loss:
                    at_ns = BEGINNING_NS + phase_ns + (number + 1) * PTIME_MS * NS_PER_MS
                    self._sent.append((_datagram(direction, number), at_ns, bytes(SOURCE)))
        self._sent.sort(key=lambda datagram: datagram[1])
        self.first_ns = self._sent[0][1] - PTIME_MS * NS_PER_MS  # when its first sample was spoken

    @property
    def is_done(self) -> bool:
        return not self._sent

    def drain(self) -> DatagramBatch | None:
        count = sum(at_ns <= self._clock.now_ns() for _, at_ns, _ in self._sent)
        arrived, self._sent = self._sent[:count], self._sent[count:]
        return collect(arrived) if arrived else None

    def call_when_readable(self, callback: object) -> None:
        raise AssertionError("the pulse sleeps while there is traffic")

    async def settle(self) -> None:
        pass

    async def close(self) -> None:
        pass


def _datagram(direction: Direction, number: int) -> bytes:
    packet = RtpPacket(0, number, number * 160, 7 + direction, bytes([number % 255]) * 160)
    return strep_header(StrepHeader(UUID(int=1), Leg.A, direction)) + rtp_packet(packet)


def _most_lost_ms(
    directory: Path, directions: list[Direction], seed: int, loss: float, reorder_wait_ms: int = 60
) -> float:
    """Return the longest time by which the file was behind what had been spoken and had arrived."""
    random, clock = Random(seed), ManualClock(BEGINNING_NS)
    recording = RecordingSink(directory, "pcm16", clock)
    patience_ms = recording.options.patience_ms
    engine = Engine(
        Timeline(TimelineSettings(reorder_wait_ms=reorder_wait_ms)),
        clock,
        [Directly(recording)],
        idle_timeout_ns=30 * NS_PER_SECOND,
        max_tracks=10,
        patience_ns=round(patience_ms * NS_PER_MS),
    )
    carrier, loop = Carrier(clock, random, directions, loss), ManualLoop(clock)
    pulse = Pulse(engine, clock, interval_ms=5, patience_ms=patience_ms)
    pulse.add(carrier, StrepDoor(engine).receive)
    pulse.start(loop)
    lost_ms = [0.0]
    while not carrier.is_done:
        with pytest.MonkeyPatch.context() as patch:  # beats of all lengths
            patch.setattr("media.pulse.ENOUGH", random.choice([5, 20, 100]))
            loop.fire()
        spoken_ms = (loop.pending[0][0] - carrier.first_ns) / NS_PER_MS  # until just before the next beat
        lost_ms.append(spoken_ms - _recorded_samples(directory) / 8)
    engine.end_all("shutdown")
    recording.close()
    return max(lost_ms)


def _recorded_samples(directory: Path) -> int:
    """Return what the file says, as any player finds it before anybody repairs it."""
    files = list(directory.glob("*.wav"))
    return int(soundfile.info(files[0]).frames) if files else 0


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("directions", [list(Direction), [Direction.INBOUND]])
@pytest.mark.parametrize("seed", range(10 if IS_LONG else 3))
def test_at_most_a_second(tmp_path: Path, directions: list[Direction], seed: int, loss: float) -> None:
    lost_ms = _most_lost_ms(tmp_path, directions, seed, loss)
    assert FLUSH_SAMPLES / 8 < lost_ms <= MOST_LOST_MS


@pytest.mark.parametrize("reorder_wait_ms", [0, 20, 300])
def test_with_another_wait_it_is_that_much_more(tmp_path: Path, reorder_wait_ms: int) -> None:
    lost_ms = _most_lost_ms(tmp_path, list(Direction), 1, 0.1, reorder_wait_ms)
    assert FLUSH_SAMPLES / 8 < lost_ms <= 912 + reorder_wait_ms


def test_the_sum() -> None:
    """Term by term as in the docstring of `FLUSH_SAMPLES`; each is a constant of the part that makes it wait."""
    settings, options = TimelineSettings(), RecordingSink(Path("unused")).options
    staged_ms = np.array([FLUSH_SAMPLES, LAG_SAMPLES]).sum() * 1000 / settings.sample_rate_hz
    waiting_ms = options.block_ms + settings.reorder_wait_ms + options.patience_ms * 1.5
    assert staged_ms + waiting_ms == 972
    page = (Path(__file__).resolve().parents[2] / "docs" / "recordings.md").read_text(encoding="utf-8")
    before_silence_ms = waiting_ms + (AGED_NS + SWEEP_NS) / NS_PER_MS + options.patience_ms * 1.5
    for bound_ms in (972, 972 - settings.reorder_wait_ms, before_silence_ms):
        assert f" {bound_ms:.0f} ms" in page
