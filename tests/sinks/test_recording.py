"""The recording against a dense array: whatever the order of the blocks, the file is the timeline."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.sinks.recording import AGED_NS, FLUSH_SAMPLES, LAG_SAMPLES, RecordingSink
from media.sinks.wav import Encoding
from strep.clock import NS_PER_MS, ManualClock
from strep.g711 import Codec, decode, transcode_table
from tests.sinks.histories import CALLS, FORMATS, HORIZON, Format, steps
from tests.sinks.rows import Row, batch_of, call_info, call_report, spoken
from tests.sinks.waves import play


class Oracle:
    """What the files must hold, in arrays as long as the horizon."""

    def __init__(self, format: Format) -> None:
        self.passthrough = format == "passthrough"
        self.tapes: dict[int, NDArray[np.int16]] = {}
        self.laws: dict[int, Codec] = {}
        self.lengths: dict[int, int] = {}

    def take(self, row: Row) -> None:
        law = self.laws.setdefault(row.call, row.codec)
        silence = int(decode(np.array([law.silence], np.uint8), law)[0]) if self.passthrough else 0
        tape = self.tapes.setdefault(row.call, np.full((HORIZON + 1000, 2), silence, np.int16))
        codes, codec = row.encoded[row.first : row.end], row.codec
        if self.passthrough and codec != law:
            codes, codec = transcode_table(codec, law)[codes], law
        start = row.position + row.first
        codes = codes[max(-start, 0) :]
        if len(codes):
            start = max(start, 0)
            tape[start : start + len(codes), row.channel] = decode(codes, codec)
            self.lengths[row.call] = max(self.lengths.get(row.call, 0), start + len(codes))

    def tape(self, call: int, report_length: int) -> NDArray[np.int16]:
        length = max(self.lengths.get(call, 0), report_length)
        return self.tapes.get(call, np.zeros((HORIZON + 1000, 2), np.int16))[:length]


class TestAgainstAnArray:
    @pytest.mark.parametrize("format", FORMATS)
    @given(batches=steps(), width=st.sampled_from([1, 160, 800, 8000]), extra=st.integers(-500, 500))
    def test_any_sequence(self, format: Format, batches: list[Any], width: int, extra: int) -> None:
        oracle, ends, seed = Oracle(format), dict.fromkeys(np.ndindex(CALLS, 2), 0), 0
        clock = ManualClock()
        with tempfile.TemporaryDirectory() as directory:
            sink = RecordingSink(Path(directory), format, clock)
            for call in range(CALLS):
                sink.call_started(call_info(call))
            for pause_ms, late, drawn in batches:
                rows = []
                for call, channel, delta, before, behind, codec in drawn:
                    position = min(ends[call, channel] + delta, HORIZON - width)
                    first = min(before, width)
                    seed += 1
                    row = Row(call, channel, position, width, first, max(width - behind, first), codec, seed)
                    oracle.take(row)
                    ends[call, channel] = max(position + row.end, 0)
                    rows.append(row)
                now_ns = clock.advance(pause_ms * NS_PER_MS)
                sink.receive(batch_of(*rows, now_ns=now_ns, late=late) if rows else PcmBatch.tick(now_ns))
            for call in range(CALLS):
                length = max(max(ends[call, 0], ends[call, 1]) + extra, 0)
                sink.call_ended(call_info(call), call_report(length))
                played = play(Path(directory) / f"call-{call}.wav")
                expected = oracle.tape(call, length)
                assert played.shape == expected.shape
                assert (played == expected).all()
            sink.close()
        assert sink.snapshot().failed == 0

    @pytest.mark.parametrize("format", FORMATS)
    def test_many_calls_in_step(self, tmp_path: Path, format: Format) -> None:
        oracle, sink = Oracle(format), RecordingSink(tmp_path, format, ManualClock())
        calls = range(40)  # more than the stage begins with
        for call in calls:
            sink.call_started(call_info(call))
            rows = [
                Row(i, channel, 800 * (call - i), codec=Codec(8 * (i % 2)))
                for i in range(call + 1)
                for channel in (0, 1)
            ]
            sink.receive(batch_of(*rows, now_ns=call * 100 * NS_PER_MS))
            for row in rows:
                oracle.take(row)
        assert sink.snapshot().single_rows == 0, "the fast path is the path of the common case"
        for call in calls:
            sink.call_ended(call_info(call), call_report(0))
            assert (play(tmp_path / f"call-{call}.wav") == oracle.tape(call, 0)).all()


class TestGrowing:
    def feed(self, sink: RecordingSink, block: int, channels: tuple[int, ...] = (0, 1)) -> None:
        rows = [Row(0, channel, 800 * block) for channel in channels]
        sink.receive(batch_of(*rows, now_ns=block * 100 * NS_PER_MS))

    @pytest.mark.parametrize("channels", [(0,), (1,), (0, 1)])
    def test_the_file_and_its_header_are_half_a_second_behind_at_most(
        self, tmp_path: Path, channels: tuple[int, ...]
    ) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info())
        path = tmp_path / "call-0.wav"
        for block in range(100):
            self.feed(sink, block, channels)
            size = path.stat().st_size
            written = (size - Encoding.PCM16.data_offset) // 4
            assert not written or size % 16_384 == 0, "which costs the kernel least"
            assert 800 * (block + 1) - written < FLUSH_SAMPLES
            assert len(play(path)) == max(written, 0)
        assert sink.snapshot().single_rows == 0
        assert sink.snapshot().patched_samples == 0

    def test_a_tick_writes_what_is_old(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info())
        self.feed(sink, 0)
        sink.receive(PcmBatch.tick(AGED_NS - 1))
        assert len(play(tmp_path / "call-0.wav")) == 0
        sink.receive(PcmBatch.tick(AGED_NS))
        assert len(play(tmp_path / "call-0.wav")) == 800

    def test_other_calls_keep_the_clock_going(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info(0))
        sink.call_started(call_info(1))
        self.feed(sink, 0)
        for block in range(16):
            sink.receive(batch_of(Row(1, 0, 800 * block), now_ns=block * 100 * NS_PER_MS))
        assert len(play(tmp_path / "call-0.wav")) == 800

    def test_a_lagging_channel_is_waited_for_a_block_and_more(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info())
        self.feed(sink, 0)
        path, first = tmp_path / "call-0.wav", FLUSH_SAMPLES - Encoding.PCM16.data_offset // 4
        for block in range(1, 16):
            size = path.stat().st_size
            is_due = 800 * block >= first + LAG_SAMPLES
            assert (size > Encoding.PCM16.data_offset) == is_due, "not before, and then at once"
            self.feed(sink, block, (1,))
        written = (path.stat().st_size - Encoding.PCM16.data_offset) // 4
        assert 12_800 - written < FLUSH_SAMPLES, "who brings nothing more is not waited for again"
        for block in range(1, 16):
            self.feed(sink, block, (0,))
        assert sink.snapshot().patched_samples == written - 800
        sink.call_ended(call_info(), call_report(12_800))
        expected = [spoken(channel, 16) for channel in (0, 1)]
        assert np.array_equal(play(tmp_path / "call-0.wav").T, expected)

    def test_hours_of_nothing_take_no_memory_and_no_disk(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info())
        before = sink.snapshot().stage_bytes
        far = 8000 * 3600 * 5
        sink.receive(batch_of(Row(0, 0, 0), Row(0, 1, far)))
        sink.receive(batch_of(Row(0, 0, far), Row(0, 1, far + 800)))
        sink.call_ended(call_info(), call_report(0))
        path = tmp_path / "call-0.wav"
        assert soundfile.info(path).frames == far + 1600
        assert path.stat().st_blocks * 512 < 1 << 20
        assert sink.snapshot().stage_bytes == before


class TestCalls:
    def test_no_media(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info())
        assert len(play(tmp_path / "call-0.wav")) == 0
        sink.call_ended(call_info(), call_report(0, note="no_media"))
        assert len(play(tmp_path / "call-0.wav")) == 0
        document = json.loads((tmp_path / "call-0.json").read_bytes())
        assert (document["state"], document["note"], document["length_samples"]) == ("complete", "no_media", 0)

    @pytest.mark.parametrize("format", FORMATS)
    def test_one_side_is_padded(self, tmp_path: Path, format: Format) -> None:
        sink = RecordingSink(tmp_path, format, ManualClock())
        sink.call_started(call_info())
        sink.receive(batch_of(Row(0, 1, 0)))
        sink.call_ended(call_info(), call_report(1000))
        left, right = play(tmp_path / "call-0.wav").T
        assert len(left) == 1000
        assert not left.any()
        assert (right[:800] == decode(Row(0, 1, 0).encoded, Codec.PCMU)).all()
        assert not right[800:].any()

    def test_an_index_is_used_again(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        for number in range(50):
            sink.call_started(call_info(5, f"n{number}"))
            sink.receive(batch_of(Row(5, 0, 0, seed=number)))
            sink.call_ended(call_info(5, f"n{number}"), call_report(800))
            played = play(tmp_path / f"n{number}.wav")
            assert (played[:, 0] == decode(Row(5, 0, 0, seed=number).encoded, Codec.PCMU)).all()
        snapshot = sink.snapshot()
        assert (snapshot.started, snapshot.ended, snapshot.live) == (50, 50, 0)
        assert snapshot.stage_bytes == RecordingSink(tmp_path).snapshot().stage_bytes

    def test_rows_of_unknown_calls_are_ignored(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, "passthrough", ManualClock())
        sink.receive(batch_of(Row(0, 0, 0), Row(7000, 0, 0, codec=Codec.PCMA)))
        sink.call_started(call_info(1))
        sink.receive(batch_of(Row(0, 0, 0), Row(1, 0, 0), Row(7000, 0, 0, first=3)))
        sink.call_ended(call_info(0), call_report(0))
        sink.call_ended(call_info(1), call_report(0))
        assert len(play(tmp_path / "call-1.wav")) == 800

    def test_calls_that_nobody_ended(self, tmp_path: Path) -> None:
        sink = RecordingSink(tmp_path, clock=ManualClock())
        sink.call_started(call_info(0, "a"))
        sink.receive(batch_of(Row(0, 0, 0)))
        sink.call_started(call_info(0, "b"))
        sink.receive(batch_of(Row(0, 0, 0)))
        sink.close()
        for name in ("a", "b"):
            assert len(play(tmp_path / f"{name}.wav")) == 800
            assert json.loads((tmp_path / f"{name}.json").read_bytes())["state"] == "failed"

    def test_the_same_name_twice(self, tmp_path: Path) -> None:
        for length in (800, 1600):
            sink = RecordingSink(tmp_path, clock=ManualClock())
            sink.call_started(call_info())
            sink.call_ended(call_info(), call_report(length))
        found = {path.name: json.loads(path.read_bytes()) for path in tmp_path.glob("*.json")}
        assert {name: (doc["file"], doc["length_samples"]) for name, doc in found.items()} == {
            "call-0.json": ("call-0.wav", 800),
            "call-0.2.json": ("call-0.2.wav", 1600),
        }
