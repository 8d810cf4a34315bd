"""The engine and its doors without sockets: calls, limits, joining, idleness, shifting media frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from media.blocks import PcmBatch
from media.doors.rtp import RtpDoor
from media.doors.sources import describe_source, pack_source, source_words
from media.doors.stream import MAX_PAYLOAD_SAMPLES, StreamDoor
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.sinks.contract import CallInfo, CallReport
from media.sinks.queue import CallStarted, Item
from media.ws.chunks import Placement
from media.ws.host import StreamRefused, StreamStart
from strep import header, rtp
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import collect
from strep.g711 import Codec, decode
from strep.header import Direction, Leg, StrepHeader
from strep.reject import Reject
from strep.rtp import RtpPacket
from strep.timeline import Timeline

BEGINNING_NS = 50 * NS_PER_SECOND
FRAME = 160
HERE, THERE = pack_source("192.0.2.1", 4000), pack_source("192.0.2.2", 4000)


class Ear:
    """An outlet that keeps everything: calls in order, and PCM per call and channel."""

    def __init__(self) -> None:
        self.started: list[CallInfo] = []
        self.ended: list[tuple[CallInfo, CallReport]] = []
        self.heard: dict[tuple[str, int], list[tuple[int, np.ndarray[Any, Any]]]] = {}

    def put(self, item: Item) -> None:
        if isinstance(item, CallStarted):
            self.started.append(item.call)
        elif isinstance(item, PcmBatch):
            for i in range(len(item)):
                live = next(c for c in reversed(self.started) if c.index == item.call[i])
                first, last = int(item.first[i]), int(item.last[i])
                piece = int(item.positions[i]) + first, item.pcm[i, first:last]
                self.heard.setdefault((live.call_id, int(item.channel[i])), []).append(piece)
        else:
            self.ended.append((item.call, item.report))

    def pcm(self, call_id: str, channel: int) -> np.ndarray[Any, Any]:
        return np.concatenate([piece for _, piece in self.heard[call_id, channel]])


class World:
    """An engine with all doors and a clock."""

    def __init__(self, max_tracks: int = 100) -> None:
        self.wakes = 0
        self.clock, self.ear = ManualClock(BEGINNING_NS), Ear()
        self.engine = Engine(
            Timeline(), self.clock, [self.ear], idle_timeout_ns=30 * NS_PER_SECOND, max_tracks=max_tracks
        )
        self.strep = StrepDoor(self.engine)
        self.rtp = RtpDoor("tap", self.engine)
        self.stream = StreamDoor(self.engine, reconnect_grace_ns=5 * NS_PER_SECOND, wake=self.count_wake)

    def count_wake(self) -> None:
        self.wakes += 1

    def send_rtp(self, packet: bytes, direction: Direction = Direction.INBOUND, source: bytes = HERE) -> None:
        self.rtp.receive(collect([(packet, self.clock.now_ns(), source)]), direction, self.clock.now_ns())

    def send_strep(self, packet: bytes, leg_id: int, direction: Direction = Direction.INBOUND) -> None:
        from uuid import UUID

        wrapped = header.serialize(StrepHeader(UUID(int=leg_id), Leg.A, direction)) + packet
        self.strep.receive(collect([(wrapped, self.clock.now_ns(), HERE)]), self.clock.now_ns())

    def tick(self, milliseconds: int = 20) -> None:
        self.engine.poll(self.clock.advance(milliseconds * NS_PER_MS))


def audio(number: int, payload_type: int = 0, ssrc: int = 7, length: int = FRAME) -> bytes:
    payload = bytes([number % 200]) * length
    return rtp.serialize(RtpPacket(payload_type, number % 65536, number * FRAME, ssrc, payload))


def start(stream_id: str = "s1", codec: Codec = Codec.PCMU) -> StreamStart:
    return StreamStart(stream_id, codec, 8000, identity={"stream_id": stream_id})


class TestPlainRtp:
    def test_both_ports_make_one_call(self) -> None:
        world = World()
        for i in range(20):
            world.send_rtp(audio(i))
            world.send_rtp(audio(i, ssrc=8), Direction.OUTBOUND)
            world.tick()
        assert len(world.engine.calls) == 1
        world.engine.end_all("shutdown")
        (call, report) = world.ear.ended[0]
        assert call.call_id.startswith("tap-")
        assert [track.direction for track in report.tracks] == list(Direction)
        assert all(track.length_samples == 20 * FRAME for track in report.tracks)

    def test_two_sources_are_two_calls_even_with_one_ssrc(self) -> None:
        world = World()
        for i in range(20):
            world.send_rtp(audio(i), source=HERE)
            world.send_rtp(audio(i + 50), source=THERE)
            world.tick()
        assert len(world.engine.calls) == 2

    def test_partners_come_from_the_same_host(self) -> None:
        world = World()
        for i in range(20):
            world.send_rtp(audio(i), Direction.INBOUND, HERE)
            world.send_rtp(audio(i), Direction.INBOUND, THERE)
            world.send_rtp(audio(i, ssrc=8), Direction.OUTBOUND, THERE)
            world.tick()
        addresses = [{track.source["address"] for track in call.tracks} for call in world.engine.calls.values()]
        assert sorted(map(sorted, addresses)) == [["192.0.2.1"], ["192.0.2.2"]]

    def test_a_new_ssrc_of_a_source_that_went_on_is_the_same_call(self) -> None:
        world = World()
        for i in range(40):
            world.send_rtp(audio(i) if i < 20 else audio(i + 1000, ssrc=9))
            world.tick()
        world.engine.end_all("shutdown")
        assert len(world.ear.ended) == 1
        assert [track.length_samples for track in world.ear.ended[0][1].tracks] == [20 * FRAME] * 2

    def test_two_ssrcs_of_one_source_side_by_side_are_two_calls(self) -> None:
        world = World()
        for i in range(20):
            world.send_rtp(audio(i, ssrc=1))
            world.send_rtp(audio(i, ssrc=2))
            world.tick()
        assert len(world.engine.calls) == 2

    def test_call_ids_are_not_given_twice(self) -> None:
        world = World()
        for source in (HERE, THERE):
            for i in range(20):
                world.send_rtp(audio(i), source=source)
        world.tick(1000)
        assert len({info.call_id for info in world.ear.started}) == len(world.ear.started) == 2


class TestPayloadTypes:
    def test_a_law_is_a_law(self) -> None:
        world = World()
        for i in range(20):
            world.send_strep(audio(i, payload_type=8), 1)
            world.tick()
        world.engine.end_all("shutdown")
        pcm = world.ear.pcm(world.ear.started[0].call_id, 0)
        assert pcm[0] == decode(np.array([0], np.uint8), Codec.PCMA)[0]
        assert world.ear.ended[0][1].tracks[0].codec == "PCMA"

    def test_a_law_behind_comfort_noise_is_still_a_law(self) -> None:
        world = World()
        world.send_strep(audio(0, payload_type=13, length=1), 1)
        for i in range(1, 20):
            world.send_strep(audio(i, payload_type=8), 1)
            world.tick()
        world.engine.end_all("shutdown")
        assert world.ear.ended[0][1].tracks[0].codec == "PCMA"

    def test_a_change_of_law_is_heard_right(self) -> None:
        world = World()
        for i in range(20):
            world.send_strep(audio(i, payload_type=0 if i < 10 else 8), 1)
            world.tick()
        world.engine.end_all("shutdown")
        pcm = world.ear.pcm(world.ear.started[0].call_id, 0)
        as_a_law = decode(np.full(1, 15, np.uint8), Codec.PCMA)[0]
        assert abs(int(pcm[15 * FRAME]) - int(as_a_law)) <= abs(int(as_a_law)) // 16

    def test_other_payload_types_are_invalid_and_no_loss(self) -> None:
        world = World()
        for i in range(20):
            world.send_strep(audio(i, payload_type=101 if i in (5, 6) else 0), 1)
            world.tick()
        world.engine.end_all("shutdown")
        statistics = world.ear.ended[0][1].tracks[0].statistics
        assert statistics["invalid"] == 2
        assert statistics["delivered"] == 18
        assert statistics["never_arrived"] == 0


class TestLimits:
    def test_tracks_beyond_the_limit_are_counted_and_the_others_go_on(self) -> None:
        world = World(max_tracks=3)
        for i in range(20):
            for leg_id in range(5):
                world.send_strep(audio(i), leg_id)
            world.tick()
        assert world.strep.rejected[Reject.NO_ROOM] == 2 * 20
        world.engine.end_all("shutdown")
        assert [report.length_samples for _, report in world.ear.ended] == [20 * FRAME] * 3
        world.send_strep(audio(0), 99)
        assert len(world.engine.calls) == 1

    def test_a_stream_beyond_the_limit_is_refused_with_a_code(self) -> None:
        world = World(max_tracks=1)
        world.send_strep(audio(0), 1)
        with pytest.raises(StreamRefused, match="limit"):
            world.stream.stream_started(start(), world.clock.now_ns())


class TestIdleness:
    def test_packets_that_are_no_audio_do_not_keep_a_call(self) -> None:
        """Field: a media timeout that counts arrived packets never fires while all of them are thrown away."""
        world = World()
        world.send_strep(audio(0), 1)
        for i in range(1, 40):
            world.tick(1000)
            world.send_strep(audio(i, ssrc=1000 + i), 1)
        assert [report.reason for _, report in world.ear.ended] == ["idle"]

    def test_a_leg_that_comes_back_is_a_new_call(self) -> None:
        world = World()
        world.send_strep(audio(0), 1)
        world.tick(31_000)
        world.tick(31_000)
        world.send_strep(audio(5000), 1)
        assert len(world.ear.started) == 2
        assert len(world.engine.calls) == 1


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
        assert report.events == [{"event": "dtmf", "digit": "5"}]

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
        second = world.stream.stream_started(start(codec=Codec.PCMA), world.clock.now_ns())
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


class TestSources:
    @pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "::1"])
    def test_addresses_survive(self, host: str) -> None:
        packed = np.frombuffer(pack_source(host, 4711), np.uint8)
        assert describe_source(packed) == {"address": host, "port": 4711}
        high, low, port = source_words(packed[None, :])
        assert (bool(high[0]), int(port[0])) == (host.startswith("2001"), 4711)
        assert low[0]


class TestUnsupportedAudio:
    """A call whose audio we cannot decode is not reported as a quiet recording."""

    def test_it_is_said_which_payload_types_came(self) -> None:
        world = World()
        for i in range(20):
            world.send_strep(audio(i, payload_type=18), 1)
            world.send_strep(audio(i, payload_type=9 if i % 2 else 96), 1, Direction.OUTBOUND)
            world.tick()
        world.engine.end_all("shutdown")
        report = world.ear.ended[0][1]
        assert report.note == "unsupported_payload"
        assert [track.codec for track in report.tracks] == [None, None]
        assert [track.payload_types for track in report.tracks] == [{"18": 20}, {"9": 10, "96": 10}]

    def test_jitter_begins_with_the_audio(self) -> None:
        world = World()
        for i in range(30):
            world.send_strep(audio(i, payload_type=101 if i < 3 else 0), 1)
            world.tick()
        world.engine.end_all("shutdown")
        assert world.ear.ended[0][1].tracks[0].statistics["jitter_max_ms"] < 1

    def test_events_do_not_keep_a_call(self) -> None:
        world = World()
        for i in range(100):
            world.send_strep(audio(i, payload_type=0 if i < 10 else 101), 1)
            world.tick(1000)
        assert [report.reason for _, report in world.ear.ended][:1] == ["idle"]


class TestStreamsMeetingOneAnother:
    def test_another_encoding_on_a_live_stream_is_refused(self) -> None:
        world = World()
        world.stream.stream_started(start(), world.clock.now_ns())
        with pytest.raises(StreamRefused, match="live in PCMU"):
            world.stream.stream_started(start(codec=Codec.PCMA), world.clock.now_ns())
        assert world.ear.ended == []

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


def test_a_flood_of_rtp_sources_is_joined_without_looking_through_all_calls() -> None:
    """Counts steps, not seconds: each newcomer may look at a handful of others, however many there are."""
    world = World(max_tracks=3000)
    looked = 0
    last_delivery_ns = world.engine.last_delivery_ns

    def counting(track: Any) -> int:
        nonlocal looked
        looked += 1
        return last_delivery_ns(track)

    world.engine.last_delivery_ns = counting  # type: ignore[method-assign]
    packets = [(audio(0, ssrc=i), world.clock.now_ns(), pack_source("192.0.2.1", 1024 + i)) for i in range(2000)]
    for first in range(0, len(packets), 500):
        world.rtp.receive(collect(packets[first : first + 500]), Direction.INBOUND, world.clock.now_ns())
    world.tick(1500)
    assert len(world.engine.calls) == 2000
    assert looked <= 3 * 2000
