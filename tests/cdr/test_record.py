"""What a record says, and what it does not."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from media.cdr.record import IDENTITY, CallRecord, RecordingRecord, TrackRecord, describe, line_of
from media.events.kinds import DigitPressed
from tests.cdr.records import SCHEMA, a_call, a_record, a_recording, a_report

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.text(st.characters(), max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def document_of(record: CallRecord) -> dict[str, Any]:
    line = line_of(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    document: dict[str, Any] = json.loads(line)
    SCHEMA.validate(document)
    return document


def test_the_schema_is_one_and_has_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)
    properties, defs = SCHEMA.schema["properties"], SCHEMA.schema["$defs"]
    assert set(properties) == set(CallRecord.__struct_encode_fields__)
    assert set(defs["track"]["properties"]) == set(TrackRecord.__struct_encode_fields__)
    assert set(defs["recording"]["properties"]) == set(RecordingRecord.__struct_encode_fields__)
    assert set(properties["identity"]["properties"]) == set(IDENTITY)


def test_what_it_says() -> None:
    call = a_call(**{"call_control_id": "v3:x", "to": "+15550002", "from": "+15550001"})
    call.told.digits.is_news(DigitPressed(digit="7", source="ws"))
    document = document_of(describe(call, a_report(call), [a_recording(call)]))
    assert document["identity"] == {"call_control_id": "v3:x"}
    assert (document["from"], document["to"], document["dialect"]) == ("+15550001", "+15550002", "telnyx")
    assert (document["started_at"], document["ended_at"]) == (
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T22:13:23.000000Z",
    )
    assert (document["duration_ms"], document["digits"]) == (2000, 1)
    assert [one["file"] for one in document["recordings"]] == ["leg-1.wav"]
    [track] = document["tracks"]
    assert (track["packets"], track["lost"], track["late"], track["duplicates"]) == (100, 5, 2, 1)
    assert (track["restarts"], track["gaps"]) == (1, 2)
    assert sum(track["samples"].values()) == track["length_samples"]
    assert track["quality"] is None


def test_a_key_is_counted_once_whichever_ways_it_came() -> None:
    call = a_call()
    for source in ("ws", "inband", "rfc4733"):
        call.told.digits.is_news(DigitPressed(digit="7", source=source, position_samples=100))
    assert describe(call, a_report(call)).digits == 1


@given(JSON, JSON, JSON)
def test_whatever_the_carrier_says_it_obeys_the_schema(one: Any, other: Any, third: Any) -> None:
    record = a_record(to=other, call_sid=third, custom_parameters={"secret": "x"}, **{"from": one})
    assert b"secret" not in line_of(record)
    document = document_of(record)
    assert "\0" not in json.dumps(document, ensure_ascii=False)
