"""What a process tells of calls that go on: what is in the files, what is removed, and what is not believed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from media.account import MAX_NEWS
from media.pauses.spans import Pause
from media.sinks import accounts, told
from media.sinks.recording import RecordingSink
from media.sinks.salvage import Salvage
from media.sinks.told import account_of, read_told
from strep.clock import NS_PER_SECOND, ManualClock
from strep.ledger import Kind
from tests.sealing.sealed_process import SealedProcess
from tests.sinks.process import BLOCK, Process
from tests.sinks.rows import batch_of
from tests.sinks.sidecars import check

LOST = (BLOCK, 160, Kind.LOST)
LENGTH = 10 * BLOCK
ALL = [(0, LENGTH, "unaccounted")]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(5 * NS_PER_SECOND)


def begun(directory: Path, clock: ManualClock, kind: type[Process] = Process) -> Process:
    """Return a recorder that knows of a lost packet, and of a key."""
    process = kind(directory, clock)
    account = process.call.account
    for channel in (0, 1):
        account.begin_track(channel, 0)
    account.tell_spans(0, [LOST], 0)
    account.tell_event({"event": "dtmf", "digit": "5", "position_samples": 100})
    process.record(10)
    return process


def go_on(process: Process) -> None:
    """Record a block more, and let another second be over."""
    process.record(1)
    process.clock.advance(4 * NS_PER_SECOND)
    process.sink.receive(batch_of(now_ns=process.clock.now_ns()))


def salvaged(directory: Path) -> dict[str, Any]:
    Salvage(directory, 0)._run()
    return check(directory / "leg.json")


def spans(document: dict[str, Any], number: int = 0) -> list[tuple[int, int, str]]:
    return [
        (one["start_samples"], one["length_samples"], one["kind"]) for one in document["tracks"][number]["ledger"]
    ]


def test_it_is_in_the_sidecar_that_the_next_process_makes(tmp_path: Path, clock: ManualClock) -> None:
    begun(tmp_path, clock).die()
    document = salvaged(tmp_path)
    assert spans(document) == [(BLOCK, 160, "lost")]
    assert spans(document, 1) == []
    assert document["tracks"][1]["totals"]["received"] == LENGTH
    assert document["events"] == [{"event": "dtmf", "digit": "5", "position_samples": 100}]


def test_while_it_goes_on_only_the_owner_may_read_it_and_at_its_end_it_is_gone(
    tmp_path: Path, clock: ManualClock
) -> None:
    process = begun(tmp_path, clock)
    hidden = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert sorted(path.suffix for path in hidden) == [".account", ".heads"]
    assert [path.stat().st_mode & 0o777 for path in hidden] == [0o600, 0o600]
    process.end()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leg.json", "leg.wav"]


def test_a_later_word_is_in_place_of_an_earlier_one(tmp_path: Path, clock: ManualClock) -> None:
    process = begun(tmp_path, clock)
    changed = [(BLOCK, 80, Kind.LATE_PATCHED), (BLOCK + 80, 80, Kind.LOST), (3 * BLOCK, 160, Kind.SILENCE)]
    process.call.account.tell_spans(0, changed, 0)
    go_on(process)
    process.die()
    assert spans(salvaged(tmp_path)) == [(start, length, kind.value) for start, length, kind in changed]


def test_of_what_is_not_in_the_file_nothing_is_told(tmp_path: Path, clock: ManualClock) -> None:
    process = begun(tmp_path, clock)
    process.call.account.tell_spans(0, [(LENGTH - 100, 400, Kind.LOST), (LENGTH + 500, 400, Kind.LOST)], 0)
    process.sink.receive(batch_of(now_ns=clock.now_ns() + 9 * NS_PER_SECOND))
    process.die()
    assert spans(salvaged(tmp_path)) == [(BLOCK, 160, "lost"), (LENGTH - 100, 100, "lost")]


def test_which_keys_were_pressed_is_told_to_nobody_where_recordings_are_sealed(
    tmp_path: Path, clock: ManualClock
) -> None:
    begun(tmp_path, clock, SealedProcess).die()
    assert b'"digit":"?"' in account_of(tmp_path / "leg.json").read_bytes()


def test_pauses(tmp_path: Path, clock: ManualClock) -> None:
    process = begun(tmp_path, clock)
    process.call.pauses.append(Pause(2 * BLOCK, (2 * BLOCK, 2 * BLOCK), "silence", 0, 3 * BLOCK))
    go_on(process)
    process.die()
    document = salvaged(tmp_path)
    assert spans(document) == [(BLOCK, 160, "lost"), (2 * BLOCK, BLOCK, "paused")]
    assert spans(document, 1) == [(2 * BLOCK, BLOCK, "paused")]


class TestUnaccounted:
    def test_what_came_since_the_last_word(self, tmp_path: Path, clock: ManualClock) -> None:
        process = begun(tmp_path, clock)
        process.sink._accounts._next_ns = 1 << 62
        process.record(3)
        process.die()
        assert spans(salvaged(tmp_path)) == [(BLOCK, 160, "lost"), (LENGTH, 3 * BLOCK, "unaccounted")]

    def test_all_if_the_machine_was_started_since(
        self, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun(tmp_path, clock).die()
        monkeypatch.setattr(told, "boot_bytes", lambda: b"another".ljust(told.BOOT_BYTES))
        assert spans(salvaged(tmp_path)) == ALL

    def test_all_if_it_cannot_be_written(
        self, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        process = begun(tmp_path, clock)

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(accounts, "_append", refuse)
            process.call.account.tell_spans(0, [(2 * BLOCK, 160, Kind.LOST)], 0)
            go_on(process)
        assert "what happens in leg is not known if this process dies now" in caplog.text
        process.call.account.tell_spans(0, [(2 * BLOCK, 160, Kind.LOST)], 0)
        go_on(process)
        process.die()
        assert spans(salvaged(tmp_path)) == [(0, LENGTH + 2 * BLOCK, "unaccounted")]

    def test_all_if_more_comes_than_can_be_written(
        self, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = begun(tmp_path, clock)
        monkeypatch.setattr("media.account.MAX_NEWS", 3)
        for number in range(5):
            process.call.account.tell_spans(0, [(2000 + 200 * number, 160, Kind.LOST)], 0)
        assert len(process.call.account.news) == 3 < MAX_NEWS
        go_on(process)
        assert not process.call.account.news
        process.die()
        assert spans(salvaged(tmp_path)) == [(0, LENGTH + BLOCK, "unaccounted")]

    @pytest.mark.parametrize(
        "torn", [b'["spans",0,[[20', b"\0" * 100, b'["spans",9,[[1,1,"lost"]]]\n', b"[]\n", b"\xff\n"]
    )
    def test_nothing_for_what_is_no_line(self, tmp_path: Path, clock: ManualClock, torn: bytes) -> None:
        begun(tmp_path, clock).die()
        account = account_of(tmp_path / "leg.json")
        whole = account.read_bytes()
        account.write_bytes(whole + torn)
        said = read_told(tmp_path / "leg.json")
        assert said is not None
        assert said.size_bytes == len(whole)
        again = Process(tmp_path, clock, seed=1)
        again.record(3)
        assert account.read_bytes().startswith(whole + b'["known"')
        again.end()
        assert spans(check(tmp_path / "leg.json"))[0] == (BLOCK, 160, "lost")

    def test_all_if_there_is_none(self, tmp_path: Path, clock: ManualClock) -> None:
        begun(tmp_path, clock).die()
        account_of(tmp_path / "leg.json").unlink()
        assert spans(salvaged(tmp_path)) == ALL

    def test_all_if_its_heads_are_gone_or_of_another_call(self, tmp_path: Path, clock: ManualClock) -> None:
        process = begun(tmp_path, clock)
        process.die()
        [heads] = tmp_path.glob("*.heads")
        content = bytearray(heads.read_bytes())
        content[told.BOOT_BYTES] ^= 1
        heads.write_bytes(content)
        document = read_told(tmp_path / "leg.json")
        assert document is not None
        assert document.known == (0, 0)
        heads.unlink()
        assert spans(salvaged(tmp_path)) == ALL


@pytest.mark.parametrize("full_ones", [".heads", ""])
def test_a_disk_that_is_full_when_it_begins_leaves_nothing_open(
    full_ones: str, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").endswith(full_ones):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(fd, data, offset)

    def no_lines(path: Path, lines: list[Any], flags: int = 0) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    if not full_ones:
        full_ones = "none"
        monkeypatch.setattr(accounts, "_append", no_lines)
    process = Process(tmp_path, clock)
    process.record(10)
    targets = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert not [target for target in targets if target.startswith(str(tmp_path)) and ".heads" in target]
    assert not list(tmp_path.glob(".*"))
    process.end()
    assert check(tmp_path / "leg.json")["state"] == "complete"


def test_only_one_recording_keeps_it(tmp_path: Path, clock: ManualClock) -> None:
    first = begun(tmp_path / "one", clock)
    second = RecordingSink(tmp_path / "two", "pcm16", clock)
    second.call_started(first.call)
    assert not list((tmp_path / "two").glob(".*"))
    second.call_ended(first.call, None)
    assert first.call.account.is_kept
    assert account_of(tmp_path / "one" / "leg.json").exists()


def test_left_over_ones_are_removed_and_no_others(tmp_path: Path, clock: ManualClock) -> None:
    live = begun(tmp_path, clock)
    kept = {path.name for path in tmp_path.iterdir()}
    (tmp_path / ".gone.account").write_bytes(b"x")
    (tmp_path / ".0123.heads").write_bytes(b"x")
    accounts.remove_left_over(tmp_path, [path.name for path in tmp_path.iterdir() if path.name.startswith(".")])
    assert {path.name for path in tmp_path.iterdir()} == kept
    live.end()
