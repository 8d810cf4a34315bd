"""What is written obeys the published schema, and adds up."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sinks.contract import CallReport, TrackReport
from media.sinks.naming import remove_left_over
from media.sinks.overwriting import overwrite
from media.sinks.recording import RecordingSink
from media.sinks.sidecar import (
    Clock,
    MadeFile,
    Restart,
    Sidecar,
    Span,
    Track,
    Trimmed,
    describe,
    replace,
)
from media.sinks.told import UNACCOUNTED
from strep.clock import ManualClock, iso8601
from strep.header import Direction
from strep.ledger import Kind, Ledger
from tests.sinks.rows import Row, batch_of, call_info, call_report
from tests.sinks.sidecars import SCHEMA, check
from tests.sinks.waves import DiskOf


def track_of(direction: Direction, start: int, kinds: list[tuple[int, Kind]]) -> TrackReport:
    ledger, position = Ledger(), start
    received = 0
    for length, kind in kinds:
        if kind is Kind.RECEIVED:
            received += length
        else:
            ledger.add(position, length, kind)
        position += length
    totals = {kind.value: total for kind, total in ledger.totals.items()} | {"received": received}
    spans = [(first, length, kind.value) for first, length, kind in ledger.spans]
    return TrackReport(direction, "PCMA", start, position - start, {}, spans, totals)


class TestSchema:
    def test_is_a_schema(self) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    @pytest.mark.parametrize(
        ("struct", "schema"),
        [
            (Sidecar, SCHEMA),
            (Track, SCHEMA["$defs"]["track"]),
            (Span, SCHEMA["$defs"]["span"]),
            (Clock, SCHEMA["$defs"]["clock"]),
            (Restart, SCHEMA["$defs"]["restart"]),
            (Trimmed, SCHEMA["$defs"]["trimmed"]),
            (MadeFile, SCHEMA["$defs"]["made_file"]),
        ],
    )
    def test_names_every_field(self, struct: type[msgspec.Struct], schema: dict[str, Any]) -> None:
        assert list(struct.__struct_fields__) == list(schema["properties"]) == schema["required"]
        assert schema["additionalProperties"] is False
        for name, described in schema["properties"].items():
            assert "description" in described or "$ref" in described, name

    def test_knows_every_kind(self) -> None:
        assert SCHEMA["$defs"]["kind"]["enum"] == [*(kind.value for kind in Kind), UNACCOUNTED]

    @pytest.mark.parametrize(
        "change",
        [
            {"state": "done"},
            {"extra": 1},
            {"error": "an error in a complete recording"},
            {"file": None},
            {"started_at": "2026-01-01T00:00:00Z"},
            {"length_samples": -1},
        ],
    )
    def test_is_strict(self, tmp_path: Path, change: dict[str, Any]) -> None:
        document = record(tmp_path, call_report(800)) | change
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate(document)


def record(directory: Path, report: CallReport, *rows: Row, dialect: str = "") -> dict[str, Any]:
    sink = RecordingSink(directory, clock=ManualClock())
    call = dataclasses.replace(call_info(), dialect=dialect)
    call.identity["from"] = "+15550100"
    sink.call_started(call)
    assert check(directory / "call-0.json")["state"] == "recording"
    if rows:
        sink.receive(batch_of(*rows))
    sink.call_ended(call, report)
    return check(directory / "call-0.json")


class TestRealSidecars:
    @pytest.mark.parametrize("dialect", ["twilio", ""])
    def test_whose_stream_it_was(self, tmp_path: Path, dialect: str) -> None:
        assert record(tmp_path, call_report(800), Row(0, 0, 0), dialect=dialect)["dialect"] == (dialect or None)

    def test_complete(self, tmp_path: Path) -> None:
        report = call_report(800)
        report.events.append({"type": "dtmf", "digit": "5", "position_samples": 17})
        document = record(tmp_path, report, Row(0, 0, 0))
        assert document["state"] == "complete"
        assert document["identity"] == {"call_leg_id": "x", "from": "+15550100"}
        assert document["started_at"] == "2023-11-14T22:13:20.000000Z"
        assert document["ended_wall_ns"] - document["started_wall_ns"] == 1000
        assert document["tracks"][0]["statistics"] == {"packets": 3, "jitter_ms": 0.5}
        assert document["events"] == report.events
        assert stat.S_IMODE((tmp_path / "call-0.json").stat().st_mode) == 0o600

    def test_no_media(self, tmp_path: Path) -> None:
        document = record(tmp_path, call_report(0))
        assert (document["note"], document["length_samples"], document["tracks"]) == ("no_media", 0, [])

    def test_the_start_that_is_known_at_the_end(self, tmp_path: Path) -> None:
        report = call_report(800)
        report.started_wall_ns = ManualClock().epoch_ns + 2_000
        document = record(tmp_path, report, Row(0, 0, 0))
        assert document["started_wall_ns"] == report.started_wall_ns
        assert document["started_at"] == "2023-11-14T22:13:20.000002Z"

    def test_unsupported_payload(self, tmp_path: Path) -> None:
        track = TrackReport(Direction.INBOUND, None, 0, 0, {}, [], {}, payload_types={"18": 100})
        document = record(tmp_path, CallReport("idle", 1, 0, [track], note="unsupported_payload"))
        assert document["note"] == "unsupported_payload"
        assert (document["tracks"][0]["codec"], document["tracks"][0]["payload_types"]) == (None, {"18": 100})

    def test_failed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        sink = RecordingSink(tmp_path, clock=ManualClock())
        monkeypatch.setattr("media.sinks.wav.os.pwrite", full)
        sink.call_started(call_info())
        assert check(tmp_path / "call-0.json")["state"] == "failed"
        sink.call_ended(call_info(), call_report(0))
        document = check(tmp_path / "call-0.json")
        assert (document["file"], document["format"]) == (None, None)

    @given(
        starts=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
        kinds=st.tuples(*[st.lists(st.tuples(st.integers(1, 5000), st.sampled_from(Kind)))] * 2),
    )
    def test_any_ledger(self, tmp_path_factory: Any, starts: tuple[int, int], kinds: tuple[Any, Any]) -> None:
        tracks = [track_of(Direction(d), starts[d], kinds[d]) for d in (0, 1)]
        length = max(track.start_samples + track.length_samples for track in tracks)
        report = CallReport("stop", ManualClock().epoch_ns, length, tracks)
        record(tmp_path_factory.mktemp("recordings"), report)


class TestReplace:
    DOCUMENT = describe(
        call_info(), None, state="recording", file="x.wav", encoding="pcm16", length_samples=0, note="", error=None
    )

    def test_leaves_the_old_one_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "x.json"
        replace(path, self.DOCUMENT)
        before = path.read_bytes()

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="No space"):
            replace(path, msgspec.structs.replace(self.DOCUMENT, state="complete"))
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_a_link_in_its_way_is_not_followed(self, tmp_path: Path) -> None:
        victim, path = tmp_path / "victim", tmp_path / "x.json"
        victim.write_text("mine")
        (tmp_path / ".x.json.tmp").symlink_to(victim)
        replace(path, self.DOCUMENT)
        assert victim.read_text() == "mine"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["victim", "x.json"]
        assert not path.is_symlink()

    def test_what_a_dead_process_left_is_removed_and_what_is_being_written_is_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, left, rename = tmp_path / "x.json", tmp_path / ".x.json.tmp", os.replace
        left.write_text("{")
        assert remove_left_over(left)

        def look_first(source: str, target: Path) -> None:
            assert not remove_left_over(left)
            rename(source, target)

        monkeypatch.setattr(os, "replace", look_first)
        replace(path, self.DOCUMENT)
        assert list(tmp_path.iterdir()) == [path]

    @given(st.integers(0, 300), st.integers(0, 300), st.booleans())
    def test_overwrite_fits_and_obeys_the_schema(
        self, tmp_path_factory: Any, spans: int, events: int, has_block: bool
    ) -> None:
        """Whatever the size of the report, and on a file system that lends nothing beyond the end of the file."""
        path = tmp_path_factory.mktemp("full") / "x.json"
        replace(path, self.DOCUMENT)
        before = path.stat()
        report = call_report(800)
        report.tracks[0].ledger = [(position, 1, "lost") for position in range(spans)]
        report.events = [{"type": "mark"}] * events
        document = describe(
            call_info(), report, state="complete", file="x.wav", encoding="pcm16", length_samples=800, note="",
            error=None,
        )  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            if not has_block:
                patch.setattr("media.sinks.sidecar.os.pwrite", DiskOf(before.st_size))
            is_whole = overwrite(path, document, "OSError: " + "x" * 5000)
        room = before.st_blocks * 512 if has_block else before.st_size
        assert path.stat().st_size <= max(room, before.st_size)
        found = json.loads(path.read_bytes())
        jsonschema.Draft202012Validator(SCHEMA).validate(found)
        assert (found["state"] == "complete") == is_whole
        assert len(found["events"]) in (0, events)
        assert is_whole or found["error"].startswith("OSError")

    def test_values_that_json_does_not_know(self, tmp_path: Path) -> None:
        identity = {"a": np.float32(0.5), "b": np.arange(2), "c": {1}, "d": float("nan")}
        replace(tmp_path / "x.json", msgspec.structs.replace(self.DOCUMENT, identity=identity))
        document = check(tmp_path / "x.json")
        assert document["identity"] == {"a": 0.5, "b": [0, 1], "c": [1], "d": None}


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)), st.integers(0, 999))
def test_iso8601_is_exact(moment: datetime, ns: int) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    micros = (moment - epoch) // (moment.resolution)
    assert datetime.strptime(iso8601(micros * 1000 + ns), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) == moment
