"""The engine and the WebSocket's door: media frames, shifting, and streams that meet one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from media.doors.stream import MAX_PAYLOAD_SAMPLES
from media.ws.chunks import Placement
from media.ws.host import StreamRefused
from strep.clock import NS_PER_SECOND
from strep.g711 import Codec, decode
from strep.header import Direction
from tests.media.world import FRAME, World, start


class TestStreams:
    def feed(self, world: World, handle: Any, numbers: range, length: int = FRAME) -> None:
        for i in numbers:
            placement = Placement(i % 65536, i * FRAME % 2**32)
            payload = bytes([i % 200]) * length
            world.stream.stream_media(handle, Direction.INBOUND, placement, payload, world.clock.now_ns())
            world.stream.deliver(world.clock.now_ns())
            world.tick()

    def test_stop_ends_the_call_with_everything_in_it(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        self.feed(world, handle, range(10))
        world.stream.stream_event(handle, {"event": "dtmf", "digit": "5"})
        world.stream.stream_stopped(handle, world.clock.now_ns())
        (_, report) = world.ear.ended[0]
        assert report.reason == "stop"
        assert report.length_samples == 10 * FRAME
        assert report.events == [{"event": "dtmf", "digit": "5", "position_samples": 10 * FRAME}]

    def test_a_stream_is_live_until_its_call_ends(self) -> None:
        world = World()
        name = start().stream_id
        assert not world.stream.is_live(name)
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        assert world.stream.is_live(name)
        world.stream.stream_detached(handle, world.clock.now_ns())
        assert world.stream.is_live(name)  # it may come back
        world.stream.stream_stopped(handle, world.clock.now_ns())
        assert not world.stream.is_live(name)

    def test_a_second_socket_continues_the_call(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        self.feed(world, handle, range(10))
        world.stream.stream_detached(handle, world.clock.now_ns())
        world.tick(1000)
        world.stream.end_detached(world.clock.now_ns())
        again = world.stream.stream_started(start(), world.clock.now_ns())
        assert again is handle
        self.feed(world, again, range(10, 20))
        world.tick(6000)
        world.stream.end_detached(world.clock.now_ns())
        assert world.ear.ended == []

    def test_nobody_comes_back(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        self.feed(world, handle, range(10))
        world.stream.stream_detached(handle, world.clock.now_ns())
        world.clock.advance(5 * NS_PER_SECOND)
        world.stream.end_detached(world.clock.now_ns())
        assert [report.reason for _, report in world.ear.ended] == ["closed"]

    def test_a_call_without_media_is_reported_as_such(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        world.stream.stream_stopped(handle, world.clock.now_ns())
        assert [report.note for _, report in world.ear.ended] == ["no_media"]

    def test_media_behind_the_end_is_a_new_call(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        self.feed(world, handle, range(10))
        world.engine.end_call(handle.call, "idle")
        self.feed(world, handle, range(10, 20))
        world.stream.stream_stopped(handle, world.clock.now_ns())
        assert [report.reason for _, report in world.ear.ended] == ["idle", "stop"]
        assert [report.length_samples for _, report in world.ear.ended] == [10 * FRAME] * 2

    def test_another_encoding_after_the_socket_is_gone_is_another_recording(self) -> None:
        world = World()
        first = world.stream.stream_started(start(), world.clock.now_ns())
        self.feed(world, first, range(10))
        world.stream.stream_detached(first, world.clock.now_ns())
        second = world.stream.stream_started(start(codec="PCMA"), world.clock.now_ns())
        assert second is not first
        assert len(world.ear.ended) == 1

    def test_a_payload_too_long_for_the_tape_is_invalid_and_harmless(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        self.feed(world, handle, range(5))
        self.feed(world, handle, range(5, 6), length=MAX_PAYLOAD_SAMPLES + 1)
        self.feed(world, handle, range(6, 10))
        world.stream.stream_stopped(handle, world.clock.now_ns())
        statistics = world.ear.ended[0][1].tracks[0].statistics
        assert statistics["invalid"] == 1
        assert statistics["delivered"] == 9
        assert [event["event"] for event in world.ear.ended[0][1].events] == ["frame_too_long"]

    def test_frames_that_waited_with_a_wrong_estimate_are_moved(self) -> None:
        """Chunk 1 comes last and is 80 samples long where 160 were assumed: what lies behind it moves up."""
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        now_ns, put = world.clock.now_ns(), world.stream.stream_media
        put(handle, Direction.INBOUND, Placement(0, 0), b"a" * 160, now_ns)
        put(handle, Direction.INBOUND, Placement(2, 320), b"c" * 160, now_ns)
        put(handle, Direction.INBOUND, Placement(1, 160, -80), b"b" * 80, now_ns)
        put(handle, Direction.INBOUND, Placement(3, 400), b"d" * 160, now_ns)
        world.stream.stream_stopped(handle, now_ns)
        expected = decode(np.frombuffer(b"a" * 160 + b"b" * 80 + b"c" * 160 + b"d" * 160, np.uint8), Codec.PCMU)
        assert np.array_equal(world.ear.pcm("s1", 0), expected)
        assert world.ear.ended[0][1].tracks[0].ledger == []

    def test_whoever_delivers_is_told_of_every_frame(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        now_ns, put = world.clock.now_ns(), world.stream.stream_media
        for placement in (Placement(0, 0), Placement(2, 320), Placement(1, 160, -80)):
            put(handle, Direction.INBOUND, placement, b"a" * 80, now_ns)
        assert [world.stream.deliver(now_ns) for _ in range(2)] == [3, 0]


class TestStreamsMeetingOneAnother:
    def test_another_encoding_on_a_live_stream_is_refused(self) -> None:
        world = World()
        world.stream.stream_started(start(), world.clock.now_ns())
        with pytest.raises(StreamRefused, match="live in PCMU"):
            world.stream.stream_started(start(codec="PCMA"), world.clock.now_ns())
        assert world.ear.ended == []

    def test_a_call_that_another_stream_has_taken_the_name_of_lets_go_of_its_tracks(self) -> None:
        """What relies on a slot must not after its call has ended: the next call gets it."""
        world, left = World(), list[str]()
        first = world.stream.stream_started(start(), world.clock.now_ns())
        TestStreams().feed(world, first, range(10))
        world.engine.end_call(first.call, "idle")
        second = world.stream.stream_started(start(), world.clock.now_ns())
        TestStreams().feed(world, second, range(10))
        TestStreams().feed(world, first, range(10, 20))
        assert world.stream.stream_slot(first, Direction.INBOUND, lambda: left.append("first")) is not None
        world.engine.end_call(first.call, "idle")
        assert left == ["first"]
        assert first.tracks == {}
        assert world.stream.stream_started(start(), world.clock.now_ns()) is second

    def test_digits_keep_a_call_that_is_silent(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        for _ in range(40):
            world.tick(1000)
            world.stream.stream_event(handle, {"event": "dtmf", "digit": "1"})
        assert world.ear.ended == []

    def test_position_0_is_when_the_audio_began(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        world.tick(3000)
        began_ns = world.clock.wall_ns()
        TestStreams().feed(world, handle, range(10))
        world.stream.stream_stopped(handle, world.clock.now_ns())
        assert world.ear.ended[0][0].origin_wall_ns == began_ns
        assert world.ear.ended[0][1].started_wall_ns == began_ns

    def test_counters_that_begin_anew_are_placed_by_arrival(self) -> None:
        world = World()
        handle = world.stream.stream_started(start(), world.clock.now_ns())
        now = world.clock.now_ns
        for i in range(100):
            world.stream.stream_media(handle, Direction.INBOUND, Placement(i, i * FRAME), b"a" * FRAME, now())
            world.stream.deliver(now())
            world.tick()
        world.tick(3000)
        for i in range(50):
            place = Placement(i, i * FRAME, generation=1)
            world.stream.stream_media(handle, Direction.INBOUND, place, b"b" * FRAME, now())
            world.stream.deliver(now())
            world.tick()
        world.stream.stream_stopped(handle, now())
        track = world.ear.ended[0][1].tracks[0]
        assert track.totals["restart"] == 3 * 8000
        assert track.length_samples == 150 * FRAME + 3 * 8000
        assert track.ledger == [(100 * FRAME, 3 * 8000, "restart")]
