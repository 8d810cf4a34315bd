"""Media streams: the harness under a tiny load, its frames, its referee, its search."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.command import bench
from benchmarks.contenders import streams
from benchmarks.contenders.streams import STREAM_CONTENDERS, missing
from benchmarks.report import Report
from benchmarks.websocket_course import StreamCourse, StreamRun
from benchmarks.websocket_frames import Frames, StreamLoad
from benchmarks.websocket_knee import Step, most_carried, symptom
from benchmarks.websocket_referee import StreamTruth, check
from media.carrier.stream import MediaStream

LOAD = StreamLoad(calls=5, ramp_seconds=0.1, plateau_seconds=0.4)

linux = [
    pytest.mark.bench,
    pytest.mark.realtime,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="epoll and affinity are Linux"),
]


@pytest.fixture(scope="module")
def truth() -> StreamTruth:
    return StreamTruth(LOAD.plan())


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamCourse]:
    course = StreamCourse(LOAD, tmp_path_factory.mktemp("course"))
    yield course
    course.close()


def unmasked(frame: bytes) -> tuple[int, bytes]:
    """Return first byte and payload of a client's frame (RFC 6455 section 5.2)."""
    short = frame[1] & 0x7F
    head = 4 if short == 126 else 2
    length = int.from_bytes(frame[2:4]) if short == 126 else short
    key, body = frame[head : head + 4], frame[head + 4 :]
    assert frame[1] & 0x80
    assert len(body) == length
    return frame[0], bytes(byte ^ key[i % 4] for i, byte in enumerate(body))


class TestFrames:
    def test_are_those_of_the_simulated_carrier(self) -> None:
        plan = LOAD.plan()
        frames = Frames(plan)
        carrier = [MediaStream(plan, call) for call in range(LOAD.calls)]
        expected = [[s.text(row) for row in np.flatnonzero(s.is_media).tolist()] for s in carrier]
        found: list[list[str]] = [[] for _ in carrier]
        for call, start, stop in zip(frames.calls, frames.starts, frames.stops, strict=True):
            opcode, text = unmasked(frames.data[start:stop].tobytes())
            assert opcode == 0x81
            found[call].append(text.decode())
        assert found == expected

    def test_times_are_those_of_the_plan(self) -> None:
        plan = LOAD.plan()
        assert np.array_equal(Frames(plan).times_ns, plan.times_ns)

    def test_calls_begin_and_end(self) -> None:
        plan = LOAD.plan()
        frames, stream = Frames(plan), MediaStream(plan, 3)
        first = stream.writer.connected()
        assert isinstance(first, str)
        connected = len(first) + 2 + 4
        assert unmasked(frames.hello[3][:connected]) == (0x81, first.encode())
        assert unmasked(frames.hello[3][connected:]) == (0x81, stream.text(0).encode())
        assert unmasked(frames.goodbye[3][:-8]) == (0x81, stream.text(len(stream) - 1).encode())
        assert unmasked(frames.goodbye[3][-8:]) == (0x88, (1000).to_bytes(2))

    def test_plateau_has_the_rate(self) -> None:
        load = StreamLoad(20, ramp_seconds=0.2, plateau_seconds=1.0)
        times_ns = load.plan().times_ns
        first_ns, last_ns = load.plateau_ns
        assert ((times_ns >= first_ns) & (times_ns < last_ns)).sum() == load.frames_per_second


class TestReferee:
    def evidence(self, truth: StreamTruth) -> dict[str, Any]:
        tracks = [
            {"stream_id": stream_id, "track": track, "count": count, "checksum": checksum}
            for (stream_id, track), (count, checksum) in truth.sums.items()
            if track != "both"
        ]
        return {"received": truth.truth.total("sent"), "tracks": tracks}

    def test_everything_right(self, truth: StreamTruth) -> None:
        assert list(check(truth, "node", self.evidence(truth), Path())) == []

    def test_a_sample_is_wrong(self, truth: StreamTruth) -> None:
        evidence = self.evidence(truth)
        evidence["tracks"][1]["checksum"] += 1
        (complaint,) = check(truth, "node", evidence, Path())
        assert "frames and checksum" in complaint

    def test_a_track_is_missing(self, truth: StreamTruth) -> None:
        evidence = self.evidence(truth)
        del evidence["tracks"][0]
        (complaint,) = check(truth, "node", evidence, Path())
        assert "frames in tracks of" in complaint

    def test_a_track_nobody_sent(self, truth: StreamTruth) -> None:
        evidence = self.evidence(truth)
        evidence["tracks"][0]["stream_id"] = "somebody"
        assert "was never sent" in next(check(truth, "node", evidence, Path()))

    def test_frames_are_missing(self, truth: StreamTruth) -> None:
        evidence = {**self.evidence(truth), "received": 1}
        assert "media frames were sent, 1 received" in next(check(truth, "node", evidence, Path()))

    def test_server_is_asked_for_everything(self, truth: StreamTruth, tmp_path: Path) -> None:
        names = ("calls_started", "calls_ended", "calls", "conservation_errors", "failed_beats")
        door = {"rejected": {"NOT_JSON": 1}, "no_room": 2}
        sink = {"dropped_blocks": 1, "errors": 0, "closed": True}
        totals = {**dict.fromkeys(names, 1), "doors": {"ws": door}, "sinks": [sink]}
        complaints = list(check(truth, "strep", totals, tmp_path))
        for said in ("calls_started is 1, not 5", "rejected: {'NOT_JSON': 1}, no room for 2", "sink: ", "5 missing"):
            assert any(said in complaint for complaint in complaints)


class TestKnee:
    FINE = StreamRun(
        "node",
        100,
        1,
        sent=1,
        offered_per_s=10_000,
        received_per_s=10_000,
        lateness_ms={"p99_ms": 1},
        lag_ms={"p99": 5},
    )

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({}, ""),
            ({"lateness_ms": {"p99_ms": 30.0}}, "it is at its own limit"),
            ({"offered_per_s": 9_000.0}, "the sender offered 9,000 frames/s only"),
            ({"stalled": 3}, "3 frames found their socket full"),
            ({"stalled": 3, "lateness_ms": {"p99_ms": 30.0}}, "3 frames found their socket full"),
            ({"lag_ms": {"p99": 60.0}}, "lags 60 ms at p99"),
            ({"received_per_s": 9_000.0}, "took 90% of the frames in time"),
            ({"complaints": ["a sample is wrong"]}, "a sample is wrong"),
        ],
    )
    def test_symptoms(self, change: dict[str, Any], said: str) -> None:
        found = symptom(msgspec.structs.replace(self.FINE, **change), 50.0)
        assert said in found
        assert bool(found) == bool(said)

    def test_died(self) -> None:
        assert symptom(StreamRun("node", 100, 1, complaints=["died"]), 50.0) == "died"

    def test_most_carried(self) -> None:
        steps = [
            Step(msgspec.structs.replace(self.FINE, calls=calls), why)
            for calls, why in ((9, ""), (20, ""), (30, "x"))
        ]
        step = most_carried(steps)
        assert step is not None
        assert step.run.calls == 20
        assert most_carried([]) is None


class TestRuns:
    pytestmark = linux

    @pytest.mark.parametrize("contender", list(STREAM_CONTENDERS))
    def test_every_contender_passes_the_referee(self, course: StreamCourse, contender: str) -> None:
        if what := missing(contender):
            pytest.skip(what)
        run = course.run(contender, 1)
        assert run.complaints == []
        assert run.sent == run.received == 5 * 2 * 25
        assert run.cpu_ns >= 0  # a kernel that counts in ticks may have seen none
        assert run.lag_ms["p99"] > 0

    def test_contender_that_dies_does_not_count(self, course: StreamCourse) -> None:
        run = course.run("no-such-contender", 1)
        assert run.received == 0
        assert "KeyError: 'no-such-contender'" in run.complaints[0]


class TestCommand:
    pytestmark = linux

    def test_tables_and_json(self, tmp_path: Path) -> None:
        path = tmp_path / "figures.json"
        arguments = ["websocket", "--calls", "5", "--ramp", "50", "--seconds", "0.4", "--repeats", "1"]
        only = ["--only", "strep", "--only", "websockets", "--knee", "websockets", "--most", "5", "--lag", "10000"]
        outcome = CliRunner().invoke(bench, [*arguments, *only, "--json", str(path), "--scratch", str(tmp_path)])
        assert outcome.exit_code in (0, 1), outcome.output
        report = Report.from_json(path.read_bytes())
        assert report.complaints == []
        titles = [table.title for table in report.tables]
        assert "5 calls x 2 tracks, 500 media frames/s offered" in titles
        assert "Calls of two tracks on one core" in titles
        assert "5 media streams recorded" in report.answers[0]


def test_places_are_files() -> None:
    here = Path(streams.__file__).parent
    for kind in STREAM_CONTENDERS.values():
        assert (here / kind.place.partition(":")[0]).with_suffix(".py").exists()
        assert kind.place.partition(":")[0] != "programs" or (here / kind.argument).exists()
