"""A sealed file of which some is not what was written: the rest is opened; what is missing is silent, and told."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.events.files import EventFile
from media.sealing import damage
from media.sealing.damage import Damage, merged
from media.sealing.opening import Opened
from media.sealing.records import BOTH, RECORD, Damaged, Format, Kind, Record, Segment
from media.sealing.scanning import Lost, reader_of, scan, survey
from media.sinks.audio_files import reopen
from media.sinks.sealed import SealedWav
from media.sinks.sealed_edits import edit
from media.sinks.wav import Encoding
from tests.sealing.people import ALICE, EVE, FOR_ALICE, heard, in_clear
from tests.sealing.sealed_files import sealed
from tests.sealing.test_text import CALL, NAME, lines
from tests.sinks.waves import ENCODINGS, as_pcm, noise

COUNT, EACH = 12, 50


def written(directory: Path, encoding: Encoding = Encoding.PCM16) -> SealedWav:
    """Return an open file of two processes: records of `EACH` samples, none of which is silent."""
    file = sealed(directory, encoding)
    for first in range(0, COUNT * EACH, EACH):
        if first == COUNT * EACH // 2:
            file.let_go()
            file = SealedWav.reopen(file.path, FOR_ALICE)  # type: ignore[assignment]
        file.write(first, loud(encoding)[first : first + EACH])
    return file


def loud(encoding: Encoding = Encoding.PCM16) -> Any:
    frames = noise(encoding, COUNT * EACH)
    return np.where(frames == encoding.silence, encoding.silence ^ 1, frames).astype(encoding.dtype)


def found_in(path: Path) -> list[Any]:
    with path.open("rb") as file:
        return list(scan(reader_of(file.fileno()), path.stat().st_size))


def spoil(path: Path, first: int, last: int, by: bytes | None = None) -> None:
    """Let bytes be others, or `by`."""
    content = bytearray(path.read_bytes())
    content[first:last] = bytes(code ^ 0xFF for code in content[first:last]) if by is None else by
    path.write_bytes(content)


def told(path: Path) -> list[Damage]:
    with Opened(path, [ALICE]) as opened:
        return opened.damage


class TestAnywhere:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    @given(
        spans=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 600), st.booleans()), min_size=1, max_size=4),
        is_closed=st.booleans(),
    )
    def test_what_is_not_concerned_is_heard_and_all_else_is_silent_and_told(
        self, encoding: Encoding, spans: list[tuple[int, int, bool]], is_closed: bool
    ) -> None:
        with tempfile.TemporaryDirectory() as directory:
            file = written(Path(directory), encoding)
            file.close() if is_closed else file.let_go()
            before, path = file.path.read_bytes(), file.path
            found = found_in(path)
            # Not of the first key, without which nothing is opened; of heads the beginning as well: a disk keeps
            # or loses sectors, and what is left of a head then is none.
            for place, count, is_blank in spans:
                first = found[0].end + place % (len(before) - found[0].end)
                last = min(first + count, len(before))
                first = next((one.offset for one in found if 0 < first - one.offset < RECORD.size), first)
                spoil(path, first, last, bytes(last - first) if is_blank else None)
            after = path.read_bytes()
            _, second = (one for one in found if isinstance(one, Segment))
            same = [one for one in found if before[one.offset : one.end] == after[one.offset : one.end]]
            try:
                opened = Opened(path, [ALICE])
            except Damaged:
                assert not any(isinstance(one, Record) and one.segment in same for one in same)
                return
            with opened:
                assert opened.is_complete == (before == after and is_closed)
                samples, damages = as_heard(opened, encoding), opened.damage
            truth, is_told = as_pcm(encoding, loud(encoding)), np.zeros(COUNT * EACH, bool)
            for one in damages:
                is_of_all = one.reason in (damage.NO_KEY, damage.REPLACED) or second not in same
                assert is_of_all or before[one.start_bytes : one.end_bytes] != after[one.start_bytes : one.end_bytes]
                if one.start_samples is not None and one.length_samples is not None:
                    is_told[one.start_samples : one.start_samples + one.length_samples] = True
            is_kept = np.zeros(COUNT * EACH, bool)
            for one in same:
                if isinstance(one, Record) and one.kind is Kind.AUDIO and one.segment in same:
                    is_kept[one.position : one.position + one.count] = True
            length = len(samples)
            assert (is_kept[:length] | is_told[:length]).all()
            assert not is_kept[length:].any()
            expected = np.where(is_kept[:length, None], truth[:length], as_pcm(encoding, silence(encoding, length)))
            assert (samples == expected).all()

    def test_of_every_length(self, tmp_path: Path) -> None:
        """Behind what is lost the next record is found, wherever the one begins and the other ends."""
        file = written(tmp_path)
        file.close()
        content, found = file.path.read_bytes(), found_in(file.path)
        second, fifth = found[2], found[5]
        for first, last in itertools.product(
            range(second.offset, second.offset + RECORD.size + 2),
            range(fifth.offset, fifth.offset + RECORD.size + 2),
        ):
            spoiled = content[:first] + bytes(last - first) + content[last:]
            there = list(survey(lambda count, offset, s=spoiled: s[offset : offset + count], len(spoiled)))
            assert [one for one in there if one in found] == [one for one in found if one in there]
            assert there[:2] == found[:2]
            assert there[-8:] == found[-8:]
            for one, following in itertools.pairwise(there):
                assert one.end == following.offset


def as_heard(opened: Opened, encoding: Encoding) -> Any:
    content = b"".join(opened.chunks())[encoding.data_offset :]
    return as_pcm(encoding, np.frombuffer(content, encoding.dtype).reshape(-1, 2))


def silence(encoding: Encoding, length: int) -> Any:
    return np.full((length, 2), encoding.silence, encoding.dtype)


class TestWhatIsBelieved:
    def test_what_a_damaged_record_was_to_supersede_is_not_heard(self, tmp_path: Path) -> None:
        file = written(tmp_path)
        file.patch(1, 100, np.zeros(20, "<i2"))
        file.close()
        [patch] = [one for one in found_in(file.path) if isinstance(one, Record) and one.channel == 1]
        spoil(file.path, patch.end - 1, patch.end)
        expected = loud()
        expected[100:120, 1] = 0
        assert (heard(file.path) == expected).all()
        [there] = told(file.path)
        assert (there.start_samples, there.length_samples) == (100, 20)

    def test_its_place_is_not_if_that_is_far_off(self, tmp_path: Path) -> None:
        file = written(tmp_path)
        file.let_go()
        last = found_in(file.path)[-1]
        spoil(file.path, last.offset + 8, last.offset + 16, (1 << 60).to_bytes(8, "little"))
        assert len(heard(file.path)) == (COUNT - 1) * EACH
        assert [(one.start_bytes, one.start_samples) for one in told(file.path)] == [(last.offset, None)]

    def test_nor_are_the_places_of_many_each_of_which_is_near_the_one_before(self, tmp_path: Path) -> None:
        """Who may write to a file and has no key must not let it be a day of silence that fills somebody's disk."""
        file = written(tmp_path)
        file.let_go()
        hour = 3600 * file.sample_rate_hz
        with file.path.open("ab") as there:
            for number in range(1, 25):
                head = RECORD.pack(20, 100 + number, number * hour - 1, 1, Kind.AUDIO, Format.PCM16, BOTH)
                there.write(head + bytes(20))
        with Opened(file.path, [ALICE]) as opened:
            assert opened.length_samples == hour
            assert len(told(file.path)) == 1, "they are neighbours"

    def test_the_end_says_how_long_it_is(self, tmp_path: Path) -> None:
        file = written(tmp_path)
        file.cut(570)
        file.extend(700)
        file.close()
        for one in found_in(file.path)[-3:-1]:
            spoil(file.path, one.offset, one.offset + 4, bytes(4))
        assert len(heard(file.path)) == 700
        *_, there = told(file.path)
        assert (there.start_samples, there.length_samples) == (600, 100)

    def test_positions_are_those_of_what_is_opened(self, tmp_path: Path) -> None:
        file = written(tmp_path)
        file.close()
        damaged = next(one for one in found_in(file.path) if isinstance(one, Record) and one.position == 100)
        spoil(file.path, damaged.end - 1, damaged.end)
        edit(file.path, FOR_ALICE, [(10, 20), (140, 30)], None)
        [there] = told(file.path)
        assert (there.start_samples, there.length_samples) == (80, 40)
        assert not heard(file.path)[80:120].any()
        assert (heard(file.path)[120:140] == loud()[170:190]).all()

    def test_numbers_of_damaged_records_still_tell_that_others_were_not_replaced(self, tmp_path: Path) -> None:
        file = written(tmp_path)
        file.close()
        first, second = found_in(file.path)[-4:-2]
        spoil(file.path, first.end - 1, first.end)
        assert [one.reason for one in told(file.path)] == [damage.NOT_WRITTEN]
        spoil(file.path, second.offset, second.offset + 4)
        assert [one.reason for one in told(file.path)] == [damage.REPLACED, damage.NOT_WRITTEN], (
            "that is not known now"
        )


class TestKeys:
    def test_a_key_that_is_lost_costs_what_was_sealed_with_it(self, tmp_path: Path) -> None:
        file = written(tmp_path)
        file.close()
        _, second = (one for one in found_in(file.path) if isinstance(one, Segment))
        spoil(file.path, second.end - 1, second.end)
        expected = loud()
        expected[COUNT * EACH // 2 :] = 0
        assert (heard(file.path) == expected).all()
        assert [one.reason for one in told(file.path)] == [damage.NOT_WRITTEN, damage.NO_KEY]
        first = found_in(file.path)[0]
        spoil(file.path, first.end - 1, first.end)
        with pytest.raises(Damaged, match="nor is anything else"):
            Opened(file.path, [ALICE])

    def test_one_that_was_sealed_for_another(self, tmp_path: Path) -> None:
        file = sealed(tmp_path)
        file.write(0, loud())
        file.let_go()
        again: Any = reopen(file.path, (EVE.recipient,))
        again.write(COUNT * EACH, loud())
        again.close()
        with Opened(file.path, [ALICE]) as opened:
            assert [one.reason for one in opened.damage] == [damage.NO_KEY_FITS, damage.NO_KEY]
        assert (heard(file.path) == np.concatenate([loud(), np.zeros_like(loud())])).all()


class TestGoingOn:
    def test_behind_what_is_damaged(self, tmp_path: Path) -> None:
        """What is in the way stays where it is; who opens the file hears what was written before and after."""
        file = written(tmp_path)
        file.let_go()
        *_, before, last = found_in(file.path)
        spoil(file.path, before.offset, before.offset + 30, bytes(30))
        content = file.path.read_bytes()
        again: Any = reopen(file.path, FOR_ALICE)
        assert again.length_samples == COUNT * EACH
        again.write(COUNT * EACH, loud()[:10])
        again.close()
        assert file.path.read_bytes().startswith(content)
        expected = np.concatenate([loud(), loud()[:10]])
        expected[before.position : before.position + before.count] = 0
        assert (heard(file.path) == expected).all()
        spoil(file.path, last.offset, last.offset + RECORD.size, bytes(RECORD.size))
        again = reopen(file.path, FOR_ALICE)
        again.close()
        expected[last.position : last.position + last.count] = 0
        assert (heard(file.path) == expected).all()

    def test_lines(self, tmp_path: Path) -> None:
        file = EventFile(tmp_path, CALL, recipients=FOR_ALICE)
        for number in range(4):
            file.append([{"number": number}])
        damaged = found_in(tmp_path / NAME)[3]
        spoil(tmp_path / NAME, damaged.offset, damaged.offset + 30, bytes(30))
        EventFile.reopened(tmp_path, CALL, recipients=FOR_ALICE).append([{"number": 4}])
        assert [line["number"] for line in lines(tmp_path / NAME) if "number" in line] == [0, 1, 3, 4]
        with Opened(tmp_path / NAME, [ALICE]) as opened:
            assert opened.damage == [Damage(damaged.offset, damaged.end - damaged.offset, damage.NOT_WRITTEN)]
            assert (opened.is_uncut, opened.is_complete) == (True, False)

    def test_a_record_that_is_back_is_not_taken(self, tmp_path: Path) -> None:
        """A file was shortened and went on, and the disk has both: what is newer counts."""
        file = sealed(tmp_path)
        for first in range(0, 150, 50):
            file.write(first, loud()[first : first + 50])
        old = file.path.read_bytes()
        file.blank(0, 60, np.zeros(10, "<i2"))
        path = file.path
        file.let_go()
        new, last = path.read_bytes(), found_in(path)[-1]
        path.write_bytes(new[: last.offset] + old[last.offset :])
        assert [one.reason for one in told(path)] == [damage.OUT_OF_ORDER]
        assert not heard(path)[100:].any()
        assert (heard(path)[70:100] == loud()[70:100]).all()


def test_lost_ones_have_no_content(tmp_path: Path) -> None:
    path = tmp_path / "a.wav.sealed"
    file = sealed(tmp_path)
    file.close()
    path = file.path
    before = in_clear(path)
    path.write_bytes(path.read_bytes() + b"\1" * 100)
    assert in_clear(path) == before
    with path.open("rb") as there:
        *_, last = survey(reader_of(there.fileno()), path.stat().st_size)
    assert (last.end - last.offset, isinstance(last, Lost)) == (100, True)


def test_neighbours_are_told_as_one() -> None:
    first, second = Damage(10, 5, "x", 100, 10), Damage(15, 5, "x", 95, 3)
    other, none = Damage(20, 5, "y"), Damage(25, 5, "y")
    assert merged([first, second, other, none]) == [Damage(10, 10, "x", 95, 15), Damage(20, 10, "y")]
    assert merged([first, Damage(16, 5, "x")]) == [first, Damage(16, 5, "x")]
    assert first.text(100) == "from byte 10 to byte 15 it x; silent from 1.00 s on for 0.10 s"
    assert other.text(100) == "from byte 20 to byte 25 it y"
