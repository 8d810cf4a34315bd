"""What is written is read, in order and once, whatever happened to the files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.nats.message import Message
from media.nats.spool import Spool
from tests.nats.model_stream import message


def write(spool: Spool, count: int, size_bytes: int = 100) -> list[Message]:
    messages = [message(0, 10_000 + number, size_bytes) for number in range(count)]  # all of one length
    for one in messages:
        assert spool.append(one, 0, is_kept=False)
    return messages


def read_all(spool: Spool) -> list[Message]:
    messages: list[Message] = []
    while spool.unread_bytes:
        messages += spool.read(0, 0)
    return messages


def content(messages: list[Message]) -> list[tuple[str, str, bytes]]:
    return [(one.subject, one.message_id, one.body) for one in messages]


@given(st.lists(st.tuples(st.text(), st.text(), st.binary(max_size=2000)), max_size=50))
@settings(max_examples=50)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str, bytes]]
) -> None:
    texts = [(s.encode("utf-8", "ignore").decode(), i.encode("utf-8", "ignore").decode(), b) for s, i, b in texts]
    spool = Spool.open(tmp_path_factory.mktemp("spool"), 1 << 20)
    for text in texts:
        assert spool.append(Message(*text), 0, is_kept=False)
    assert content(read_all(spool)) == texts
    spool.close()


def test_survives_the_process(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, 1 << 30)
    written = write(spool, 3000, 3000)
    spool.close()
    spool = Spool.open(tmp_path, 1 << 30)
    found = read_all(spool)
    assert content(found) == content(written)
    assert all(one.is_doubtful for one in found)


def test_segments_go_as_they_are_settled(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, 1 << 20)
    write(spool, 3000)
    files = len(list(tmp_path.rglob("*.spool")))
    assert files > 3
    for one in read_all(spool):
        assert one.segment
        spool.release(one.segment)
        now = len(list(tmp_path.rglob("*.spool")))
        assert now <= files
        files = now
    assert files == spool.size_bytes == 0


@given(st.data())
@settings(max_examples=60)
def test_a_torn_end(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A machine that lost power: the file ends anywhere, or its end is not what was written."""
    directory = tmp_path_factory.mktemp("spool")
    spool = Spool.open(directory, 1 << 20)
    written = content(write(spool, 20))
    spool.close()
    (path,) = directory.rglob("*.spool")
    whole = path.read_bytes()
    length = data.draw(st.integers(0, len(whole)))
    rubbish = data.draw(st.binary(max_size=300))
    path.write_bytes(whole[:length] + rubbish)
    spool = Spool.open(directory, 1 << 20)
    found = content(read_all(spool))
    intact = length // (len(whole) // 20)
    assert found[:intact] == written[:intact]
    assert found == written[: len(found)]
    torn = spool.torn_bytes
    assert torn == len(whole[:length] + rubbish) - sum(len(whole) // 20 for _ in found)
    later = message(1, 10_000)
    assert spool.append(later, 0, is_kept=False), "and it goes on"
    assert content(read_all(spool)) == content([later])
    spool.close()


def test_several_processes_in_one_directory(tmp_path: Path) -> None:
    one, other = Spool.open(tmp_path, 1 << 20), Spool.open(tmp_path, 1 << 20)
    assert one.directory != other.directory
    one.close()
    assert Spool.open(tmp_path, 1 << 20).directory == one.directory


def test_what_others_left_is_adopted(tmp_path: Path) -> None:
    dead, other, third = (Spool.open(tmp_path, 1 << 20) for _ in range(3))
    written = write(dead, 1000, 200)
    assert not third.adopt(), "who wrote it is still there"
    dead.close()
    write(other, 1)
    assert not other.adopt(), "it has some of its own to see to"
    assert third.adopt()
    found = read_all(third)
    assert content(found) == content(written)
    assert all(one.is_doubtful for one in found)
    for one in found:
        assert one.segment
        third.release(one.segment)
    assert third.size_bytes == 0
    assert Spool.open(tmp_path, 1 << 20).size_bytes == 0, "nothing is left of it"


def test_is_closed_to_other_users(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "new", 1 << 20)
    write(spool, 1)
    assert spool.directory.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in spool.directory.iterdir())


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Spool.open(tmp_path / "file", 1 << 20)


def test_what_else_lies_in_the_directory_is_left_alone(tmp_path: Path) -> None:
    first = Spool.open(tmp_path, 1 << 20)
    written = write(first, 3)
    first.close()
    strays = [tmp_path / "0" / "x.spool", tmp_path / "0" / "²3.spool", tmp_path / "7" / "y.spool"]
    strays[-1].parent.mkdir()
    for stray in strays:
        stray.write_bytes(b"mine")
    spool = Spool.open(tmp_path, 1 << 20)
    found = read_all(spool)
    assert content(found) == content(written)
    for one in found:
        assert one.segment
        spool.release(one.segment)
    assert not spool.adopt()
    assert all(stray.read_bytes() == b"mine" for stray in strays)


def test_a_segment_that_the_disk_does_not_give_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.open(tmp_path, 1 << 20)
    written = write(spool, 1000)
    bad, *good = spool._segments
    pread = os.pread

    def fail(descriptor: int, length: int, place: int) -> bytes:
        if descriptor == bad.descriptor:
            raise OSError(errno.EIO, "Input/output error")
        return pread(descriptor, length, place)

    monkeypatch.setattr(os, "pread", fail)
    found = content(read_all(spool))
    assert good
    assert found == content(written)[-len(found) :]
    assert spool.torn_bytes == bad.size_bytes
    assert len(found) == sum(segment.size_bytes for segment in good) * len(written) // (
        bad.size_bytes + sum(segment.size_bytes for segment in good)
    )


def test_a_segment_that_cannot_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.open(tmp_path, 1 << 20)
    write(spool, 1)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", fail)
    (one,) = read_all(spool)
    assert one.segment
    spool.release(one.segment)
    assert spool.size_bytes == 0
