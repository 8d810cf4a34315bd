"""The disk is asked once an interval and file system, and says how it keeps up."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media import Server, ServerConfig
from media.config import Endpoint
from media.metrics.families import families
from media.metrics.totals import Totals
from media.sinks.syncing import Syncer, is_supported, sync_file_system
from media.workers.opening import WorkerDoors
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from tests.nats.nats_server import until

LOOPBACK = Endpoint("127.0.0.1", 0)
linux = pytest.mark.skipif(not is_supported(), reason="needs Linux")


def syncer(clock: ManualClock, sync: Callable[[int], Any], *directories: Path) -> Syncer:
    return Syncer(directories, NS_PER_SECOND, clock, sync)


def test_each_file_system_once(tmp_path: Path) -> None:
    calls: list[int] = []
    (tmp_path / "takes").mkdir()
    made = syncer(ManualClock(), calls.append, tmp_path, tmp_path / "takes", tmp_path / "not there yet")
    assert made.step() == NS_PER_SECOND
    assert len(calls) == made.syncs == 1
    assert made.errors == 0


@pytest.mark.parametrize(("took_ms", "pause_ms", "slow"), [(10, 990, 0), (900, 250, 0), (4000, 250, 1)])
def test_a_slow_disk_is_given_time_and_is_told_of(tmp_path: Path, took_ms: int, pause_ms: int, slow: int) -> None:
    clock = ManualClock()
    made = syncer(clock, lambda _: clock.advance(took_ms * NS_PER_MS), tmp_path)
    assert made.step() == pause_ms * NS_PER_MS
    told = made.snapshot()
    assert (told["slow"], told["took_ns"], told["longest_ns"]) == (slow, took_ms * NS_PER_MS, took_ms * NS_PER_MS)
    assert told["oldest_ns"] == took_ms * NS_PER_MS, "what was written since it began may not be on the disk"


def test_a_disk_that_fails_does_not_make_what_was_written_younger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    made = syncer(clock, fail, tmp_path)
    for _ in range(3):
        clock.advance(NS_PER_SECOND)
        made.step()
    assert (made.errors, made.syncs, made.snapshot()["oldest_ns"]) == (3, 0, 3 * NS_PER_SECOND)
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3


def test_many_failures_in_a_second_are_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    made = syncer(clock, fail, tmp_path)
    for _ in range(50):
        made.step()
    clock.advance(NS_PER_SECOND)
    made.step()
    assert len(caplog.records) == 2
    assert "and 49 more" in caplog.records[-1].message


async def test_the_last_call_comes_when_all_is_written(tmp_path: Path) -> None:
    calls: list[int] = []
    made = Syncer([tmp_path], 3600 * NS_PER_SECOND, ManualClock(), calls.append)
    await made.start()
    await made.close()
    assert len(calls) == 1


async def test_what_others_wrote_is_synced_once(tmp_path: Path) -> None:
    calls: list[int] = []
    await Syncer([tmp_path], 3600 * NS_PER_SECOND, ManualClock(), calls.append).once()
    assert len(calls) == 1


@linux
def test_the_system_call(tmp_path: Path) -> None:
    with tmp_path.joinpath("file").open("wb") as file:
        sync_file_system(file.fileno())
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync_file_system(-1)


@linux
async def test_a_server_that_records_syncs_and_tells_of_it(tmp_path: Path) -> None:
    async with Server(ServerConfig(udp=LOOPBACK, record=tmp_path, sync_s=0.01)) as server:
        await until(lambda: server.snapshot()["companions"]["sync"]["syncs"])
        totals = Totals(1)
        totals.report(0, server.snapshot())
        found = {sample.name: sample.value for family in families(totals) for sample in family.samples}
    assert found["strep_disk_syncs_total"] >= 1
    assert found["strep_disk_sync_errors_total"] == 0
    assert {"strep_disk_sync_seconds_total", "strep_disk_syncs_slow_total", "strep_disk_unsynced_seconds"} <= set(
        found
    )


@pytest.mark.parametrize(
    "config", [ServerConfig(udp=LOOPBACK), ServerConfig(udp=LOOPBACK, record=Path("x"), sync_s=0)]
)
async def test_who_writes_nothing_or_wants_none_does_not(config: ServerConfig) -> None:
    assert "sync" not in Server(config).snapshot()["companions"]


@linux
def test_one_worker_does_it_for_all() -> None:
    opened = WorkerDoors(ServerConfig(udp=LOOPBACK, receive_buffer_bytes=1 << 16), 3)
    opened.close()
    assert [config.sync_s for config in opened.configs] == [1.0, 0, 0]
