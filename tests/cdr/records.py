"""Calls that have ended, for tests of their records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from media.cdr.record import SCHEMA_PATH, CallRecord, describe
from media.sinks.contract import CallInfo, CallReport, TrackReport
from media.sinks.finished import FinishedRecording
from strep.header import Direction
from tests.sinks.rows import WALL_NS

SCHEMA = jsonschema.Draft202012Validator(json.loads(SCHEMA_PATH.read_bytes()))
STATISTICS: dict[str, Any] = {
    "received": 100, "delivered": 97, "duplicate": 1, "late": 2, "invalid": 0, "quarantined": 0, "in_flight": 0,
    "reordered": 3, "epochs": 2, "expected": 104, "cumulative_lost": 4, "never_arrived": 5, "jitter_ms": 0.5,
    "jitter_mean_ms": 0.25, "jitter_max_ms": 2.5,
}  # fmt: skip


def a_call(call_id: str = "leg-1", **identity: Any) -> CallInfo:
    return CallInfo(0, call_id, "ws", WALL_NS, identity=identity, dialect="telnyx")


def a_report(call: CallInfo, length_samples: int = 16_000) -> CallReport:
    ledger = [(1600, 160, "lost"), (3200, 320, "silence"), (8000, 160, "lost")]
    totals = {"received": length_samples - 640, "lost": 320, "silence": 320}
    track = TrackReport(Direction.INBOUND, "PCMU", 0, length_samples, STATISTICS, ledger, totals)
    return CallReport("stop", call.started_wall_ns + 3_000_000_000, length_samples, [track])


def a_recording(call: CallInfo, *, is_take: bool = False, directory: Path = Path("/recordings")) -> FinishedRecording:
    name = f"{call.call_id}.greeting" if is_take else call.call_id
    return FinishedRecording(
        call=call,
        recording_id="5a0e5cd2-0b53-4a6c-9e2f-7b1f8d6c1a11",
        path=directory / f"{name}.wav",
        sidecar=directory / f"{name}.json",
        is_take=is_take,
        channels=2,
        sample_rate_hz=8000,
        start_samples=0,
        length_samples=16_000,
        size_bytes=64_044,
        started_wall_ns=call.started_wall_ns,
        ended_wall_ns=call.started_wall_ns + 2_000_000_000,
    )


def a_record(number: int = 1, **identity: Any) -> CallRecord:
    call = a_call(f"leg-{number}", **identity)
    return describe(call, a_report(call), [a_recording(call)])


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the records in a file; each is whole and obeys the schema."""
    content = path.read_bytes()
    assert content.endswith(b"\n") or not content
    documents = [json.loads(line) for line in content.splitlines()]
    for document in documents:
        SCHEMA.validate(document)
    return documents
