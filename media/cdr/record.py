"""`CallRecord`: what is known of a call that has ended, as one line of JSON.

`cdr.schema.json` is its published description; a test keeps the two together. No digit, no text and no audio of the
call is in it, and of what the carrier said only names of the call and its parties.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from media.quality.document import call_quality, track_quality
from media.sinks.contract import CallInfo, CallReport, SinkUse, TrackReport
from media.sinks.finished import FinishedRecording
from media.sinks.sidecar import plain
from strep import __version__
from strep.clock import iso8601
from strep.ledger import Kind

SCHEMA_VERSION = 1
SCHEMA_PATH = Path(__file__).with_name("cdr.schema.json")
IDENTITY = (
    "call_leg_id", "leg", "stream_id", "call_control_id", "call_session_id", "call_sid", "account_sid", "call_uuid",
    "account_id", "user_id", "name",
)  # fmt: skip
"""What of `CallInfo.identity` is in a record: names by which the carrier, or a pair of ports, knows the call."""
MAX_TEXT_CHARACTERS = 256
"""Of each text that comes from the carrier."""
SOFTWARE = f"strep {__version__}"


class TrackRecord(msgspec.Struct, frozen=True):
    """One direction; `cdr.schema.json` explains the fields."""

    direction: Literal["inbound", "outbound"]
    codec: str | None
    length_samples: int
    gaps: int
    samples: dict[str, int]
    packets: int | None = None
    lost: int | None = None
    late: int | None = None
    duplicates: int | None = None
    reordered: int | None = None
    invalid: int | None = None
    restarts: int | None = None
    jitter_ms: float | None = None
    jitter_mean_ms: float | None = None
    jitter_max_ms: float | None = None
    quality: dict[str, Any] | None = None


class RecordingRecord(msgspec.Struct, frozen=True):
    """A file of the call."""

    file: str
    recording_id: str
    is_take: bool
    length_samples: int
    error: str | None


class CallRecord(msgspec.Struct, frozen=True):
    """The record of a call; `cdr.schema.json` explains the fields."""

    schema_version: int
    call_id: str
    door: str
    dialect: str | None
    identity: dict[str, str]
    caller: str | None = msgspec.field(name="from")
    callee: str | None = msgspec.field(name="to")
    started_at: str
    ended_at: str
    duration_ms: int
    reason: str
    note: str
    sample_rate_hz: int
    tracks: list[TrackRecord]
    recordings: list[RecordingRecord]
    digits: int | None
    sinks: list[SinkUse]
    software: str
    quality: dict[str, Any] | None = None


def describe(
    call: CallInfo,
    report: CallReport,
    recordings: Iterable[FinishedRecording] = (),
    sinks: Sequence[SinkUse] = (),
) -> CallRecord:
    """Return the record of a call.

    Args:
        call: who it is.
        report: how it ended.
        recordings: its files.
        sinks: what each sink got of it.
    """
    said = call.identity
    tracks = [_track(track, call) for track in report.tracks]
    started_wall_ns = report.started_wall_ns or call.position_0_wall_ns
    return CallRecord(
        schema_version=SCHEMA_VERSION,
        call_id=call.call_id,
        door=call.door,
        dialect=call.dialect or None,
        identity=identity_of(said),
        caller=party(said.get("from")),
        callee=party(said.get("to")),
        started_at=iso8601(started_wall_ns),
        ended_at=iso8601(max(report.ended_wall_ns, started_wall_ns)),
        duration_ms=round(report.length_samples * 1000 / call.sample_rate_hz),
        reason=report.reason,
        note=report.note,
        sample_rate_hz=call.sample_rate_hz,
        tracks=tracks,
        recordings=[recording_of(recording) for recording in recordings],
        digits=call.told.digits.pressed,
        sinks=list(sinks),
        software=SOFTWARE,
        quality=call_quality(track.quality for track in tracks),
    )


def line_of(record: CallRecord) -> bytes:
    """Return a record as one line, its end included."""
    return msgspec.json.encode(record, enc_hook=plain) + b"\n"


def _track(track: TrackReport, call: CallInfo) -> TrackRecord:
    statistics = track.statistics
    return TrackRecord(
        direction="outbound" if track.direction else "inbound",
        codec=track.codec,
        length_samples=track.length_samples,
        packets=statistics["received"],
        lost=statistics["never_arrived"],
        late=statistics["late"],
        duplicates=statistics["duplicate"],
        reordered=statistics["reordered"],
        invalid=statistics["invalid"],
        restarts=max(statistics["epochs"] - 1, 0),
        jitter_ms=statistics["jitter_ms"],
        jitter_mean_ms=statistics["jitter_mean_ms"],
        jitter_max_ms=statistics["jitter_max_ms"],
        gaps=sum(kind == Kind.LOST.value for _, _, kind in track.ledger),
        samples=track.totals,
        quality=track_quality(track.quality, call, track.direction),
    )


def identity_of(said: Mapping[str, Any]) -> dict[str, str]:
    """Return of what the carrier said the names of the call."""
    return {name: _text(said[name]) for name in IDENTITY if isinstance(said.get(name), str | int)}


def recording_of(recording: FinishedRecording) -> RecordingRecord:
    """Return what a record says of a file."""
    return RecordingRecord(
        file=recording.path.name,
        recording_id=recording.recording_id,
        is_take=recording.is_take,
        length_samples=recording.length_samples,
        error=_text(recording.error) if recording.error is not None else None,
    )


def party(said: Any) -> str | None:
    """Return who called, or was called; None if the carrier did not say."""
    return _text(said) if isinstance(said, str | int) and said != "" else None


def _text(said: str | int) -> str:
    """Return what the carrier said, of bounded length, without what databases do not take (NUL, half characters)."""
    text = str(said)[:MAX_TEXT_CHARACTERS]
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
