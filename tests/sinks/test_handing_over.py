"""A call that is handed over, taken back, and handed over again stays one recording, each sample in its place."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.sealing.keys import Recipients
from media.sinks import continuation
from media.sinks.contract import HANDED_OVER, CallReport, TrackReport
from media.sinks.recording import RecordingSink
from strep.clock import NS_PER_SECOND, ManualClock
from strep.g711 import Codec, decode
from strep.header import Direction
from tests.media.harness import pcm_channels
from tests.sealing.people import FOR_ALICE, heard
from tests.sinks.process import seen
from tests.sinks.rows import Row, batch_of, call_info
from tests.sinks.sidecars import check

BLOCK = 800
RATE_HZ = 8000
HOUR_NS = 3600 * NS_PER_SECOND


class Leg:
    """A call that processes hand to each other: its positions and its clock go on, whoever records it."""

    def __init__(self, directory: Path, recipients: Recipients = ()) -> None:
        self.clock = ManualClock(5 * NS_PER_SECOND)
        self.directory, self.recipients = directory, recipients
        self.began_wall_ns, self.position, self.rows = self.clock.wall_ns(), 0, list[Row]()

    def be_silent(self, seconds: int) -> None:
        self.clock.advance(seconds * NS_PER_SECOND)
        self.position += seconds * RATE_HZ

    def audio(self) -> Any:
        """Return what was recorded, (n, 2) int16, of the only file that there is."""
        ending = ".sealed" if self.recipients else ""
        assert [name for name in seen(self.directory) if name[0] != "."] == ["leg.json", f"leg.wav{ending}"]
        audio = self.directory / f"leg.wav{ending}"
        return heard(audio) if self.recipients else pcm_channels(audio)

    def begin_anew(self) -> None:
        """Whoever goes on knows nothing of the call: it has a timeline of its own."""
        self.began_wall_ns, self.position, self.rows = self.clock.wall_ns(), 0, []


class Process:
    """A process that records the leg: from its beginning, or as it goes on."""

    def __init__(self, leg: Leg, *, goes_on: bool = True) -> None:
        self.leg = leg
        call = call_info(call_id="leg")
        self.call = dataclasses.replace(call, started_wall_ns=leg.began_wall_ns, goes_on=goes_on)
        self.sink = RecordingSink(leg.directory, clock=leg.clock, recipients=leg.recipients)
        self.sink.call_started(self.call)

    def record(self, blocks: int) -> None:
        leg = self.leg
        for _ in range(blocks):
            rows = [Row(0, channel, leg.position) for channel in (0, 1)]
            leg.clock.advance(BLOCK * NS_PER_SECOND // RATE_HZ)
            self.sink.receive(batch_of(*rows, now_ns=leg.clock.now_ns()))
            leg.position, leg.rows = leg.position + BLOCK, leg.rows + rows
        self.sink.receive(batch_of(now_ns=leg.clock.now_ns() + 2 * NS_PER_SECOND))

    def die(self) -> None:
        for recording in self.sink._live.values():
            if recording.wav:
                recording.wav.let_go()

    def hand_over(self) -> None:
        self.sink.call_ended(self.call, self._report(HANDED_OVER))

    def end(self) -> None:
        self.sink.call_ended(self.call, self._report("stop"))

    def fail(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the disk be full for one block."""

        def refuse(*args: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        (recording,) = self.sink._live.values()
        with monkeypatch.context() as patched:
            patched.setattr(type(recording.wav), "write", refuse)
            self.record(1)
        assert recording.error

    def _report(self, reason: str) -> CallReport:
        length = self.leg.position
        tracks = [TrackReport(side, "PCMU", 0, length, {}, [], {"received": length}) for side in Direction]
        return CallReport(reason, self.leg.clock.wall_ns(), length, tracks, [], "", self.leg.began_wall_ns)


def spoken(leg: Leg) -> Any:
    """Return what was said, (n, 2) int16."""
    channels = [
        np.concatenate([decode(row.encoded, Codec.PCMU) for row in leg.rows if row.channel == channel])
        for channel in (0, 1)
    ]
    return np.stack(channels, axis=1)


def whole(leg: Leg) -> dict[str, Any]:
    """Return the one sidecar, when the one file has been compared with what was said."""
    assert np.array_equal(leg.audio(), spoken(leg))
    document = check(leg.directory / "leg.json")
    assert (document["state"], document["restarts"], document["handed_over_samples"]) == ("complete", [], None)
    return document


def successor_that_dies(leg: Leg, blocks: int) -> None:
    """Let somebody begin to take over, who never says that he has."""
    process = Process(leg)
    if blocks:
        process.record(blocks)
    process.die()


@pytest.fixture(params=["clear", "sealed"])
def leg(tmp_path: Path, request: pytest.FixtureRequest) -> Leg:
    return Leg(tmp_path, FOR_ALICE if request.param == "sealed" else ())


def test_handed_over_twice(leg: Leg) -> None:
    process = Process(leg, goes_on=False)
    for _ in range(2):
        process.record(10)
        process.hand_over()
        process = Process(leg)
    process.record(10)
    process.end()
    whole(leg)


@pytest.mark.parametrize("written", [0, 3])
@pytest.mark.parametrize("deaths", [1, 2])
def test_taken_back_from_a_successor_that_had_begun_and_died(written: int, deaths: int, leg: Leg) -> None:
    process = Process(leg, goes_on=False)
    process.record(10)
    process.hand_over()
    for _ in range(deaths):
        successor_that_dies(leg, written)
    process = Process(leg)
    process.record(10)
    process.end()
    whole(leg)


def test_taken_back_of_a_long_call_by_another_wall_clock(leg: Leg) -> None:
    process = Process(leg, goes_on=False)
    process.record(1)
    silence_s = 2 * continuation.CLOCK_SLACK_S
    leg.be_silent(silence_s)
    process.record(10)
    process.hand_over()
    successor_that_dies(leg, 2)
    leg.clock.epoch_ns += HOUR_NS
    process = Process(leg)
    process.record(10)
    process.end()
    audio = leg.audio()
    assert np.array_equal(audio[:BLOCK], spoken(leg)[:BLOCK])
    assert np.array_equal(audio[BLOCK + silence_s * RATE_HZ :], spoken(leg)[BLOCK:])


def test_where_the_call_began_amid_the_file(leg: Leg) -> None:
    killed = Process(leg, goes_on=False)
    killed.record(10)
    killed.die()
    before = spoken(leg)
    leg.clock.advance(NS_PER_SECOND)
    leg.begin_anew()
    process = Process(leg, goes_on=False)
    process.record(10)
    process.hand_over()
    successor_that_dies(leg, 3)
    process = Process(leg)
    process.record(10)
    process.hand_over()
    process = Process(leg)
    process.record(10)
    process.end()
    audio, gap = leg.audio(), len(before) + RATE_HZ
    assert np.array_equal(audio[: len(before)], before)
    assert not audio[len(before) : gap].any()
    assert np.array_equal(audio[gap:], spoken(leg))
    document = check(leg.directory / "leg.json")
    assert document["restarts"] == [{"start_samples": len(before), "length_samples": RATE_HZ}]


@pytest.mark.parametrize("silence_s", [0, 2 * continuation.CLOCK_SLACK_S])
def test_of_a_process_that_was_killed_before_it_said_where(silence_s: int, leg: Leg) -> None:
    process = Process(leg, goes_on=False)
    leg.be_silent(silence_s)
    process.record(10)
    process.die()
    process = Process(leg)
    process.record(10)
    process.end()
    audio = leg.audio()
    assert np.array_equal(audio[silence_s * RATE_HZ :], spoken(leg))
    assert check(leg.directory / "leg.json")["state"] == "complete"


@pytest.mark.parametrize("is_known", [True, False])
def test_one_that_failed_does_not_begin_again_over_a_hand_over(
    is_known: bool, leg: Leg, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Process(leg, goes_on=False)
    first.record(10)
    first.fail(monkeypatch)
    if is_known:
        first.hand_over()
    for _ in range(2):
        process = Process(leg)
        process.record(10)
        if not is_known:
            first.hand_over()  # its recorder was late
            is_known = True
        process.hand_over()
    process = Process(leg)
    process.record(10)
    process.end()
    assert np.array_equal(leg.audio(), spoken(leg)[: 10 * BLOCK])
    document = json.loads((leg.directory / "leg.json").read_bytes())
    assert (document["state"], document["handed_over_samples"]) == ("failed", None)
    assert document["error"].startswith("OSError: [Errno 28]")
    assert document["reason"] == "stop"
    assert document["length_samples"] == 10 * BLOCK


def test_one_that_failed_says_so_at_once(leg: Leg, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(leg, goes_on=False)
    process.record(10)
    process.fail(monkeypatch)
    document = json.loads((leg.directory / "leg.json").read_bytes())
    assert (document["state"], document["length_samples"]) == ("failed", 10 * BLOCK)
    assert document["ended_at"] is None


class TestPatience:
    @pytest.fixture
    def pauses(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Return how long it waited, which it does not here."""
        waited: list[float] = []
        monkeypatch.setattr(threading.Event, "wait", lambda self, timeout: waited.append(timeout))
        return waited

    def test_is_one_for_all_calls_of_a_hand_over(self, tmp_path: Path, pauses: list[float]) -> None:
        clock = ManualClock()
        calls = [call_info(index) for index in range(5)]
        old, new = RecordingSink(tmp_path, clock=clock), RecordingSink(tmp_path, clock=clock)
        for call in calls:
            old.call_started(call)
        for call in calls:
            new.call_started(dataclasses.replace(call, goes_on=True))
        assert sum(pauses) <= 10.1
        assert len(list(tmp_path.glob("*.2.wav"))) == len(calls)
        clock.advance(HOUR_NS)
        new.call_started(dataclasses.replace(calls[0], index=9, goes_on=True))
        assert 10.2 <= sum(pauses) <= 40  # the next one has its own
