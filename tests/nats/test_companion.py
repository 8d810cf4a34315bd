"""The process that publishes dies, hangs, or cannot be: calls go on, it is said why, and another one is tried."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from media.events.bus import EventBus
from media.feed.selection import Selection
from media.nats import companion as companion_module
from media.nats.companion import SILENT_BEATS, NatsCompanion
from media.nats.config import NatsConfig
from media.nats.pipe import EventTold
from media.nats.sink import NatsSink
from strep.clock import SystemClock
from tests.nats.nats_server import free_port, until

pytest.importorskip("nats")
REPORTED = "waiting"
"""Is in a report of the process."""


@pytest.fixture
async def made(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Return what makes a companion, which is closed in the end."""
    monkeypatch.setattr(companion_module, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(companion_module, "BEAT_S", 1e6)  # the tests beat
    companions: list[NatsCompanion] = []

    def make(spool: Path | None = None) -> NatsCompanion:
        clock = SystemClock()
        config = NatsConfig((f"nats://127.0.0.1:{free_port()}",), spool=spool)
        companions.append(NatsCompanion(config, NatsSink(Selection()), EventBus(clock), clock))
        return companions[-1]

    yield make
    for companion in companions:
        await companion.close()


def fill(companion: NatsCompanion) -> threading.Thread:
    """Let a thread write more than the pipe holds; return it when the process cannot be told anything any more."""

    def write() -> None:
        with companion._sink._lock:
            for _ in range(8):
                companion._sink._write(EventTold("a", 0, 1, bytes(1 << 20)))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    return writer


class TestASpoolThatCannotBe:
    async def test_the_server_does_not_start(self, made: Any, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match=r"spool.*file"):
            await made(tmp_path / "file").start()

    async def test_it_is_said_when_that_happens_later(
        self, made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setattr(companion_module, "probe", lambda _: None)
        companion = made(tmp_path / "file")
        await companion.start()
        await until(lambda: companion.restarts)
        assert "spool: Not a directory" in caplog.text or "spool: File exists" in caplog.text
        assert str(tmp_path / "file") in caplog.text
        assert "spool" in companion.snapshot()["trouble"]


class TestTheKeeper:
    async def test_goes_on_when_no_process_can_be_started(self, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        popen, failures = subprocess.Popen, [OSError("no memory"), BrokenPipeError()]

        def fail_twice(*args: Any, **options: Any) -> Any:
            if failures:
                raise failures.pop()
            return popen(*args, **options)

        monkeypatch.setattr(subprocess, "Popen", fail_twice)
        companion = made()
        await companion.start()
        await until(lambda: REPORTED in companion.snapshot())
        assert companion.restarts == 2

    async def test_waits_longer_each_time_until_one_works(self, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[float] = []
        companion = made()
        companion._pause_s = 1.0

        def wait(seconds: float) -> bool:
            pauses.append(seconds)
            return len(pauses) == 8

        monkeypatch.setattr(companion._stopping, "wait", wait)
        monkeypatch.setattr(companion, "_run", lambda: 1)
        companion._keep()
        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]

    async def test_takes_a_report_that_is_none(self, made: Any, caplog: pytest.LogCaptureFixture) -> None:
        companion = made()
        companion._read(b'{"snapshot": {"wai')
        assert "a report" in caplog.text
        companion._read(b'{"snapshot": {"waiting": 3}}\n')
        assert companion.snapshot()["waiting"] == 3

    async def test_counters_outlive_the_process(self, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        companion = made()
        runs = iter([b'{"snapshot": {"stored": 5, "waiting": 2, "oldest_ms": 9, "connected": true, "trouble": "x"}}'])

        def run() -> int:
            companion._read(next(runs))
            return 1

        monkeypatch.setattr(companion, "_run", run)
        monkeypatch.setattr(companion._stopping, "wait", lambda _: True)
        companion._keep()
        told = companion.snapshot()
        assert (told["stored"], told["connected"], told.get("waiting")) == (5, False, None)
        companion._read(b'{"snapshot": {"stored": 2, "waiting": 1, "connected": true}}')
        told = companion.snapshot()
        assert (told["stored"], told["connected"], told["waiting"]) == (7, True, 1)
        assert "trouble" not in told


class TestStuck:
    async def test_another_one_takes_over(self, made: Any, caplog: pytest.LogCaptureFixture) -> None:
        companion = made()
        await companion.start()
        await until(lambda: REPORTED in companion.snapshot())
        stuck = companion.pid
        os.kill(stuck, signal.SIGSTOP)
        writer = fill(companion)
        for _ in range(SILENT_BEATS + 1):  # a report may be on its way
            companion._beat()
        await until(lambda: not writer.is_alive())
        await until(lambda: companion.pid != stuck and REPORTED in companion.snapshot())
        assert "stuck" in caplog.text
        assert companion.restarts == 1

    async def test_closing_does_not_wait_for_it(self, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(companion_module, "CLOSE_TIMEOUT_S", 0.1)
        companion = made()
        await companion.start()
        await until(lambda: REPORTED in companion.snapshot())
        os.kill(companion.pid, signal.SIGSTOP)
        writer = fill(companion)
        await until(companion._sink._lock.locked)
        await companion.close()
        writer.join()
        companion._keeper.join()

    async def test_one_that_reports_is_left_alone(self, made: Any) -> None:
        companion = made()
        for _ in range(3 * SILENT_BEATS):
            companion._beat()
            companion._read(b'{"snapshot": {}}')
        assert companion._silent_beats == 0


async def test_no_process_after_the_end(made: Any) -> None:
    """One that was started while all ended is told that this is the end."""
    companion = made()
    companion._sink.end(EventTold("a", 0, 1, b""))
    await companion.start()
    await until(lambda: companion.restarts)
