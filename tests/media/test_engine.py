"""The engine and its doors without sockets: calls, limits, joining, idleness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from media.doors.sources import describe_source, pack_source, source_words
from media.ws.host import StreamRefused
from strep.datagrams import collect
from strep.g711 import Codec, decode
from strep.header import Direction
from strep.reject import Reject
from tests.media.world import FRAME, HERE, THERE, World, audio, start


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
            world.send_strep(audio(i, payload_type=4 if i % 2 else 96), 1, Direction.OUTBOUND)
            world.tick()
        world.engine.end_all("shutdown")
        report = world.ear.ended[0][1]
        assert report.note == "unsupported_payload"
        assert [track.codec for track in report.tracks] == [None, None]
        assert [track.payload_types for track in report.tracks] == [{"18": 20}, {"4": 10, "96": 10}]

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
