"""Recordings, takes, what is left behind and what is finished: sealed they are what they would be in clear."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.blocks import PcmBatch
from media.carrier.options import SimulationOptions
from media.carrier.plan import make_plan
from media.pauses.pausing import Pausing
from media.sealing.opening import Opened
from media.sinks.finished import FinishedRecording
from media.sinks.finisher import Finisher
from media.sinks.recording import RecordingSink
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.g711 import Codec, decode
from tests.media.harness import BEGINNING_NS, Bench, Directly, sidecar
from tests.sealing.omitting import finisher_of
from tests.sealing.people import ALICE, FOR_ALICE, about, heard, in_clear
from tests.sealing.sealed_process import SealedProcess
from tests.sinks.histories import CALLS, FORMATS, HORIZON, Format, steps
from tests.sinks.process import Process
from tests.sinks.rows import Row, batch_of, call_info, call_report
from tests.sinks.sidecars import check


def everything_in(directory: Path) -> bytes:
    """Return what is on the disk, all of it."""
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


class TestAgainstThePlainSink:
    @pytest.mark.parametrize("format", FORMATS)
    @settings(max_examples=20, deadline=None)
    @given(batches=steps(), width=st.sampled_from([1, 160, 800, 8000]), extra=st.integers(-500, 500))
    def test_any_sequence(self, format: Format, batches: list[Any], width: int, extra: int) -> None:
        ends, seed, clock = dict.fromkeys(np.ndindex(CALLS, 2), 0), 0, ManualClock()
        with tempfile.TemporaryDirectory() as directory:
            folders = [Path(directory) / name for name in ("plain", "sealed")]
            sinks = [RecordingSink(folders[0], format, clock), None]
            sinks[1] = RecordingSink(folders[1], format, clock, recipients=FOR_ALICE)
            for call in range(CALLS):
                for sink in filter(None, sinks):
                    sink.call_started(call_info(call))
            for pause_ms, late, drawn in batches:
                rows = []
                for call, channel, delta, before, behind, codec in drawn:
                    position = min(ends[call, channel] + delta, HORIZON - width)
                    first, seed = min(before, width), seed + 1
                    rows.append(Row(call, channel, position, width, first, max(width - behind, first), codec, seed))
                    ends[call, channel] = max(position + rows[-1].end, 0)
                now_ns = clock.advance(pause_ms * NS_PER_MS)
                batch = batch_of(*rows, now_ns=now_ns, late=late) if rows else PcmBatch.tick(now_ns)
                for sink in filter(None, sinks):
                    sink.receive(batch)
            for call in range(CALLS):
                length = max(max(ends[call, 0], ends[call, 1]) + extra, 0)
                for sink in filter(None, sinks):
                    sink.call_ended(call_info(call), call_report(length))
                plain, closed = (folder / f"call-{call}.wav" for folder in folders)
                assert in_clear(closed.with_name(f"{closed.name}.sealed")) == plain.read_bytes()
                lengths = {sidecar(folder, f"call-{call}")["length_samples"] for folder in folders}
                assert len(lengths) == 1


class TestWhileItGoesOn:
    def test_it_can_be_opened_at_every_moment_and_is_half_a_second_behind(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock(), recipients=FOR_ALICE)
        sink.call_started(call_info())
        for block in range(40):
            sink.receive(batch_of(Row(0, 0, 800 * block), Row(0, 1, 800 * block), now_ns=block * 100 * NS_PER_MS))
            behind = 800 * (block + 1) - len(heard(tmp_path / "call-0.wav.sealed"))
            assert 0 <= behind < 4096
        sink.call_ended(call_info(), call_report(0))

    @pytest.mark.parametrize("format", FORMATS)
    def test_nothing_of_what_is_said_is_anywhere_in_clear(self, tmp_path: Path, format: Format) -> None:
        sink = RecordingSink(tmp_path, format, ManualClock(), recipients=FOR_ALICE)
        sink.call_started(call_info())
        said: set[bytes] = set()
        for block in range(30):
            rows = [Row(0, channel, 800 * block) for channel in (0, 1)]
            codes = np.stack([row.encoded for row in rows], axis=1)
            frames = codes if format == "passthrough" else decode(codes, Codec.PCMU)
            said |= {frames[first : first + 4].tobytes() for first in range(0, 800, 200)}
            said |= {row.encoded[first : first + 12].tobytes() for row in rows for first in range(0, 780, 195)}
            sink.receive(batch_of(*rows, now_ns=block * 100 * NS_PER_MS))
            on_disk = everything_in(tmp_path)
            assert not any(piece in on_disk for piece in said)
        sink.call_ended(call_info(), call_report(0))
        assert not any(piece in everything_in(tmp_path) for piece in said)
        assert any(piece in in_clear(tmp_path / "call-0.wav.sealed") for piece in said), "it is looked for rightly"

    def test_keys_are_in_the_sealed_file_and_not_in_the_sidecar(self, tmp_path: Path, clock: ManualClock) -> None:
        process = SealedProcess(tmp_path, clock)
        process.record(10)
        process.end()
        document = check(tmp_path / "leg.json")
        assert document["encrypted_to"] == [str(ALICE.recipient)]
        assert document["file"] == "leg.wav.sealed"
        assert [event.get("digit") for event in document["events"]] == ["?", None]
        [sealed] = about(tmp_path / "leg.wav.sealed")
        assert [event.get("digit") for event in sealed["events"]] == ["5", None]
        assert (sealed["call_id"], sealed["recording_id"]) == ("leg", document["recording_id"])


class TestPauses:
    def test_nothing_that_is_said_in_a_pause_is_in_any_record(self, tmp_path: Path) -> None:
        """Of a call through the engine, also not in what is superseded."""
        plan = make_plan(SimulationOptions(calls=2, seconds=3, audio=None))
        bench = Bench(tmp_path)
        sink = RecordingSink(tmp_path, "passthrough", bench.clock, recipients=FOR_ALICE)
        bench.engine._outlets[:] = [Directly(sink)]
        pausing = Pausing(bench.engine, lambda call, event: None)
        due = [BEGINNING_NS + seconds * NS_PER_SECOND for seconds in (1, 2)]
        pauses = []
        for now_ns, start, stop in plan.batches(5 * NS_PER_MS):
            bench.clock.monotonic_ns = BEGINNING_NS + now_ns
            if due and due[0] <= bench.clock.now_ns():
                for call in bench.engine.calls.values():
                    if len(due) == 2:
                        pauses.append((call.info.call_id, pausing.pause(call.info)))
                    else:
                        pausing.resume(call.info)
                del due[0]
            bench._feed(plan, start, stop)
            bench.engine.poll(bench.clock.now_ns())
        bench.engine.end_all("shutdown")
        assert len(pauses) == 2
        sent = {(t.call_leg_id, t.direction): number for number, t in enumerate(plan.truth().tracks)}
        for call_id, pause in pauses:
            with Opened(tmp_path / f"{call_id}.wav.sealed", [ALICE]) as opened:
                content = [np.frombuffer(opened._content(record), np.uint8) for record in opened._records]
            kept = b"|".join(part.tobytes() for record in content for part in (record, record[::2], record[1::2]))
            for direction in ("inbound", "outbound"):
                said = plan.expected_encoded(sent[call_id, direction])
                tracks = sidecar(tmp_path, call_id)["tracks"]
                start = next(track["start_samples"] for track in tracks if track["direction"] == direction)
                found = {True: 0, False: 0}
                for first in range(0, len(said) - 40, 40):
                    is_there = said[first : first + 40].tobytes() in kept
                    if pause.start_samples <= start + first and start + first + 40 <= pause.end_samples:
                        assert not is_there
                    else:
                        found[is_there] += 1
                assert found[True] > 9 * found[False], "it is looked for rightly; not across records"

    @pytest.mark.parametrize("single", [None, "both", "inbound"])
    def test_what_is_omitted_is_not_in_what_is_opened(self, tmp_path: Path, clock: ManualClock, single: Any) -> None:
        """Also if the process that was to see to it died."""
        for is_sealed in (False, True):
            directory = tmp_path / str(is_sealed)
            process = (SealedProcess if is_sealed else Process)(directory, clock)
            done: list[FinishedRecording] = []
            finisher = Finisher(lambda call, event: None, done.append, recipients=FOR_ALICE if is_sealed else ())
            process.sink._finisher = finisher
            process.record(20)
            finisher_of(process, finisher, single)
            assert finisher.step()
        plain, sealed = tmp_path / "False" / "leg.wav", tmp_path / "True" / "leg.wav.sealed"
        assert in_clear(sealed) == plain.read_bytes()
        documents = [sidecar(tmp_path / name, "leg") for name in ("False", "True")]
        for field in ("length_samples", "channels", "omitted"):
            assert documents[0][field] == documents[1][field]


def test_a_full_disk_ends_the_recording_and_its_sidecar_says_so(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    process = SealedProcess(tmp_path, clock)
    process.record(10)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", full)
        process.record(10)
    process.end()
    document = json.loads((tmp_path / "leg.json").read_bytes())
    assert (document["state"], document["length_samples"]) == ("failed", 8000)
    assert "No space" in document["error"]
    with Opened(tmp_path / "leg.wav.sealed", [ALICE]) as opened:
        assert (opened.is_complete, opened.length_samples) == (False, 8000)
