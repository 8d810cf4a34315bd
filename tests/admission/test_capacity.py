"""What is short refuses new calls, and only those."""

from __future__ import annotations

import gc
import os
import resource
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from media.admission.capacity import Capacity, CapacityLimits, Usage, free_bytes, free_descriptors
from media.ws.host import StreamRefused
from strep import header
from strep.clock import NS_PER_SECOND, ManualClock
from strep.datagrams import collect
from strep.header import Direction, Leg, StrepHeader
from strep.reject import Reject
from tests.media.world import HERE, World, audio, start

PLENTY = Usage(calls=3, packets=0, free_bytes=1 << 40, free_descriptors=10_000)


@pytest.mark.parametrize(
    ("usage", "text"),
    [
        (PLENTY, ""),
        (replace(PLENTY, calls=5), "5 calls are live, at most 5"),
        (replace(PLENTY, free_bytes=1 << 20), "the disk has 1 MiB left, at least 256"),
        (replace(PLENTY, free_bytes=None, free_descriptors=None), ""),
        (replace(PLENTY, free_descriptors=10), "10 more files may be opened; raise the limit (ulimit -n)"),
        (replace(PLENTY, packets=2500), "1250 packets a second, at most 1000"),
    ],
)
def test_what_is_short(usage: Usage, text: str, caplog: pytest.LogCaptureFixture) -> None:
    clock, used = ManualClock(), [PLENTY]
    capacity = Capacity(CapacityLimits(5, 1000, 256 << 20), lambda: used[0], clock)
    capacity.look()
    assert capacity.shortage == ""
    clock.advance(2 * NS_PER_SECOND)
    used[0] = usage
    capacity.look()
    assert capacity.shortage == text
    assert ("no call may begin" in caplog.text) == bool(text)
    clock.advance(2 * NS_PER_SECOND)
    used[0] = replace(PLENTY, packets=usage.packets)
    capacity.look()
    assert capacity.shortage == ""


def test_a_day_at_the_limit_is_no_flood_of_lines(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    capacity = Capacity(CapacityLimits(calls=5), lambda: replace(PLENTY, calls=5), clock)
    for _ in range(600):
        capacity.look()
        clock.advance(NS_PER_SECOND)
    assert len(caplog.records) == 10


def test_running_calls_are_untouched() -> None:
    world = World()

    def send(number: int, leg: int, direction: Direction = Direction.INBOUND) -> None:
        wrapped = header.serialize(StrepHeader(UUID(int=leg), Leg.A, direction)) + audio(number)
        world.strep.receive(collect([(wrapped, world.clock.now_ns(), HERE)]), world.clock.now_ns())

    for number in range(3):
        send(number, 1)
        world.send_rtp(audio(number))
        world.tick()
    world.engine.shortage = "the disk is full"
    for number in range(3, 10):
        send(number, 1)
        send(number, 1, Direction.OUTBOUND)  # its other direction begins
        send(number, 2)
        world.send_rtp(audio(number))
        world.send_rtp(audio(number, ssrc=99))
        world.tick()
    with pytest.raises(StreamRefused, match="the disk is full"):
        world.stream.stream_started(start(), world.clock.now_ns())
    assert len(world.engine.calls) == 2
    assert world.strep.rejected[Reject.NO_ROOM] == world.rtp.rejected[Reject.NO_ROOM] == 7
    world.engine.end_all("shutdown")
    lengths = sorted(track.length_samples for _, report in world.ear.ended for track in report.tracks)
    assert lengths == [7 * 160, 10 * 160, 10 * 160]


def test_what_the_system_says(tmp_path: Path) -> None:
    free = free_bytes(tmp_path)
    assert free is not None
    assert free > 0
    assert free_bytes(None) is None
    assert free_bytes(tmp_path / "none" / "yet") is not None, "it is made on this disk"
    (tmp_path / "file").touch()
    assert free_bytes(tmp_path / "file" / "none") is None
    gc.collect()  # what others left open is not to be closed amid this
    before = free_descriptors()
    assert before is not None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
    try:
        now = free_descriptors()
        assert now is not None
        assert now <= before - 50  # lower, where there were gaps below the first one that was free
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(held) + 1, limit[1]))
        assert free_descriptors() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        for descriptor in held:
            os.close(descriptor)
