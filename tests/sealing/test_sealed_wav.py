"""A sealed file against the plain one: the same history, the same samples; and nothing can be altered unseen."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sealing.age import NoKeyFits
from media.sealing.damage import REPLACED, Damage
from media.sealing.opening import Opened
from media.sealing.records import Kind, Record
from media.sealing.scanning import reader_of, scan
from media.sinks.audio_files import create, reopen, sidecar_of, stem_of
from media.sinks.sealed import SealedWav
from media.sinks.sealed_edits import edit, edited_length
from media.sinks.wav import Encoding, WavFile
from tests.sealing.people import ALICE, BOB, EVE, FOR_ALICE, about, heard, in_clear
from tests.sealing.sealed_files import RATE_HZ, everything, kinds, sealed
from tests.sinks.waves import ENCODINGS, as_pcm, noise, play


def steps() -> st.SearchStrategy[list[tuple[str, int, int]]]:
    """Verb, position or channel with it, count."""
    verb = st.sampled_from(["write", "write", "inbound", "outbound", "silence", "extend", "die"])
    return st.lists(st.tuples(verb, st.integers(0, 40_000), st.integers(0, 20_000)), max_size=12)


class TestAgainstThePlainFile:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    @given(steps=steps(), cut=st.none() | st.integers(0, 60_000))
    def test_any_history(self, encoding: Encoding, steps: list[tuple[str, int, int]], cut: int | None) -> None:
        """A process that dies leaves a file that another one goes on with."""
        with tempfile.TemporaryDirectory() as directory:
            plain: Any = create(Path(directory), "plain", encoding, RATE_HZ)
            closed: Any = sealed(Path(directory), encoding)
            for verb, position, count in steps:
                if verb == "die":
                    closed.let_go()
                    closed = reopen(closed.path, FOR_ALICE)
                    continue
                for file in (plain, closed):
                    if verb == "extend":
                        file.extend(position)
                    elif verb == "write":
                        file.write(position, noise(encoding, count, position))
                    elif verb == "silence":
                        file.patch(position % 2, position, np.full(count, encoding.silence, encoding.dtype))
                    else:
                        samples = noise(encoding, count, position)[:, 0]
                        file.patch(int(verb == "outbound"), position, samples)
                assert closed.length_samples == plain.length_samples
            for file in (plain, closed):
                if cut is not None:
                    file.cut(cut)
                file.close()
            assert in_clear(closed.path) == plain.path.read_bytes()

    def test_what_is_cut_off_stays_off(self, tmp_path: Path) -> None:
        file = sealed(tmp_path)
        file.write(0, noise(Encoding.PCM16, 1000))
        file.cut(600)
        file.extend(900)
        file.close()
        expected = noise(Encoding.PCM16, 1000)[:900].copy()
        expected[600:] = 0
        assert (heard(file.path) == expected).all()

    def test_reads_what_this_process_has_written(self, tmp_path: Path) -> None:
        file = sealed(tmp_path)
        file.write(0, noise(Encoding.PCM16, 1000))
        file.patch(1, 900, noise(Encoding.PCM16, 200)[:, 0])
        frames = file.read(800, 400)
        file.close()
        assert (frames[:300] == heard(file.path)[800:]).all()
        assert not frames[300:].any()
        assert frames.flags.writeable

    def test_a_record_is_a_second_at_most(self, tmp_path: Path) -> None:
        file = sealed(tmp_path)
        file.write(0, noise(Encoding.PCM16, 5 * RATE_HZ + 1))
        file.close()
        assert kinds(file.path) == [Kind.AUDIO] * 6 + [Kind.END]

    def test_hours_of_nothing_take_no_room(self, tmp_path: Path) -> None:
        file = sealed(tmp_path)
        file.write(3600 * RATE_HZ, noise(Encoding.PCM16, 10))
        file.close()
        assert file.path.stat().st_size < 2000
        assert len(heard(file.path)) == 3600 * RATE_HZ + 10

    def test_the_law_is_known_with_the_first_packet(self, tmp_path: Path) -> None:
        file = sealed(tmp_path, Encoding.PCMU)
        file.set_encoding(Encoding.PCMA)
        file.write(5, noise(Encoding.PCMA, 10))
        file.close()
        expected = np.full((15, 2), Encoding.PCMA.silence, np.uint8)
        expected[5:] = noise(Encoding.PCMA, 10)
        assert (heard(file.path) == as_pcm(Encoding.PCMA, expected)).all()


class TestFiles:
    def test_only_its_owner_may_read_it_and_names_are_taken_once(self, tmp_path: Path) -> None:
        first, second = sealed(tmp_path / "new"), sealed(tmp_path / "new")
        assert [file.path.name for file in (first, second)] == ["a.wav.sealed", "a.2.wav.sealed"]
        assert stat.S_IMODE(first.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(first.path.parent.stat().st_mode) == 0o700
        assert (stem_of(second.path), sidecar_of(second.path).name) == ("a.2", "a.2.json")
        assert reopen(first.path) is None, "somebody writes it"
        for file in (first, second):
            file.close()

    def test_a_sidecar_takes_the_name_whatever_the_recording_is(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").touch()
        file = sealed(tmp_path)
        file.let_go()
        assert file.path.name == "a.2.wav.sealed"

    def test_nobody_goes_on_without_knowing_for_whom(self, tmp_path: Path) -> None:
        file = sealed(tmp_path)
        file.let_go()
        again = reopen(file.path)
        assert again is not None
        with pytest.raises(ValueError, match="encrypt_to"):
            again.write(0, noise(Encoding.PCM16, 1))
        again.let_go()


class TestWhoCanOpen:
    def test_each_recipient_and_nobody_else(self, tmp_path: Path) -> None:
        file = create(tmp_path, "a", Encoding.PCM16, RATE_HZ, (ALICE.recipient, BOB.recipient))
        file.write(0, noise(Encoding.PCM16, 100))
        file.close()
        assert in_clear(file.path, ALICE) == in_clear(file.path, BOB)
        with pytest.raises(NoKeyFits):
            in_clear(file.path, EVE)

    def test_nothing_of_the_audio_is_in_it(self, tmp_path: Path) -> None:
        file, frames = sealed(tmp_path), noise(Encoding.PCM16, 2000)
        file.write(0, frames)
        file.patch(0, 100, frames[:500, 1])
        file.close()
        content = file.path.read_bytes()
        raw = frames.tobytes()
        assert not any(raw[place : place + 8] in content for place in range(0, len(raw), 8))

    def test_keys_and_nonces_are_never_used_twice(self, tmp_path: Path) -> None:
        """The same samples twice, and by another process at the same place, look different each time."""
        contents, envelopes = set(), set()
        for _ in range(2):
            file = sealed(tmp_path)
            for _ in range(3):
                file.write(0, np.zeros((100, 2), "<i2"))
            file.let_go()
            file = SealedWav.reopen(file.path, FOR_ALICE)  # type: ignore[assignment]
            file.write(0, np.zeros((100, 2), "<i2"))
            file.close()
            with file.path.open("rb") as there:
                read = reader_of(there.fileno())
                for one in scan(read, file.path.stat().st_size):
                    if isinstance(one, Record):
                        contents.add(read(one.sealed_bytes, one.content_offset))
                    else:
                        envelopes.add(one.envelope)
        assert len(contents) == 2 * 5
        assert len(envelopes) == 2 * 2


class TestTakenOut:
    """What must not be there is not there for who reads records that are superseded either."""

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_what_is_overwritten_with_silence(self, tmp_path: Path, encoding: Encoding) -> None:
        file, frames = sealed(tmp_path, encoding), noise(encoding, 3000)
        for first in range(0, 3000, 500):
            file.write(first, frames[first : first + 500])
        file.patch(0, 2900, frames[100:140, 1])
        file.blank(0, 1200, np.full(1100, encoding.silence, encoding.dtype))
        file.close()
        expected = frames.copy()
        expected[2900:2940, 0] = frames[100:140, 1]
        expected[1200:2300, 0] = encoding.silence
        assert (heard(file.path) == as_pcm(encoding, expected)).all()
        content = everything(file.path)
        for first in range(0, 3000, 100):
            assert (frames[first : first + 100].tobytes() in content) == (not 1200 <= first < 2300)
        with file.path.open("rb") as there:
            found = [one for one in scan(reader_of(there.fileno()), 1 << 20) if isinstance(one, Record)]
            assert [one.number for one in found] == [0, 1, *range(7, 13)], "no number is used twice"

    def test_what_is_cut_off(self, tmp_path: Path) -> None:
        file, frames = sealed(tmp_path), noise(Encoding.PCM16, 3000)
        for first in range(0, 3000, 1000):
            file.write(first, frames[first : first + 1000])
        file.patch(1, 2500, frames[:100, 0])
        file.cut(1500)
        file.close()
        assert (heard(file.path) == frames[:1500]).all()
        assert frames[1500:1501].tobytes() not in everything(file.path)
        assert frames[2000:2010].tobytes() not in everything(file.path)

    def test_who_goes_on_supersedes_what_others_wrote(self, tmp_path: Path) -> None:
        file, frames = sealed(tmp_path), noise(Encoding.PCM16, 1000)
        file.write(0, frames)
        file.let_go()
        again: Any = reopen(file.path, FOR_ALICE)
        again.blank(0, 500, np.zeros(600, "<i2"))
        again.close()
        expected = np.concatenate([frames, np.zeros((100, 2), "<i2")])
        expected[500:, 0] = 0
        assert (heard(file.path) == expected).all()

    def test_silence_that_is_late_costs_one_record(self, tmp_path: Path) -> None:
        """Nothing is read or written anew for it: it is what comes late that is silent, and no pause."""
        file = sealed(tmp_path)
        for first in range(0, 3000, 500):
            file.write(first, noise(Encoding.PCM16, 500))
        before = file.path.read_bytes()
        file.patch(0, 1200, np.zeros(160, "<i2"))
        assert file.path.read_bytes()[: len(before)] == before
        file.close()
        assert kinds(file.path) == [Kind.AUDIO] * 7 + [Kind.END]
        assert not heard(file.path)[1200:1360, 0].any()

    def test_of_two_silences_neither_is_taken_out_for_the_other(self, tmp_path: Path) -> None:
        """A-law's is 8 when it is decoded, a hole is 0: a pause in a hold must not seal the hold anew."""
        file = sealed(tmp_path)
        file.write(0, noise(Encoding.PCM16, 500))
        file.write(500, np.zeros((3000, 2), "<i2"))
        before = file.path.read_bytes()
        file.blank(1, 600, np.full(800, 8, "<i2"))
        assert file.path.read_bytes() == before
        file.close()
        assert not heard(file.path)[500:].any()

    def test_what_is_out_already_is_not_taken_out_again(self, tmp_path: Path) -> None:
        file, nothing = sealed(tmp_path), np.zeros(160, "<i2")
        file.write(0, noise(Encoding.PCM16, 1000))
        file.blank(0, 200, nothing)
        before = file.path.read_bytes()
        file.blank(0, 200, nothing)
        assert file.path.read_bytes() == before
        file.close()

    def test_what_was_taken_out_cannot_be_put_back(self, tmp_path: Path) -> None:
        """Records that are sealed anew are where those before were, as long, with the same key."""
        file = sealed(tmp_path)
        for first in (0, 1000):
            file.write(first, noise(Encoding.PCM16, 1000, first))
        before = file.path.read_bytes()
        file.blank(0, 1200, np.zeros(300, "<i2"))
        file.close()
        after = file.path.read_bytes()
        with file.path.open("rb") as there:
            found = list(scan(reader_of(there.fileno()), len(after)))
        concerned = found[2]
        file.path.write_bytes(after[: concerned.offset] + before[concerned.offset :] + after[concerned.end :])
        with Opened(file.path, [ALICE]) as opened:
            segment, end = found[0], found[-1]
            assert opened.damage == [Damage(segment.offset, end.offset - segment.offset, REPLACED)]
            assert not opened.is_complete


class TestEdits:
    @given(
        spans=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=4),
        single=st.sampled_from([None, "both", "inbound", "outbound"]),
    )
    def test_as_the_plain_file_is_written_anew(self, spans: list[tuple[int, int]], single: Any) -> None:
        from media.sinks.rewriting import rewrite

        omit, position = [], 0
        for gap, count in spans:
            omit.append((position + gap, count))
            position += gap + count
        with tempfile.TemporaryDirectory() as directory:
            plain, closed = WavFile.create(Path(directory), "b", Encoding.PCM16, RATE_HZ), sealed(Path(directory))
            for file in (plain, closed):
                file.write(0, noise(Encoding.PCM16, 1000))
                file.close()
            length = rewrite(plain.path, omit=omit, single=single)
            assert edited_length(closed.path) is None
            assert edit(closed.path, FOR_ALICE, omit, single) == length == edited_length(closed.path)
            assert in_clear(closed.path) == plain.path.read_bytes()

    def test_only_pcm_is_mixed(self, tmp_path: Path) -> None:
        file = sealed(tmp_path, Encoding.PCMU)
        file.write(0, noise(Encoding.PCMU, 10))
        file.close()
        before = file.path.read_bytes()
        with pytest.raises(ValueError, match="only PCM"):
            edit(file.path, FOR_ALICE, [], "both")
        assert file.path.read_bytes() == before

    def test_what_is_known_of_the_call(self, small: Path) -> None:
        assert about(small) == [{"digits": "1"}]

    def test_keys_come_before_other_events(self, tmp_path: Path) -> None:
        file, key = sealed(tmp_path), {"digit": "5", "position_samples": 1}
        file.describe({"call_id": "a", "events": [{"text": "x" * 3_000_000}, key]})
        file.describe({"call_id": "a", "events": [key | {"text": "x" * 900_000}] * 5})
        file.close()
        few, [*some] = about(file.path)[0]["events"], about(file.path)[1]["events"]
        assert few == [key]
        assert len(some) == 2

    def test_what_cannot_be_said_costs_no_audio(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        file = sealed(tmp_path)
        file.write(0, noise(Encoding.PCM16, 10))
        file.describe({"call_id": "\ud800"})
        file.close()
        assert "does not say whose it is" in caplog.text
        assert (heard(file.path) == noise(Encoding.PCM16, 10)).all()


def test_play_agrees(tmp_path: Path) -> None:
    """What is unsealed is what any player takes."""
    file = sealed(tmp_path)
    file.write(0, noise(Encoding.PCM16, 1000))
    file.close()
    (tmp_path / "a.wav").write_bytes(in_clear(file.path))
    assert (play(tmp_path / "a.wav") == noise(Encoding.PCM16, 1000)).all()
