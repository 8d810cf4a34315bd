"""Sealed recordings that are cut off, altered, or at the end of a disk."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sealing.age import NoKeyFits
from media.sealing.opening import Opened
from media.sealing.records import Damaged, Kind, Record
from media.sealing.scanning import reader_of, scan
from media.sinks.audio_files import reopen
from media.sinks.wav import Encoding
from tests.sealing.people import ALICE, FOR_ALICE, heard
from tests.sealing.sealed_files import sealed
from tests.sinks.waves import noise


class TestCutAnywhere:
    def test_it_opens_up_to_its_last_whole_record_and_says_that_it_is_unfinished(
        self, small: Path, tmp_path: Path
    ) -> None:
        content = small.read_bytes()
        with small.open("rb") as file:
            found = list(scan(reader_of(file.fileno()), len(content)))
        first = found[0].end
        complete = [one.end for one in found if isinstance(one, Record) and one.kind is Kind.END]
        path = tmp_path / "cut"
        for length in range(len(content) + 1):
            path.write_bytes(content[:length])
            if length < first:
                with pytest.raises(Damaged):
                    Opened(path, [ALICE])
                continue
            with Opened(path, [ALICE]) as opened:
                whole = [one for one in found if isinstance(one, Record) and one.end <= length]
                assert opened._records == whole
                assert opened.is_complete == (length in complete)
                assert opened.length_samples == len(heard(path))

    def test_another_process_goes_on_behind_the_last_whole_record(self, small: Path, tmp_path: Path) -> None:
        content = small.read_bytes()
        for length in range(len(content)):
            path = tmp_path / f"{length}.wav.sealed"
            path.write_bytes(content[:length])
            try:
                before = heard(path)
            except Damaged:
                with pytest.raises(Damaged):
                    reopen(path, FOR_ALICE)
                continue
            file: Any = reopen(path, FOR_ALICE)
            end = file.length_samples
            file.write(end, noise(Encoding.PCM16, 7))
            file.close()
            after = heard(path)
            if before.shape[1] == 2:
                assert (after[: len(before)] == before).all()
                assert (after[end:] == noise(Encoding.PCM16, 7)).all()
            path.unlink()

    def test_a_disk_without_power_leaves_blanks(self, small: Path, tmp_path: Path) -> None:
        path = tmp_path / "a.wav.sealed"
        path.write_bytes(small.read_bytes() + bytes(5000))
        with Opened(path, [ALICE]) as opened:
            assert (opened.is_complete, opened.cut_bytes) == (False, 5000)
        file: Any = reopen(path, FOR_ALICE)
        file.close()
        with Opened(path, [ALICE]) as opened:
            assert opened.is_complete

    def test_a_record_whose_end_never_came_to_the_disk(self, small: Path, tmp_path: Path) -> None:
        """Its beginning may have: blocks of the disk come one by one."""
        content, path = small.read_bytes(), tmp_path / "a.wav.sealed"
        with small.open("rb") as file:
            found = list(scan(reader_of(file.fileno()), len(content)))
        for one in found[1:]:
            before = max(other.end for other in found if other.end <= one.offset)
            for came in range(one.offset, one.end - 16 + 1):
                path.write_bytes(content[:came] + bytes(len(content) + 5000 - came))
                with Opened(path, [ALICE]) as opened:
                    assert not opened.is_complete
                    assert opened.cut_bytes == len(content) + 5000 - before
            file_again: Any = reopen(path, FOR_ALICE)
            file_again.close()
            with Opened(path, [ALICE]) as opened:
                assert opened.is_complete
            path.unlink()


class TestAltered:
    def test_every_byte_counts(self, small: Path, tmp_path: Path) -> None:
        content, path = small.read_bytes(), tmp_path / "altered"
        for place in range(len(content)):
            altered = bytearray(content)
            altered[place] ^= 1 << place % 8
            path.write_bytes(altered)
            try:
                with Opened(path, [ALICE]) as opened:
                    assert not opened.is_complete, place
            except (Damaged, NoKeyFits):
                pass

    def test_no_record_can_be_left_out_or_moved(self, small: Path, tmp_path: Path) -> None:
        content, path = small.read_bytes(), tmp_path / "altered"
        with small.open("rb") as file:
            found = list(scan(reader_of(file.fileno()), len(content)))
        for one, following in pairwise(found):
            middle, last = content[one.offset : one.end], content[following.offset : following.end]
            for altered in (
                content[: one.offset] + content[one.end :],
                content[: one.offset] + last + middle + content[following.end :],
                content[: one.end] + content[one.offset :],
            ):
                path.write_bytes(altered)
                with suppress(Damaged), Opened(path, [ALICE]) as opened:
                    assert opened.damage
                    assert not opened.is_complete

    @given(content=st.binary(max_size=300))
    def test_rubbish_behind_it_is_not_passed_over(self, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as directory:
            file = sealed(Path(directory))
            file.close()
            with file.path.open("ab") as there:
                there.write(content)
            try:
                with Opened(file.path, [ALICE]) as opened:
                    assert opened.is_complete == (not content)
            except Damaged:
                assert content

    @given(content=st.binary(max_size=300))
    def test_other_files_are_none(self, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "x"
            path.write_bytes(content)
            with pytest.raises(Damaged):
                Opened(path, [ALICE])


class TestAFullDisk:
    def test_what_was_there_is_whole_and_no_number_is_used_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import os

        file, room, write = sealed(tmp_path), [0], os.pwrite
        file.write(0, noise(Encoding.PCM16, 100))

        def partly(fd: int, content: bytes, offset: int) -> int:
            count, room[0] = min(room[0], len(content)), 0
            if not count:
                raise OSError(28, "No space left on device")
            return write(fd, content[:count], offset)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwritev", lambda fd, pieces, offset: partly(fd, b"".join(pieces), offset))
            patch.setattr(os, "pwrite", partly)
            for count in (0, 1, 30, 300):
                room[0] = count
                with pytest.raises(OSError, match="No space"):
                    file.write(100, noise(Encoding.PCM16, 100, 1))
        assert file.length_samples == 100
        file.write(100, noise(Encoding.PCM16, 100, 2))
        file.close()
        expected = np.concatenate([noise(Encoding.PCM16, 100), noise(Encoding.PCM16, 100, 2)])
        assert (heard(file.path) == expected).all()
        with file.path.open("rb") as there:
            found = scan(reader_of(there.fileno()), file.path.stat().st_size)
            assert [one.number for one in found if isinstance(one, Record)] == [0, 5, 6]

    def test_amid_what_is_taken_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is in front of it is whole, what could not be sealed anew is gone, and the length says so."""
        import os

        file, room, write = sealed(tmp_path), [1], os.pwritev
        for first in range(0, 3000, 1000):
            file.write(first, noise(Encoding.PCM16, 1000, first))

        def some(fd: int, pieces: Any, offset: int) -> int:
            if not room[0]:
                raise OSError(28, "No space left on device")
            room[0] -= 1
            return write(fd, pieces, offset)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwritev", some)
            with pytest.raises(OSError, match="No space"):
                file.blank(1, 1200, np.zeros(300, "<i2"))
        assert file.length_samples == 2000
        file.close()
        expected = np.concatenate([noise(Encoding.PCM16, 1000, first) for first in (0, 1000)])
        expected[1200:1500, 1] = 0
        assert (heard(file.path) == expected).all()

    def test_beyond_what_a_file_can_be(self, tmp_path: Path) -> None:
        file = sealed(tmp_path)
        with pytest.raises(OSError, match="large"):
            file.write(1 << 63, noise(Encoding.PCM16, 1))
        file.close()
        assert len(heard(file.path)) == 0
