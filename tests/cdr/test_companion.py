"""Every call has a record, whoever ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport
from media.cdr.companion import Records
from media.config import ServerConfig
from media.events.bus import EventBus
from media.events.recordings import RecordingStarted
from media.reports import call_over
from media.sinks.contract import CallInfo, SinkUse
from media.sinks.finisher import Finisher
from strep.clock import ManualClock
from tests.cdr.records import a_call, a_recording, a_report, lines
from tests.media.harness import sidecar
from tests.media.recorded import record
from tests.media.serving import serving
from tests.patience import PATIENCE_S

TABLE = "SELECT call_id, packets FROM strep_calls"


async def test_what_a_server_writes_is_what_its_sidecars_say(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    import sqlite3

    recordings, file, database = tmp_path / "recordings", tmp_path / "calls.jsonl", tmp_path / "calls.db"
    options = SimulationOptions(calls=3, seconds=0.5, network=NetworkModel(loss=0.1), seed=5)
    config = {"cdr": file, "cdr_database": f"sqlite:///{database}", "detect": ("dtmf",)}
    server, _, _ = await record(recordings, options, **config)
    documents = lines(file)
    assert len(documents) == 3
    for document in documents:
        beside = sidecar(recordings, document["call_id"])
        assert document["started_at"] == beside["started_at"]
        assert document["ended_at"] == beside["ended_at"]
        assert [one["file"] for one in document["recordings"]] == [beside["file"]]
        assert document["quality"] == beside["quality"] is not None
        assert [track["quality"] for track in document["tracks"]] == [track["quality"] for track in beside["tracks"]]
        tracks = [(track["packets"], track["lost"], track["samples"]) for track in document["tracks"]]
        assert tracks == [
            (track["statistics"]["received"], track["statistics"]["never_arrived"], track["totals"])
            for track in beside["tracks"]
        ]
        assert {sink["name"] for sink in document["sinks"]} == {"recording", "hearing"}
    rows = sqlite3.connect(database).execute(TABLE).fetchall()
    assert sorted(rows) == sorted(
        (document["call_id"], sum(track["packets"] for track in document["tracks"])) for document in documents
    )
    said = server.snapshot()["companions"]["cdr"]
    assert said["incomplete"] == said["waiting"] == 0
    assert said["file"]["written"] == said["database"]["written"] == 3


async def test_of_media_streams_without_recordings(tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    options = SimulationOptions(Transport.WEBSOCKET, seconds=0.2)
    await record(tmp_path, options, record=None, cdr=file)
    [document] = lines(file)
    assert (document["door"], document["dialect"], document["recordings"]) == ("ws", "telnyx", [])
    assert document["identity"]["stream_id"] == document["call_id"]


@pytest.mark.realtime
def test_workers_share_the_file(tmp_path: Path) -> None:
    arguments = ("--udp", ":0", "--workers", "2", "--cdr", "calls.jsonl", "--idle-timeout", "0.5")
    with serving(*arguments, folder=tmp_path) as (process, addresses):
        command = [sys.executable, "-m", "media.cli", "simulate", "--udp", addresses["udp"]]
        subprocess.run(
            [*command, "--calls", "8", "--seconds", "0.3"], check=True, capture_output=True, timeout=PATIENCE_S
        )
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    assert len({document["call_id"] for document in lines(tmp_path / "calls.jsonl")}) == 8


def test_a_mistake_of_ours_costs_one_record(tmp_path: Path) -> None:
    """And a recording that comes behind the record costs nothing."""
    clock = ManualClock()
    bus, finisher = EventBus(clock), Finisher(lambda call, event: None)

    def uses(call: CallInfo) -> list[SinkUse]:
        if call.call_id == "leg-1":
            raise RuntimeError("a mistake")
        return []

    config = ServerConfig(cdr=tmp_path / "calls.jsonl")
    records = Records(config, bus, finisher, uses, clock)
    for call in (a_call("leg-1"), a_call("leg-2")):
        bus.publish(call, call_over(a_report(call)))
        records.step()
        finisher.listeners[0](a_recording(call))
        records.step(is_over=True)
    records.writers[0].step()
    assert [document["call_id"] for document in lines(tmp_path / "calls.jsonl")] == ["leg-2"]


def test_a_take_that_runs_when_its_call_ends_is_in_the_record(tmp_path: Path) -> None:
    clock, config = ManualClock(), ServerConfig(cdr=tmp_path / "calls.jsonl", takes=tmp_path)
    bus, finisher = EventBus(clock), Finisher(lambda call, event: None)
    records = Records(config, bus, finisher, lambda call: [], clock)
    call = a_call()
    take = a_recording(call, is_take=True)
    bus.publish(call, RecordingStarted(recording_id=take.recording_id, channels="dual"))
    bus.publish(call, call_over(a_report(call)))
    assert not records.step()
    finisher.listeners[0](take)
    assert records.step()
    records.writers[0].step()
    [document] = lines(tmp_path / "calls.jsonl")
    assert [one["is_take"] for one in document["recordings"]] == [True]


def test_the_report_is_not_told_to_others() -> None:
    call = a_call()
    assert call_over(a_report(call)).to_json(8000) == {"reason": "stop", "duration_ms": 2000}
