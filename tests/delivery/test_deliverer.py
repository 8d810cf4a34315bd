"""From the job file to the end: what is made, sent, kept and removed, whatever fails or dies on the way."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.delivery.contents import sha256_of
from media.delivery.jobs import FOLDER
from media.sinks.finished import FileFormat
from media.sinks.wav import Encoding
from tests.delivery.recordings import finished, read_json, speech
from tests.delivery.worlds import delivering, left_over, names
from tests.sinks.sidecars import check


class TestInTheDirectory:
    def test_formats_take_the_place_of_the_wav(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("flac", "mp3"))
        recording = finished(tmp_path)
        wanted, _ = soundfile.read(recording.path, dtype="int16")
        world.hand_over(recording)
        world.run()
        assert names(tmp_path) == {"call-1.flac", "call-1.mp3", "call-1.json"}
        np.testing.assert_array_equal(soundfile.read(tmp_path / "call-1.flac", dtype="int16")[0], wanted)
        document = check(tmp_path / "call-1.json")
        assert (document["file"], document["format"], document["length_samples"]) == ("call-1.flac", "flac", 80_000)
        assert [file["file"] for file in document["files"]] == ["call-1.flac", "call-1.mp3"]
        for file in document["files"]:
            path = tmp_path / file["file"]
            assert (file["size_bytes"], file["sha256"]) == (path.stat().st_size, sha256_of(path))
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert file["url"] is None
        [saved] = world.saved
        assert saved.path == str(tmp_path / "call-1.flac")
        assert left_over(tmp_path) == []

    def test_the_wav_stays_where_it_is_wanted(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("wav", "opus"))
        recording = finished(tmp_path, encoding=Encoding.PCMU)
        before = recording.path.read_bytes()
        world.hand_over(recording)
        world.run()
        assert names(tmp_path) == {"call-1.wav", "call-1.opus", "call-1.json"}
        assert recording.path.read_bytes() == before
        assert [file["format"] for file in check(tmp_path / "call-1.json")["files"]] == ["pcmu", "opus"]

    @pytest.mark.parametrize("formats", [("wav",), ("flac",), ("wav", "flac")])
    def test_silence_is_cut_off(self, tmp_path: Path, formats: tuple[FileFormat, ...]) -> None:
        silence = np.zeros((24_000, 2), np.int16)
        pcm = np.concatenate((silence, speech(2.0), silence[:16_000]))
        world = delivering(tmp_path, formats=formats)
        world.hand_over(finished(tmp_path, pcm=pcm, trim_silence=True))
        world.run()
        document = read_json(tmp_path / "call-1.json")
        trimmed = document["trimmed"]
        first, last = trimmed["leading_samples"], len(pcm) - trimmed["trailing_samples"]
        assert abs(first - 23_200) <= 160
        assert document["length_samples"] == last - first
        for format in formats:
            got, _ = soundfile.read(tmp_path / f"call-1.{format}", dtype="int16")
            np.testing.assert_array_equal(got, pcm[first:last])
        [saved] = world.saved
        assert saved.job.kept_samples == last - first

    def test_one_that_was_asked_for_goes_before_the_configured(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("flac",))
        world.hand_over(finished(tmp_path, format="mp3"))
        world.run()
        assert names(tmp_path) == {"call-1.mp3", "call-1.json"}

    def test_an_empty_recording_stays_a_wav(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("mp3",))
        world.hand_over(finished(tmp_path, pcm=np.zeros((0, 2), np.int16), trim_silence=True))
        world.run()
        assert names(tmp_path) == {"call-1.wav", "call-1.json"}
        assert len(world.saved) == 1

    def test_what_is_no_audio_is_left_alone_and_tried_again_at_the_next_start(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("flac",))
        bad, good = finished(tmp_path, "bad"), finished(tmp_path, "good")
        content = bad.path.read_bytes()
        bad.path.write_bytes(b"x" * 1000)
        world.hand_over(bad, good)
        world.run()
        assert names(tmp_path) == {"bad.wav", "bad.json", "good.flac", "good.json"}
        [trouble] = world.troubles
        assert (trouble.job.name, trouble.step, trouble.will_retry) == ("bad", "convert", False)
        assert world.deliverer.status().given_up == 1
        world.process(is_first=False)
        world.run()
        assert len(world.saved) == 1
        bad.path.write_bytes(content)
        world.process()
        world.run()
        assert [saved.job.name for saved in world.saved] == ["good", "bad"]

    def test_a_job_that_cannot_be_read_costs_no_other(self, tmp_path: Path) -> None:
        world = delivering(tmp_path, formats=("flac",))
        world.hand_over(finished(tmp_path))
        (tmp_path / FOLDER / "strange.job").write_text("{}")
        world.run()
        assert len(world.saved) == 1
        assert left_over(tmp_path) == ["strange.job"]
        assert any("strange" in text for text in world.said)
