"""The referee of recordings agrees with right ones, and with nothing else: one that cannot fail is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import wav
from benchmarks.load import Load
from benchmarks.recordings import check_recordings, check_server
from benchmarks.referee import Truth
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions
from media.carrier.plan import make_plan
from tests.media.harness import Bench

LOAD = Load(legs=3, ramp_seconds=0.1, plateau_seconds=0.5)
FORMATS = {"recording": "pcm16", "passthrough": "passthrough"}


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(LOAD.plan())


@pytest.fixture(params=list(FORMATS))
def contender(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def directory(tmp_path: Path, truth: Truth, contender: str) -> Path:
    """Return right recordings, to be spoilt."""
    Bench(tmp_path, recording_format=FORMATS[contender]).run(LOAD.plan())
    return tmp_path


def wavs(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.wav"))


def change_byte(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def change_sidecar(path: Path, **changes: Any) -> None:
    sidecar = msgspec.json.decode(path.read_bytes())
    sidecar["tracks"][0].update(changes)
    path.write_bytes(msgspec.json.encode(sidecar))


class TestFiles:
    def test_right_ones_pass(self, truth: Truth, directory: Path, contender: str) -> None:
        assert list(check_recordings(truth, directory, contender)) == []

    @pytest.mark.parametrize("offset", [-1, -700, -2000])
    def test_altered_sample(self, truth: Truth, directory: Path, contender: str, offset: int) -> None:
        change_byte(wavs(directory)[1], offset)
        [complaint] = check_recordings(truth, directory, contender)
        assert "not those that were sent" in complaint
        assert wavs(directory)[1].stem in complaint

    def test_dropped_packet(self, tmp_path: Path, truth: Truth) -> None:
        options = truth.plan.options
        lossy = SimulationOptions(
            calls=options.calls,
            seconds=options.seconds,
            stagger_ms=options.stagger_ms,
            audio=None,
            network=NetworkModel(loss=0.01),
        )
        plan = make_plan(lossy)
        assert sum(len(track.dropped) for track in plan.deliveries) == 1
        Bench(tmp_path, recording_format="pcm16").run(plan)
        complaints = list(check_recordings(truth, tmp_path, "recording"))
        assert any("packets were sent" in complaint for complaint in complaints)
        assert any("not those that were sent" in complaint for complaint in complaints)
        assert any("ledger has gaps" in complaint for complaint in complaints)

    def test_swapped_calls(self, truth: Truth, directory: Path, contender: str) -> None:
        first, second, _ = wavs(directory)
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
        assert len(list(check_recordings(truth, directory, contender))) >= 4

    def test_missing_file(self, truth: Truth, directory: Path, contender: str) -> None:
        wavs(directory)[0].unlink()
        assert "1 missing" in next(check_recordings(truth, directory, contender))

    def test_file_too_many(self, truth: Truth, directory: Path, contender: str) -> None:
        (directory / "other.wav").write_bytes(wavs(directory)[0].read_bytes())
        assert "1 .wav files too many" in next(check_recordings(truth, directory, contender))

    def test_truncated_file(self, truth: Truth, directory: Path, contender: str) -> None:
        path = wavs(directory)[0]
        path.write_bytes(path.read_bytes()[:-4])
        assert list(check_recordings(truth, directory, contender))

    def test_other_format(self, truth: Truth, directory: Path, contender: str) -> None:
        [other] = set(FORMATS) - {contender}
        assert list(check_recordings(truth, directory, other))


class TestSidecars:
    def test_packet_not_accounted_for(self, truth: Truth, directory: Path, contender: str) -> None:
        path = next(directory.glob("*.json"))
        statistics = msgspec.json.decode(path.read_bytes())["tracks"][0]["statistics"]
        change_sidecar(path, statistics={**statistics, "delivered": statistics["delivered"] - 1})
        assert any("do not add up" in c for c in check_recordings(truth, directory, contender))

    def test_wrong_length(self, truth: Truth, directory: Path, contender: str) -> None:
        change_sidecar(next(directory.glob("*.json")), length_samples=1)
        assert any("samples were sent" in c for c in check_recordings(truth, directory, contender))

    def test_track_shifted(self, truth: Truth, directory: Path, contender: str) -> None:
        change_sidecar(next(directory.glob("*.json")), start_samples=1)
        assert list(check_recordings(truth, directory, contender))


class TestServer:
    def totals(self, truth: Truth) -> dict[str, Any]:
        calls = truth.truth.calls
        return {
            "calls": 0,
            "calls_started": calls,
            "calls_ended": calls,
            "conservation_errors": 0,
            "failed_beats": 0,
            "receive_errors": 0,
            "kernel_drops": 0,
            "doors": {"udp": {"datagrams": truth.truth.datagrams, "rejected": {}}},
            "sinks": [{"dropped_blocks": 0, "errors": 0, "closed": True}],
        }

    def test_right_totals_pass(self, truth: Truth) -> None:
        assert list(check_server(truth, self.totals(truth), kernel_drops=0)) == []

    @pytest.mark.parametrize("name", ["calls", "conservation_errors", "failed_beats", "kernel_drops"])
    def test_wrong_total(self, truth: Truth, name: str) -> None:
        totals = {**self.totals(truth), name: 1}
        assert len(list(check_server(truth, totals, kernel_drops=0))) == 1

    def test_lost_packet(self, truth: Truth) -> None:
        totals = self.totals(truth)
        totals["doors"]["udp"]["datagrams"] -= 1
        [complaint] = check_server(truth, totals, kernel_drops=0)
        assert "do not add up" in complaint

    def test_dropped_block(self, truth: Truth) -> None:
        totals = self.totals(truth)
        totals["sinks"][0]["dropped_blocks"] = 1
        assert len(list(check_server(truth, totals, kernel_drops=0))) == 1


class TestWav:
    def test_rejects_what_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "no.wav"
        path.write_bytes(b"RIFF\x04\0\0\0WAVE")
        with pytest.raises(ValueError, match="fmt"):
            wav.read(path)
