"""Sealed recordings and takes that a dead process left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.events.recordings import RecordingSaved
from media.sealing.opening import Opened
from media.sinks.finisher import Finisher
from media.sinks.recorded_call import RecordedCall, Trouble
from media.sinks.salvage import Salvage
from media.sinks.takes.options import TakeOptions
from media.sinks.takes.running import Order
from media.sinks.takes.sink import TakesSink
from media.sinks.wav import Encoding
from media.talk.recording import Recorder
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.errors import UsageError
from tests.media.harness import Bench, sidecar
from tests.sealing.people import ALICE, FOR_ALICE, heard, in_clear
from tests.sealing.sealed_process import SealedProcess
from tests.sinks.histories import FORMATS, Format
from tests.sinks.process import Process, seen
from tests.sinks.rows import Row, batch_of, call_info
from tests.sinks.sidecars import check


class TestAfterACrash:
    @pytest.mark.parametrize("format", FORMATS)
    def test_the_next_process_goes_on_with_the_same_file(
        self, tmp_path: Path, clock: ManualClock, format: Format
    ) -> None:
        first = SealedProcess(tmp_path, clock, format)
        first.record(10)
        first.die()
        clock.advance(2 * NS_PER_SECOND)
        second = SealedProcess(tmp_path, clock, format, seed=1)
        second.record(5)
        second.end()
        assert seen(tmp_path) == ["leg.json", "leg.wav.sealed"]
        document = check(tmp_path / "leg.json")
        [restart] = document["restarts"]
        assert restart == {"start_samples": 8000, "length_samples": 16_000}
        played = heard(tmp_path / "leg.wav.sealed")
        assert np.array_equal(played[:8000], first.samples())
        assert np.array_equal(played[24_000:], second.samples())
        assert not played[8000:24_000].any()
        with Opened(tmp_path / "leg.wav.sealed", [ALICE]) as opened:
            assert (opened.is_complete, opened.segments) == (True, 2)

    @pytest.mark.parametrize(("before", "after"), [(Process, SealedProcess), (SealedProcess, Process)])
    def test_clear_and_sealed_are_never_mixed(
        self, tmp_path: Path, clock: ManualClock, before: type[Process], after: type[Process]
    ) -> None:
        first = before(tmp_path, clock)
        first.record(5)
        first.die()
        second = after(tmp_path, clock, seed=1)
        second.record(5)
        second.end()
        names = {Process: ".wav", SealedProcess: ".wav.sealed"}
        assert (tmp_path / f"leg{names[before]}").exists()
        assert (tmp_path / f"leg.2{names[after]}").exists()
        assert check(tmp_path / "leg.json")["state"] == "recording"

    def test_salvage_finishes_it_without_a_key(self, tmp_path: Path, clock: ManualClock) -> None:
        process = SealedProcess(tmp_path, clock)
        process.record(10)
        process.die()
        with (tmp_path / "leg.wav.sealed").open("ab") as file:
            file.write(b"\1\0")
        for recipients, finished in (((), 0), (FOR_ALICE, 1)):
            salvage = Salvage(tmp_path, 0, recipients=recipients)
            salvage.start()
            salvage.join()
            assert salvage.finished == finished
        document = check(tmp_path / "leg.json")
        assert (document["state"], document["length_samples"], document["format"]) == ("failed", 8000, "pcm16")
        with Opened(tmp_path / "leg.wav.sealed", [ALICE]) as opened:
            assert (opened.is_complete, opened.length_samples) == (False, 8000), "its end is missing, and it says so"
        assert np.array_equal(heard(tmp_path / "leg.wav.sealed"), process.samples())

    @pytest.mark.parametrize("is_edited", [False, True])
    def test_what_was_to_be_omitted_is_by_the_next_process(
        self, tmp_path: Path, clock: ManualClock, is_edited: bool
    ) -> None:
        """It dies when the recording is closed, before or after the file says what is left out."""
        from media.sinks.sealed_edits import edit

        process = SealedProcess(tmp_path, clock)
        process.record(10)
        process.call.pauses.append(_pause(1000, 3000))
        process.sink._finisher = Finisher(lambda call, event: None, recipients=FOR_ALICE)
        recording = process.sink._live[process.call.index]
        process.end()
        assert recording.note is not None
        recording.note.let_go()
        if is_edited:
            edit(tmp_path / "leg.wav.sealed", FOR_ALICE, [(1000, 2000)], None)
        finisher = Finisher(lambda call, event: None, recipients=FOR_ALICE)
        salvage = Salvage(tmp_path, 0, finisher, recipients=FOR_ALICE)
        salvage.start()
        salvage.join()
        assert finisher.step()
        assert finisher.unchanged == 0
        document = sidecar(tmp_path, "leg")
        assert document["length_samples"] == len(heard(tmp_path / "leg.wav.sealed")) == 6000
        assert document["omitted"] == [{"start_samples": 1000, "length_samples": 2000}]
        assert not list(tmp_path.glob(".leg*"))


def _pause(first: int, last: int) -> Any:
    from media.pauses.spans import Pause

    return Pause(first, (first, first), "omit", 0, last, 0)


class TestTakes:
    def order(self, **options: Any) -> Order:
        return Order(call_info(call_id="leg"), TakeOptions(**options), "its-id", 0, 0, 0, print, print)

    @pytest.mark.parametrize("options", [{}, {"track": "outbound"}, {"channels": "single", "beep_in_file": True}])
    def test_are_what_they_would_be(self, tmp_path: Path, options: dict[str, Any]) -> None:
        for name, recipients in (("plain", ()), ("sealed", FOR_ALICE)):
            told: list[Any] = []
            finisher = Finisher(lambda call, event, told=told: told.append(event), recipients=recipients)  # type: ignore[misc]
            takes = TakesSink(tmp_path / name, finisher, ManualClock(), recipients=recipients)
            call = call_info(call_id="leg")
            takes.call_started(call)
            order = Order(call, TakeOptions(max_length_s=1.5, **options), "its-id", 0, 0, 0, lambda _: 0, lambda _: 0)
            takes.order(order)
            for block in range(40):
                rows = [Row(0, channel, 800 * block) for channel in (0, 1)]
                takes.receive(batch_of(*rows, now_ns=block * 100 * NS_PER_MS))
            assert finisher.step()
            [saved] = told
            assert isinstance(saved, RecordingSaved)
            assert saved.format == ("wav.sealed" if recipients else "wav")
        sealed = tmp_path / "sealed" / "leg.take.wav.sealed"
        assert in_clear(sealed) == (tmp_path / "plain" / "leg.take.wav").read_bytes()
        assert check(tmp_path / "sealed" / "leg.take.json")["encrypted_to"] == [str(ALICE.recipient)]

    def test_one_that_was_left_behind_is_made_what_it_was_to_be(self, tmp_path: Path, clock: ManualClock) -> None:
        order = self.order(track="outbound")
        take = RecordedCall(
            order.call, tmp_path, Encoding.PCM16, Trouble(), clock, order.describe(), "its-id", recipients=FOR_ALICE
        )
        noise = np.random.default_rng(1).integers(-9000, 9000, (8000, 2)).astype("<i2")
        take.write(0, noise)
        assert take.wav is not None
        take.wav.let_go()
        finisher = Finisher(lambda call, event: None, recipients=FOR_ALICE)
        salvage = Salvage(tmp_path, 0, finisher, recipients=FOR_ALICE)
        salvage.start()
        salvage.join()
        assert finisher.step()
        assert np.array_equal(heard(tmp_path / "leg.take.wav.sealed"), noise[:, 1:])
        assert check(tmp_path / "leg.take.json")["channels"] == 1

    @pytest.mark.parametrize("options", [{"format": "mp3"}, {"trim_silence": True}])
    def test_what_needs_it_in_clear_is_refused(self, tmp_path: Path, options: dict[str, Any]) -> None:
        bench = Bench(tmp_path)
        takes = TakesSink(tmp_path, Finisher(lambda call, event: None), bench.clock, recipients=FOR_ALICE)
        recorder = Recorder(bench.engine, lambda call, event: None, takes)
        with pytest.raises(UsageError, match="strep unseal"):
            recorder.check(call_info(), TakeOptions(**options))
        assert recorder.check(call_info(), TakeOptions(format="wav")) is takes
