"""The sidecar: ``<call_id>.json`` beside a recording says what the audio is and where every sample came from.

It appears with the call, in state "recording", and is replaced in one step when the call ends, so that a
reader sees the one or the other and never half of either. `sidecar.schema.json` is its published
description; a test keeps the two together.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from media.sinks.contract import CallInfo, CallReport, TrackReport

SCHEMA_VERSION = 1
SCHEMA_PATH = Path(__file__).with_name("sidecar.schema.json")

UNSERIALIZABLE = (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What `serialize` raises for a value that has no place in JSON."""

State = Literal["recording", "complete", "failed"]


class Span(msgspec.Struct, frozen=True):
    """One entry of the gap ledger; positions on the call's timeline."""

    start_samples: int
    length_samples: int
    kind: str


class Track(msgspec.Struct, frozen=True):
    """One direction; `TrackReport` explains the fields."""

    direction: Literal["inbound", "outbound"]
    channel: int
    codec: str
    start_samples: int
    length_samples: int
    totals: dict[str, int]
    ledger: list[Span]
    ledger_truncated: bool
    statistics: dict[str, Any]
    sources: list[dict[str, Any]]

    @classmethod
    def of(cls, report: TrackReport) -> Track:
        """Return the track as the sidecar shows it."""
        return cls(
            direction="outbound" if report.direction else "inbound",
            channel=int(report.direction),
            codec=report.codec,
            start_samples=report.start_samples,
            length_samples=report.length_samples,
            totals=report.totals,
            ledger=[Span(*span) for span in report.ledger],
            ledger_truncated=report.ledger_truncated,
            statistics=report.statistics,
            sources=report.sources,
        )


class Sidecar(msgspec.Struct, frozen=True):
    """The document; `sidecar.schema.json` explains the fields."""

    schema_version: int
    state: State
    call_id: str
    door: str
    identity: dict[str, Any]
    started_at: str
    started_wall_ns: int
    ended_at: str | None
    ended_wall_ns: int | None
    reason: str | None
    note: str
    error: str | None
    file: str | None
    format: str | None
    sample_rate_hz: int
    length_samples: int
    tracks: list[Track]
    events: list[dict[str, Any]]


def describe(
    call: CallInfo,
    report: CallReport | None,
    *,
    state: State,
    file: str | None,
    encoding: str | None,
    length_samples: int,
    note: str,
    error: str | None,
) -> Sidecar:
    """Return the document of a call.

    Args:
        call: who it is.
        report: how it ended, or None while it goes on.
        state: of the recording, not of the call.
        file: name of the audio file beside the sidecar, or None when none could be made.
        encoding: the file's encoding, by label, or None with `file`.
        length_samples: what the file holds, per channel.
        note: "no_media" or empty.
        error: what ended a failed recording.
    """
    return Sidecar(
        schema_version=SCHEMA_VERSION,
        state=state,
        call_id=call.call_id,
        door=call.door,
        identity=call.identity,
        started_at=iso8601(call.started_wall_ns),
        started_wall_ns=call.started_wall_ns,
        ended_at=iso8601(report.ended_wall_ns) if report else None,
        ended_wall_ns=report.ended_wall_ns if report else None,
        reason=report.reason if report else None,
        note=note,
        error=error,
        file=file,
        format=encoding,
        sample_rate_hz=call.sample_rate_hz,
        length_samples=length_samples,
        tracks=[Track.of(track) for track in report.tracks] if report else [],
        events=report.events if report else [],
    )


def iso8601(wall_ns: int) -> str:
    """Return nanoseconds since the epoch as UTC with microseconds, rounded down."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=wall_ns // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def serialize(document: Sidecar) -> bytes:
    """Return the document as indented JSON; a value that JSON does not know is written as text."""
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=_plain), indent=2) + b"\n"


def replace(path: Path, document: Sidecar) -> None:
    """Put the document at `path` in one step, mode 0600.

    Raises:
        OSError: it cannot be written; what was at `path` is still there, whole.
        UNSERIALIZABLE: the document cannot be JSON.
    """
    content = serialize(document)
    temporary = path.with_name(f".{path.name}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return repr(value)
