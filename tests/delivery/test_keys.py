"""Names in a store: what templates may say, and that nothing from outside says where a file goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.delivery.jobs import Job
from media.delivery.keys import FIELDS, check_template, key_of
from media.sinks.contract import CallInfo
from media.sinks.finished import FinishedRecording

RECORDING = FinishedRecording(
    call=CallInfo(0, "call-1", "ws", 0),
    recording_id="8f14e45f-ceea-467f-9575-2d0c4ba63f7a",
    path=Path("recordings/call-1.2.wav"),
    sidecar=Path("recordings/call-1.2.json"),
    is_take=False,
    channels=2,
    sample_rate_hz=8000,
    start_samples=0,
    length_samples=8000,
    size_bytes=32_100,
    started_wall_ns=1_700_000_000_123_456_789,
    ended_wall_ns=1_700_000_001_000_000_000,
)
JOB = Job.of(RECORDING, 0)


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{date}/{name}", "2023-11-14/call-1.2"),
        ("{year}/{month}/{day}/{hour}/{call_id}", "2023/11/14/22/call-1"),
        ("calls/{door}/{recording_id}", "calls/ws/8f14e45f-ceea-467f-9575-2d0c4ba63f7a"),
        ("date={date}/{name}", "date=2023-11-14/call-1.2"),
    ],
)
def test_a_template(template: str, key: str) -> None:
    assert key_of(check_template(template), JOB) == key


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{date}", "names all recordings alike"),
        ("", "names all recordings alike"),
        ("{name", "is no template"),
        ("{caller}/{name}", "has {caller}; there are {date}"),
        ("{0}/{name}", "has {0}"),
        ("{}{name}", "has {}"),
        ("{name.__class__}", "has {name.__class__}"),
        ("{name!r}", "has {name!r}"),
        ("{name:>1000000000}", "has {name:>1000000000}"),
        ("/{name}", "has '' between slashes"),
        ("{name}/", "has '' between slashes"),
        ("a//{name}", "has '' between slashes"),
        ("../{name}", "has '..' between slashes"),
        ("./{name}", "has '.' between slashes"),
        ("a b/{name}", "has 'a b' between slashes"),
        ("{name}\n", "between slashes"),
        ("ä/{name}", "between slashes"),
        ("{{x}}{name}", "between slashes"),
    ],
)
def test_a_template_that_cannot_be(template: str, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_template(template)
    assert says in str(caught.value)


@given(
    st.text(), st.text(min_size=1), st.sampled_from(["{call_id}", "{recording_id}/{call_id}", "x/{call_id}.{door}"])
)
def test_nothing_from_outside_leads_anywhere(call_id: str, recording_id: str, template: str) -> None:
    call = replace(RECORDING.call, call_id=call_id, door=call_id)
    job = Job.of(replace(RECORDING, call=call, recording_id=recording_id), 0)
    parts = key_of(check_template(template), job).split("/")
    assert len(parts) == template.count("/") + 1
    assert all(part and part.strip(".") and part.isascii() and part.isprintable() for part in parts)
    assert not {"\\", " ", "%", "?", "#", "*", "~"} & set("".join(parts))


def test_every_field_is_found() -> None:
    template = "/".join(f"{{{name}}}" for name in FIELDS)
    assert len(key_of(check_template(template), JOB).split("/")) == len(FIELDS)


def test_a_job_is_what_was_handed_over() -> None:
    again = msgspec.json.decode(msgspec.json.encode(JOB), type=Job)
    assert again == JOB
    assert again.call.info() == replace(RECORDING.call, index=-1)
