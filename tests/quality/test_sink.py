"""What is told of live calls and at their end, and what is not: pauses, other processes."""

from __future__ import annotations

import numpy as np

from media.blocks import PcmBatch
from media.events.bus import EventBus, Told
from media.events.ratings import EchoHeard, OneWayAudioStarted, QualityMeasured
from media.pauses.spans import Pause
from media.quality.sink import QualitySink
from media.sinks.contract import HANDED_OVER, CallInfo
from strep.clock import ManualClock
from strep.header import Direction
from tests.hearing.audio import RATE_HZ, row_batch
from tests.quality.test_meter import BLOCK, Audio, speech
from tests.sinks.rows import call_info, call_report


class World:
    """A sink, and what it told."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        bus = EventBus(ManualClock())
        bus.subscribe(self.told.append)
        self.sink, self.call = QualitySink(bus), call_info(3)
        self.sink.call_started(self.call)

    @property
    def events(self) -> list[object]:
        return [told.event for told in self.told]

    def play(self, *sides: Audio) -> None:
        for batch in batches(self.call, *sides):
            self.sink.receive(batch)


def batches(call: CallInfo, *sides: Audio) -> list[PcmBatch]:
    pcm = [side.astype(np.int16) for side in sides]
    n = len(pcm)
    return [
        row_batch([side[at : at + BLOCK] for side in pcm], [call.index] * n, [at] * n, channel=list(range(n)))
        for at in range(0, len(pcm[0]), BLOCK)
    ]


def test_who_has_the_call_may_ask_while_it_goes_on_and_afterwards() -> None:
    world = World()
    assert world.call.audio_quality is not None
    assert world.call.audio_quality(Direction.INBOUND) is None
    world.play(speech(3, -20, 1), np.zeros(3 * RATE_HZ))
    during = world.call.audio_quality(Direction.INBOUND)
    world.sink.call_ended(world.call, call_report(3 * RATE_HZ))
    another = call_info(3, "another")
    world.sink.call_started(another)
    assert during is not None
    assert during["heard_ms"] == 3000
    assert world.call.audio_quality(Direction.INBOUND) == during
    assert another.audio_quality is not None
    assert another.audio_quality(Direction.INBOUND) is None


def test_what_is_the_matter_is_told_at_once_and_all_at_the_end() -> None:
    world, far = World(), speech(16, -20, 1)
    world.play(far, np.concatenate([np.zeros(800), far[:-800] * 0.1]))
    (echo,) = world.events
    assert isinstance(echo, EchoHeard)
    assert echo.track == "outbound"
    report = call_report(len(far))
    report.tracks[0].quality = {"mos": 4.41, "loss_percent": 0.0, "jitter_mean_ms": 0.0}
    world.sink.call_ended(world.call, report)
    end = world.events[-1]
    assert isinstance(end, QualityMeasured)
    assert end.inbound is not None
    assert (end.inbound["mos"], end.inbound["audio"]["heard_ms"], end.outbound) == (4.41, 16_000, None)


def test_one_way_audio_names_the_silent_side() -> None:
    world = World()
    world.play(speech(30, -20, 1), np.zeros(30 * RATE_HZ))
    assert [(type(event), event.track) for event in world.events if isinstance(event, OneWayAudioStarted)] == [
        (OneWayAudioStarted, "outbound")
    ]


def test_nothing_of_a_paused_span_is_told() -> None:
    world, loud = World(), speech(4, -20, 1)
    world.call.pauses.append(Pause(RATE_HZ, (RATE_HZ, RATE_HZ), "silence", 0, 3 * RATE_HZ, 1))
    masked = loud.copy()
    masked[RATE_HZ : 3 * RATE_HZ] = 0
    world.play(masked)
    assert world.call.audio_quality is not None
    told = world.call.audio_quality(Direction.INBOUND)
    assert told is not None
    assert told["heard_ms"] == 2000


def test_a_call_that_goes_on_elsewhere_has_no_last_word() -> None:
    world = World()
    world.play(speech(2, -20, 1))
    report = call_report(2 * RATE_HZ)
    report.reason = HANDED_OVER
    world.sink.call_ended(world.call, report)
    assert world.events == []
