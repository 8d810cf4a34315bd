"""Whole lines only, whatever was in the file, and whoever moves it away."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.cdr.file import RecordFile
from media.cdr.record import line_of
from tests.cdr.records import a_record, lines
from tests.sinks.rows import WALL_NS

DAY_NS = 86_400 * 10**9
LINE = line_of(a_record(1))


def write(path: Path, *numbers: int, wall_ns: int = WALL_NS) -> None:
    RecordFile(path).write([a_record(number) for number in numbers], wall_ns)


def test_lines_are_appended_to_a_file_of_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "new" / "calls.jsonl"
    RecordFile(path).open(WALL_NS)
    write(path, 1, 2)
    write(path, 3)
    assert [line["call_id"] for line in lines(path)] == ["leg-1", "leg-2", "leg-3"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@given(cut=st.integers(0, len(LINE)), zeros=st.integers(0, 3))
def test_what_was_torn_anywhere_is_put_right(tmp_path_factory: pytest.TempPathFactory, cut: int, zeros: int) -> None:
    path = tmp_path_factory.mktemp("cdr") / "calls.jsonl"
    path.write_bytes(LINE + LINE[:cut] + b"\0" * zeros)
    RecordFile(path).open(WALL_NS)
    assert path.read_bytes() == LINE * (1 + (cut >= len(LINE) - 1))
    write(path, 2)
    assert [line["call_id"] for line in lines(path)][-1] == "leg-2"


@pytest.mark.parametrize("foreign", [b"[not ours", b"\x7fELF\0\0", b"x" * (3 << 20)])
def test_what_is_not_ours_is_never_cut(tmp_path: Path, foreign: bytes) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_bytes(foreign)
    write(path, 1)
    assert path.read_bytes() == foreign + b"\n" + LINE


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    write(path, 1)
    path.rename(tmp_path / "calls.jsonl.1")
    write(path, 2)
    assert [line["call_id"] for line in lines(path)] == ["leg-2"]
    assert [line["call_id"] for line in lines(tmp_path / "calls.jsonl.1")] == ["leg-1"]


def test_a_file_that_is_moved_away_while_its_lock_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, locked = tmp_path / "calls.jsonl", fcntl.flock

    def rotate_once(fd: int, operation: int) -> None:
        locked(fd, operation)
        if not (tmp_path / "old").exists():
            path.rename(tmp_path / "old")

    monkeypatch.setattr(fcntl, "flock", rotate_once)
    write(path, 1)
    assert not lines(tmp_path / "old")
    assert len(lines(path)) == 1


def test_a_file_a_day(tmp_path: Path) -> None:
    path = tmp_path / "cdr-{date}.jsonl"
    write(path, 1)
    write(path, 2, wall_ns=WALL_NS + DAY_NS)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["cdr-2023-11-14.jsonl", "cdr-2023-11-15.jsonl"]


def test_a_disk_that_takes_a_part_has_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "calls.jsonl"
    write(path, 1)
    written = os.write

    def part(fd: int, content: bytes) -> int:
        if len(content) < len(LINE) // 2:
            raise OSError(28, "No space left on device")
        return written(fd, content[: len(content) * 2 // 3])

    monkeypatch.setattr("media.events.files.os.write", part)
    with pytest.raises(OSError, match="No space"):
        write(path, 2)
    monkeypatch.undo()
    assert path.read_bytes() == LINE


def test_a_disk_that_does_not_sync_has_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write(tmp_path / "calls.jsonl", 1)
    assert (tmp_path / "calls.jsonl").read_bytes() == b""


def test_it_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "calls.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="cannot write call records to"):
        RecordFile(tmp_path / "calls.jsonl").open(WALL_NS)


def _append(path: Path, first: int) -> None:
    for number in range(first, first + 50):
        write(path, number)


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append, args=(path, 100 * number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len({line["call_id"] for line in lines(path)}) == 100
