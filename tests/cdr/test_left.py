"""A call whose process was killed has a record when its recording is finished: what is known, and no more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from media.carrier.options import SimulationOptions
from media.carrier.plan import make_plan
from media.cdr.companion import Records
from media.config import ServerConfig
from media.events.bus import EventBus
from media.sinks.finisher import Finisher
from media.sinks.salvage import Salvage
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from tests.cdr.records import a_call, a_recording, lines
from tests.media.harness import BEGINNING_NS, Bench


@pytest.fixture
def left_behind(tmp_path: Path) -> Path:
    """Return recordings of three calls as they are after three seconds of five."""
    recordings, plan = tmp_path / "recordings", make_plan(SimulationOptions(calls=3, seconds=5))
    bench = Bench(recordings)
    for now_ns, start, stop in plan.batches(5 * NS_PER_MS):
        if now_ns < 3 * NS_PER_SECOND:
            bench.clock.monotonic_ns = BEGINNING_NS + now_ns
            bench._feed(plan, start, stop)
            bench.engine.poll(bench.clock.now_ns())
    there = shutil.copytree(recordings, tmp_path / "there")
    bench.engine.end_all("shutdown")
    return there


def finish(recordings: Path, config: ServerConfig) -> Records:
    """Do what a server does that finds `recordings`, up to their records."""
    finisher = Finisher(lambda call, event: None)
    records = Records(config, EventBus(ManualClock()), finisher, lambda call: [], ManualClock())
    salvage = Salvage(recordings, 0, finisher, ManualClock(3600 * NS_PER_SECOND))
    salvage.start()
    salvage.join()
    for _ in range(salvage.finished):
        assert finisher.step()
    while records.step():
        pass
    for writer in records.writers:
        writer.step()
    return records


def test_a_record_says_what_is_on_the_disk(left_behind: Path, tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    finish(left_behind, ServerConfig(record=left_behind, cdr=file))
    documents = lines(file)
    assert len(documents) == 3
    for document in documents:
        beside: dict[str, Any] = json.loads((left_behind / f"{document['call_id']}.json").read_bytes())
        assert (document["reason"], document["started_at"]) == ("killed", beside["started_at"])
        assert document["identity"] == beside["identity"]
        assert document["duration_ms"] == beside["length_samples"] // 8 >= 2000
        assert document["started_at"] < document["ended_at"]
        assert [one["file"] for one in document["recordings"]] == [beside["file"]]
        assert [one["samples"] for one in document["tracks"]] == [one["totals"] for one in beside["tracks"]]
        assert {one["packets"] for one in document["tracks"]} == {document["digits"]} == {None}


def test_the_next_start_writes_none_again(left_behind: Path, tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    for _ in range(2):
        finish(left_behind, ServerConfig(record=left_behind, cdr=file))
    assert len(lines(file)) == 3


def test_in_a_database_what_nobody_knows_is_null(left_behind: Path, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    import sqlite3

    database = tmp_path / "calls.db"
    finish(left_behind, ServerConfig(record=left_behind, cdr_database=f"sqlite:///{database}"))
    rows = sqlite3.connect(database).execute("SELECT reason, packets, lost, digits FROM strep_calls").fetchall()
    assert rows == [("killed", None, None, None)] * 3


def test_a_call_whose_end_was_seen_has_its_record_already(left_behind: Path, tmp_path: Path) -> None:
    """A process died between the end of a recording and what was to become of it, and the next one goes on."""
    config = ServerConfig(record=left_behind, cdr=tmp_path / "calls.jsonl")
    [path, *_] = sorted(left_behind.glob("*.json"))
    finish(left_behind, ServerConfig())
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | {"ended_at": document["started_at"], "ended_wall_ns": 1}))
    records = Records(
        config, EventBus(ManualClock()), finisher := Finisher(lambda *_: None), lambda _: [], ManualClock()
    )
    call = a_call(path.stem)
    call.index = -1
    finisher.listeners[0](a_recording(call, directory=left_behind))
    assert not records.step()


def test_without_its_sidecar_there_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config, call = ServerConfig(cdr=tmp_path / "calls.jsonl"), a_call()
    call.index = -1
    records = Records(
        config, EventBus(ManualClock()), finisher := Finisher(lambda *_: None), lambda _: [], ManualClock()
    )
    finisher.listeners[0](a_recording(call, directory=tmp_path))
    assert not records.step()
    assert "call leg-1 has no record" in caplog.text
