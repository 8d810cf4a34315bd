"""The server's half: recordings are taken over, a process is watched, and what it says is passed on."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from media.config import Endpoint, ServerConfig
from media.delivery.companion import CLOSE_S, Deliveries
from media.delivery.fitting import deliveries_of, taking
from media.delivery.jobs import FOLDER, Job, JobFolder
from media.delivery.settings import DeliverySettings
from media.events.bus import EventBus, Told
from media.events.calls import CallOver
from media.events.files import EventFiles
from media.nats.config import NatsConfig
from media.server import SINK_STOP_TIMEOUT_S, Server
from media.sinks.finished import FinishedRecording
from media.sinks.finisher import CLOSE_TIMEOUT_S
from media.workers.supervisor import stop_timeout_s
from strep.clock import ManualClock, SystemClock
from strep.errors import ConfigurationError
from tests.delivery.recordings import finished, speech
from tests.events.test_files import lines_of
from tests.patience import PATIENCE_S

DOOR = Endpoint("127.0.0.1", 0)


class Heard(list[Told]):
    """Events, by name."""

    def named(self, name: str) -> list[dict[str, Any]]:
        return [told.to_json() for told in self if name == told.event.NAME]


def companion(directory: Path, **settings: Any) -> tuple[Deliveries, Heard]:
    told, clock = Heard(), SystemClock()
    bus = EventBus(clock)
    bus.subscribe(told.append)
    return Deliveries("delivery", DeliverySettings(str(directory), **settings), bus, clock), told


def event_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.events.jsonl"))


async def until(condition: Callable[[], object]) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE_S
        await asyncio.sleep(0.02)


class TestTakingOver:
    def test_where_nothing_is_to_be_done_it_is_saved_at_once(self, tmp_path: Path) -> None:
        deliveries, told = companion(tmp_path)
        recording = finished(tmp_path)
        deliveries.take(recording)
        [saved] = told.named("recording_saved")
        assert (saved["path"], saved["format"], saved["size_bytes"]) == (
            str(recording.path),
            "wav",
            recording.size_bytes,
        )
        assert not (tmp_path / FOLDER).exists()

    @pytest.mark.parametrize("wish", [{"trim_silence": True}, {"format": "mp3"}])
    def test_a_wish_of_one_recording_makes_a_job(self, tmp_path: Path, wish: dict[str, Any]) -> None:
        deliveries, told = companion(tmp_path)
        deliveries.take(finished(tmp_path, **wish))
        assert told == []
        job = JobFolder(tmp_path).read("call-1")
        assert job
        assert (job.trim_silence, job.format) == (wish.get("trim_silence", False), wish.get("format"))

    def test_one_that_ended_early_is_told_of_and_delivered(self, tmp_path: Path) -> None:
        deliveries, told = companion(tmp_path, formats=("flac",))
        deliveries.take(finished(tmp_path, error="OSError: no space"))
        [failed] = told.named("recording_failed")
        assert failed["error"] == "OSError: no space"
        assert "step" not in failed
        assert list(JobFolder(tmp_path).names()) == ["call-1"]

    def test_a_disk_that_takes_no_job(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / FOLDER).write_text("in the way")
        deliveries, told = companion(tmp_path, formats=("flac",))
        deliveries.take(finished(tmp_path))
        [failed] = told.named("recording_failed")
        assert (failed["step"], failed["will_retry"]) == ("hand over", False)
        assert "recording call-1 stays as it is" in caplog.text
        assert deliveries.snapshot()["not_taken"] == 1


class TestTheProcess:
    pytestmark = pytest.mark.realtime

    async def test_it_is_started_with_the_first_job_and_says_what_it_did(self, tmp_path: Path) -> None:
        deliveries, told = companion(tmp_path, formats=("flac",))
        await deliveries.start()
        assert deliveries._process is None
        deliveries.take(finished(tmp_path))
        await until(lambda: told.named("recording_saved"))
        await deliveries.close()
        [saved] = told.named("recording_saved")
        assert saved["path"] == str(tmp_path / "call-1.flac")
        assert saved["duration_ms"] == 10_000
        assert saved["call_id"] == "call-1"
        counted = deliveries.snapshot()
        assert (counted["taken"], counted["delivered"], counted["waiting"]) == (1, 1, 0)
        assert counted["delivered_bytes"] == (tmp_path / "call-1.flac").stat().st_size

    async def test_it_takes_what_nobody_else_wants_of_the_machine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PYTHONPATH")
        deliveries, _ = companion(tmp_path, formats=("flac",))
        await deliveries.start()
        deliveries.take(finished(tmp_path, pcm=speech(1.0)))
        await until(lambda: deliveries._process is not None)
        assert deliveries._process
        pid = deliveries._process.pid
        await until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == 19)
        await deliveries.close()

    async def test_its_events_are_those_of_the_call(self, tmp_path: Path) -> None:
        """For all who know a call when they see it again: numbers go on, files are the same."""
        deliveries, told = companion(tmp_path, formats=("flac",))
        files = EventFiles(tmp_path, deliveries._bus, SystemClock())
        recording = finished(tmp_path, pcm=speech(1.0))
        deliveries._bus.publish(recording.call, CallOver(reason="stop", duration_samples=8000))
        await deliveries.start()
        deliveries.take(recording)
        await deliveries.close()
        files.background.step()
        over, saved = told
        assert saved.call is over.call is recording.call
        assert saved.sequence == over.sequence + 1
        assert deliveries._calls == {}
        assert [(path.name, len(lines_of(path))) for path in event_files(tmp_path)] == [("call-1.events.jsonl", 3)]

    async def test_what_was_handed_over_at_the_end_is_still_done(self, tmp_path: Path) -> None:
        deliveries, told = companion(tmp_path, formats=("flac",))
        await deliveries.start()
        deliveries.take(finished(tmp_path, pcm=speech(1.0)))
        await deliveries.close()
        assert len(told.named("recording_saved")) == 1

    async def test_what_an_earlier_server_left_is_done(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path)
        folder.make()
        folder.write(Job.of(finished(tmp_path), SystemClock().wall_ns()))
        deliveries, told = companion(tmp_path, formats=("flac",))
        await deliveries.start()
        await until(lambda: told.named("recording_saved"))
        await deliveries.close()

    async def test_workers_of_a_directory_have_one(self, tmp_path: Path) -> None:
        """And when the one that has it ends, another takes over."""
        one, told = companion(tmp_path, formats=("flac",))
        other, told_too = companion(tmp_path, formats=("flac",))
        await one.start()
        one.take(finished(tmp_path, "a", speech(1.0)))
        await until(lambda: len(told.named("recording_saved")) == 1)
        await other.start()
        for name in "bcd":
            other.take(finished(tmp_path, name, speech(1.0)))
        await until(lambda: len(told.named("recording_saved")) == 4)
        assert other._process is None
        await one.close()
        other.take(finished(tmp_path, "e", speech(1.0)))
        await until(lambda: len(told_too.named("recording_saved")) == 1)
        await other.close()

    async def test_what_is_left_is_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "there").write_text("no directory")
        url = (tmp_path / "there").as_uri()
        deliveries, told = companion(tmp_path, url=url)
        await deliveries.start()
        for name in "ab":
            deliveries.take(finished(tmp_path, name, speech(1.0)))
        await until(lambda: told.named("recording_failed"))
        with caplog.at_level(logging.WARNING):
            await deliveries.close()
        assert "2 recordings are not delivered yet; the next start goes on with them" in caplog.text
        assert (tmp_path / "a.wav").exists()


def test_all_others_are_told_before_they_close(tmp_path: Path) -> None:
    """Of what is saved at the very end: whoever is told of events closes after those who tell."""
    config = ServerConfig(
        udp=DOOR,
        record=tmp_path / "a",
        takes=tmp_path / "b",
        events="files",
        http=DOOR,
        nats=NatsConfig(("nats://127.0.0.1:4222",)),
    )
    server = Server(config, on_event=lambda _told: None)
    closing = [one.name for one in reversed(list(server.companions))]
    assert closing[:3] == ["finisher", "delivery of takes", "delivery"]
    assert {"nats", "http", "callback", "event-files"} <= set(closing[3:])


def test_a_worker_has_time_to_close_all_of_them(tmp_path: Path) -> None:
    config = ServerConfig(udp=DOOR, record=tmp_path / "a", takes=tmp_path / "b", drain_timeout_s=7)
    assert stop_timeout_s(config) >= 7 + SINK_STOP_TIMEOUT_S + CLOSE_TIMEOUT_S + 2 * CLOSE_S


class TestConfiguration:
    @pytest.mark.parametrize(
        ("settings", "says"),
        [
            ({"deliver_to": "file:///x"}, "there are no recordings to deliver; give record as well"),
            ({"record": Path("x"), "deliver_keep_local": "off"}, "delivered nowhere; give deliver_to"),
            ({"record": Path("x"), "deliver_to": "s4://bucket"}, "fsspec knows no s4:"),
        ],
    )
    def test_what_cannot_be_is_refused(self, settings: dict[str, Any], says: str) -> None:
        with pytest.raises(ConfigurationError, match=says):
            deliveries_of(ServerConfig(udp=DOOR, **settings), EventBus(ManualClock()), ManualClock())

    def test_without_the_client_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        config = ServerConfig(udp=DOOR, record=Path("x"), deliver_to="s3://bucket")
        with pytest.raises(ConfigurationError, match=r"pip install '/path/to/strep\[store\]'"):
            deliveries_of(config, EventBus(ManualClock()), ManualClock())

    def test_each_directory_has_its_own(self, tmp_path: Path) -> None:
        config = ServerConfig(udp=DOOR, record=tmp_path / "a", takes=tmp_path / "b", deliver_format=("flac",))
        both = deliveries_of(config, EventBus(ManualClock()), ManualClock())
        take = taking(both)
        assert take
        for name in "ab":
            (tmp_path / name).mkdir()
            recording: FinishedRecording = finished(tmp_path / name)
            take(replace(recording, is_take=name == "b"))
            assert list(JobFolder(tmp_path / name).names()) == ["call-1"]
        assert [one.name for one in both] == ["delivery", "delivery of takes"]
        assert taking([]) is None
