from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from msgspec import Raw

from media.webhooks.spool import BLOCK_BYTES, Kept, Memory, Record, Spool, folder_name


def record(number: int = 0, size: int = 10) -> Record:
    return Record("https://a/", f"call {number}", 1000 + number, Raw(b'"%b"' % (b"x" * size)))


def opened(directory: Path, number: int) -> Spool:
    spool = Spool(directory, folder_name(number, 1))
    spool.open()
    return spool


def kill(spool: Spool) -> None:
    """Do what the kernel does when a process is killed: close its files, and nothing else."""
    for fd in spool._held.values():
        os.close(fd)


def files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.json"))


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Memory:
    return Memory() if request.param == "memory" else opened(tmp_path / "spool", 1)


def test_what_is_kept_is_there_until_it_is_removed(store: Memory) -> None:
    kept = [store.put(record(number)) for number in range(3)]
    assert [store.get(one.key) for one in kept] == [record(number) for number in range(3)]
    store.remove(kept[1].key)
    with pytest.raises(KeyError):
        store.get(kept[1].key)
    assert store.get(kept[2].key) == record(2)
    assert store.errors == 0


def test_a_file_takes_whole_blocks_and_is_its_owners_alone(tmp_path: Path) -> None:
    spool = opened(tmp_path / "spool", 1)
    assert spool.put(record()).size_bytes == BLOCK_BYTES
    assert spool.put(record(size=BLOCK_BYTES)).size_bytes == 2 * BLOCK_BYTES
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)} == {0o600}
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700


class TestAProcessThatWasKilled:
    def left_behind(self, directory: Path, name: int, count: int = 2) -> None:
        spool = opened(directory, name)
        for number in range(count):
            spool.put(record(number))
        kill(spool)

    def test_its_deliveries_are_adopted_in_their_order(self, tmp_path: Path) -> None:
        self.left_behind(tmp_path, 2)
        self.left_behind(tmp_path, 1, 12)
        spool = opened(tmp_path, 3)
        adopted = list(spool.adopt())
        assert [kept.record for kept in adopted] == [record(n) for n in range(12)] + [record(n) for n in range(2)]
        assert [spool.get(kept.key) for kept in adopted] == [kept.record for kept in adopted]
        assert spool.adopted == 14
        assert list(spool.adopt()) == [], "once"

    def test_not_those_of_one_that_lives(self, tmp_path: Path) -> None:
        neighbour = opened(tmp_path, 1)
        neighbour.put(record())
        spool = opened(tmp_path, 2)
        assert list(spool.adopt()) == []
        kill(neighbour)
        assert [kept.record for kept in spool.adopt()] == [record()]

    def test_nor_those_that_another_has_adopted(self, tmp_path: Path) -> None:
        self.left_behind(tmp_path, 1)
        one, other = opened(tmp_path, 2), opened(tmp_path, 3)
        assert len(list(one.adopt())) == 2
        assert list(other.adopt()) == []
        kill(one)
        assert len(list(other.adopt())) == 2

    def test_a_file_that_was_not_finished_is_put_aside_and_counted(self, tmp_path: Path) -> None:
        self.left_behind(tmp_path, 1, 5)
        *damaged, whole = files(tmp_path)
        contents = [b"", damaged[1].read_bytes()[:-3], b'{"url":"\xff"}', b'{"data":' + 5000 * b"["]
        for path, content in zip(damaged, contents, strict=True):
            path.write_bytes(content)
        spool = opened(tmp_path, 2)
        assert [kept.record for kept in spool.adopt()] == [record(4)]
        assert spool.errors == 4
        assert files(tmp_path) == [whole]
        spool.close()
        assert [path.name for path in sorted(tmp_path.rglob("*.unreadable"))] == [
            f"00000000000{number}.unreadable" for number in (1, 2, 3, 4)
        ]

    def test_what_is_not_ours_is_left_alone(self, tmp_path: Path) -> None:
        """Recordings, another spool, and files beside ours in a folder of ours."""
        for name in ("notes.txt", "call/call.json", "0/lock", "0/000000000001.json", "0/segment"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("{}")
        self.left_behind(tmp_path, 1)
        beside = tmp_path / folder_name(1, 1) / "call.json"
        beside.write_text("{}")
        mine = set(tmp_path.rglob("*")) - set(files(beside.parent)) | {beside}
        spool = opened(tmp_path, 2)
        for kept in spool.adopt():
            spool.remove(kept.key)
        spool.close()
        assert set(tmp_path.rglob("*")) == mine - {beside.parent / "lock"}


def test_an_empty_folder_goes_with_its_process(tmp_path: Path) -> None:
    spool = opened(tmp_path, 1)
    spool.remove(spool.put(record()).key)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_stays(tmp_path: Path) -> None:
    spool = opened(tmp_path, 1)
    spool.put(record())
    spool.close()
    assert [kept.record for kept in opened(tmp_path, 2).adopt()] == [record()]


class TestADiskThatDoesNot:
    def test_take_anything_nor_a_removal(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> int:
            raise OSError(errno.EROFS, "Read-only file system")

        spool = opened(tmp_path, 1)
        monkeypatch.setattr(os, "open", refuse)
        monkeypatch.setattr(Path, "unlink", refuse)
        kept = spool.put(record())
        assert spool.get(kept.key) == record(), "it is in memory then"
        assert spool.errors == 1

    def test_take_it(self, tmp_path: Path) -> None:
        spool = opened(tmp_path, 1)
        (tmp_path / folder_name(1, 1)).rename(tmp_path / "elsewhere")
        kept = spool.put(record())
        assert spool.get(kept.key) == record(), "it is in memory then"
        assert spool.errors == 1
        spool.remove(kept.key)

    def test_give_it_back(self, tmp_path: Path) -> None:
        spool = opened(tmp_path, 1)
        kept: Kept = spool.put(record())
        files(tmp_path)[0].unlink()
        with pytest.raises(KeyError):
            spool.get(kept.key)
        assert spool.errors == 1
        spool.remove(kept.key)

    def test_let_us_begin(self, tmp_path: Path) -> None:
        (tmp_path / "spool").write_text("a file")
        with pytest.raises(OSError, match="cannot keep webhooks in "):
            opened(tmp_path / "spool", 1)
