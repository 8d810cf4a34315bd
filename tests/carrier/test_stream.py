"""A call's frames: order, numbering, and what happens at a broken socket."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest

from media.carrier.faults import Faults
from media.carrier.network import NetworkModel, Span
from media.carrier.options import SimulationOptions, TimestampUnit, Transport, WebSocketOptions
from media.carrier.plan import Plan, make_plan
from media.carrier.stream import MediaStream
from strep.clock import NS_PER_MS, NS_PER_SECOND


def plan(network: NetworkModel | None = None, faults: Faults | None = None, **websocket: Any) -> Plan:
    options = SimulationOptions(
        transport=Transport.WEBSOCKET,
        calls=2,
        seconds=2.0,
        audio=None,
        network=network or NetworkModel(),
        faults=faults or Faults(),
        websocket=WebSocketOptions(**websocket),
    )
    return make_plan(options)


def frames(paper: Plan, call: int = 1) -> list[dict[str, Any]]:
    stream = MediaStream(paper, call)
    return [json.loads(stream.frame(row)) for row in range(len(stream))]


def media(paper: Plan, track: str) -> list[dict[str, Any]]:
    return [f["media"] for f in frames(paper) if f["event"] == "media" and f["media"]["track"] == track]


class TestNumbers:
    def test_start_media_stop_in_sequence(self) -> None:
        all_frames = frames(plan())
        assert [frame["event"] for frame in all_frames] == ["start", *["media"] * 200, "stop"]
        assert [frame["sequence_number"] for frame in all_frames] == [str(n) for n in range(1, 203)]

    def test_chunks_per_track(self) -> None:
        paper = plan()
        for track in ("inbound", "outbound"):
            assert [int(m["chunk"]) for m in media(paper, track)] == list(range(1, 101))

    def test_shared_chunks_from_another_number(self) -> None:
        paper = plan(shared_chunks=True, first_chunk=0)
        assert [int(m["chunk"]) for m in media(paper, "inbound")] == list(range(0, 200, 2))
        assert [int(m["chunk"]) for m in media(paper, "outbound")] == list(range(1, 200, 2))

    @pytest.mark.parametrize(
        ("unit", "step"),
        [(TimestampUnit.MILLISECONDS, 20), (TimestampUnit.SAMPLES, 160), (TimestampUnit.PACKETS, 1)],
    )
    def test_timestamps(self, unit: TimestampUnit, step: int) -> None:
        paper = plan(timestamp_unit=unit)
        assert [int(m["timestamp"]) for m in media(paper, "inbound")] == [n * step for n in range(100)]

    def test_hold(self) -> None:
        paper = plan(faults=Faults(hold=Span(NS_PER_SECOND // 2, NS_PER_SECOND)))
        inbound = media(paper, "inbound")
        assert [int(m["chunk"]) for m in inbound] == list(range(1, 51))
        assert [int(m["timestamp"]) for m in inbound[24:26]] == [480, 1_500]

    def test_payloads_are_the_tracks(self) -> None:
        paper = plan()
        for track, name in ((2, "inbound"), (3, "outbound")):
            audio = b"".join(b64decode(m["payload"]) for m in media(paper, name))
            assert audio == paper.expected_encoded(track).tobytes()


class TestNetwork:
    def test_numbers_are_given_before_the_network(self) -> None:
        paper = plan(NetworkModel(loss=0.1, reorder=0.2, duplicate=0.1, jitter_ms=10))
        truth = {track.direction: track for track in paper.truth().tracks if track.call == 1}
        for name, told in truth.items():
            chunks = [int(m["chunk"]) for m in media(paper, name)]
            missing = [chunk - 1 for chunk in range(1, 101) if chunk not in chunks]
            assert len(set(chunks)) == told.delivered
            assert len(chunks) - len(set(chunks)) == told.duplicated
            assert missing == [f + i for f, count in told.lost_packets for i in range(count)]
            assert chunks != sorted(chunks)
        assert frames(paper)[-1]["event"] == "stop"


class TestEvents:
    def test_dtmf_and_oddities_take_numbers_in_between(self) -> None:
        all_frames = frames(plan(dtmf="42#", oddities=True))
        assert [f["dtmf"]["digit"] for f in all_frames if f["event"] == "dtmf"] == ["4", "2", "#"]
        events = {frame["event"] for frame in all_frames}
        assert events == {"start", "media", "dtmf", "error", "mark", "weather", "stop"}
        numbers = [int(f["sequence_number"]) for f in all_frames if "sequence_number" in f]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) == len(all_frames) - 1

    def test_without_stop(self) -> None:
        assert frames(plan(stop_frame=False))[-1]["event"] == "media"

    def test_one_track(self) -> None:
        paper = plan(tracks=("outbound",))
        assert not media(paper, "inbound")
        assert len(media(paper, "outbound")) == 100


class TestInterjection:
    def test_takes_the_number_of_its_moment(self) -> None:
        paper = plan()
        stream = MediaStream(paper, 0)
        numbers = [json.loads(stream.frame(row))["sequence_number"] for row in range(3)]
        assert numbers == ["1", "2", "3"]
        assert stream.interject(10 * NS_PER_MS) == 4
        rest = [int(json.loads(stream.frame(row))["sequence_number"]) for row in range(3, len(stream))]
        assert rest == list(range(5, len(stream) + 2))

    def test_never_twice_the_same_number(self) -> None:
        stream = MediaStream(plan(NetworkModel(reorder=0.3, jitter_ms=15), dtmf="1"), 0)
        numbers = []
        for row in range(len(stream)):
            numbers.append(int(json.loads(stream.frame(row))["sequence_number"]))
            if row % 7 == 0:
                numbers.append(stream.interject(int(stream.times_ns[row])))
        assert sorted(numbers) == list(range(1, len(numbers) + 1))


class TestBrokenSocket:
    def test_start_again_with_the_same_id_and_further_numbers(self) -> None:
        paper = plan(drop_at_ns=NS_PER_SECOND, redial_after_ns=200 * NS_PER_MS)
        stream = MediaStream(paper, 1)
        assert stream.gap == Span(NS_PER_SECOND + 7 * NS_PER_MS, 200 * NS_PER_MS)
        in_gap = (stream.times_ns >= stream.gap.start_ns) & (stream.times_ns < stream.gap.end_ns)
        assert not in_gap.any()
        all_frames = frames(paper)
        starts = [row for row, frame in enumerate(all_frames) if frame["event"] == "start"]
        assert len(starts) == 2
        assert stream.times_ns[starts[1]] == stream.gap.end_ns
        assert len({frame["stream_id"] for frame in all_frames}) == 1
        assert [int(m["chunk"]) for m in media(paper, "inbound")] == [*range(1, 51), *range(61, 101)]
