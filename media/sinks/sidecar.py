"""The sidecar: ``<call_id>.json`` beside a recording says what the audio is and where every sample came from.

It appears with the call, in state "recording", and is replaced in one step when the call ends, so that a
reader sees the one or the other and never half of either. Only on a disk that has no room for a second file
it is written over in place, within the room it has (`media.sinks.overwriting`).
`sidecar.schema.json` is its published description; a test keeps the two together.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from media.documents import create_temporary, read_document
from media.quality.document import call_quality, track_quality
from media.sinks.contract import CallInfo, CallReport, SinkUse, TrackReport
from strep.clock import iso8601

SCHEMA_VERSION = 1
SCHEMA_PATH = Path(__file__).with_name("sidecar.schema.json")

UNSERIALIZABLE = (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What `serialize` raises for a value that has no place in JSON."""

_RESERVE_BYTES = 768
"""Blanks behind the first sidecar: with them, `overwrite` has room for the end, and for why, on any file system."""

_HEAD_BYTES = 64
_UNFINISHED = b'"state": "recording"'
"""In the head of a document, as `serialize` writes it."""

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
    codec: str | None
    start_samples: int
    length_samples: int
    totals: dict[str, int]
    ledger: list[Span]
    ledger_truncated: bool
    payload_types: dict[str, int]
    statistics: dict[str, Any]
    sources: list[dict[str, Any]]
    telephone_events: int = 0
    quality: dict[str, Any] | None = None

    @classmethod
    def of(cls, report: TrackReport, call: CallInfo | None = None) -> Track:
        """Return the track as the sidecar shows it; of one that a dead process left nobody knows the quality."""
        return cls(
            direction="outbound" if report.direction else "inbound",
            channel=int(report.direction),
            codec=report.codec,
            start_samples=report.start_samples,
            length_samples=report.length_samples,
            totals=report.totals,
            ledger=[Span(*span) for span in report.ledger],
            ledger_truncated=report.ledger_truncated,
            payload_types=report.payload_types,
            statistics=report.statistics,
            sources=report.sources,
            telephone_events=report.telephone_events,
            quality=track_quality(report.quality, call, report.direction) if call is not None else None,
        )


class Clock(msgspec.Struct, frozen=True):
    """When a recording began, by a clock that nobody sets."""

    boot_id: str
    started_monotonic_ns: int


class Restart(msgspec.Struct, frozen=True):
    """Where the recorder died and another one went on."""

    start_samples: int
    length_samples: int


class Omitted(msgspec.Struct, frozen=True):
    """Time that is not in the file."""

    start_samples: int
    length_samples: int


class Take(msgspec.Struct, frozen=True):
    """A recording that was started during the call."""

    name: str
    start_samples: int
    end_samples: int | None
    track: Literal["both", "inbound", "outbound"]
    channels: Literal["dual", "single"]
    look_back_samples: int
    ended_by: str | None = None


class Trimmed(msgspec.Struct, frozen=True):
    """Silence that was cut off when the recording was closed."""

    leading_samples: int
    trailing_samples: int
    threshold_dbfs: float
    kept_ms: int


class MadeFile(msgspec.Struct, frozen=True):
    """A file that the recording was made into."""

    file: str
    format: str
    size_bytes: int
    sha256: str
    url: str | None


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
    clock: Clock | None = None
    restarts: list[Restart] = []
    recording_id: str = ""
    channels: int = 2
    omitted: list[Omitted] = []
    take: Take | None = None
    trimmed: Trimmed | None = None
    files: list[MadeFile] = []
    sinks: list[SinkUse] = []
    handed_over_samples: int | None = None
    encrypted_to: list[str] = []
    quality: dict[str, Any] | None = None
    dialect: str | None = None


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
    clock: Clock | None = None,
    restarts: Sequence[Restart] = (),
    recording_id: str = "",
    take: Take | None = None,
    sinks: Sequence[SinkUse] = (),
    encrypted_to: Sequence[str] = (),
) -> Sidecar:
    """Return the document of a call.

    Args:
        call: who it is.
        report: how it ended, or None while it goes on.
        state: of the recording, not of the call.
        file: name of the audio file beside the sidecar, or None when none could be made.
        encoding: the file's encoding, by label, or None with `file`.
        length_samples: what the file holds, per channel.
        note: "no_media", "unsupported_payload" or empty.
        error: what ended a failed recording.
        clock: while it goes on: what another process needs to go on with it.
        restarts: where others have gone on.
        recording_id: UUID of the recording.
        take: what it is if it is not that of the whole call.
        sinks: what each sink got of the call.
        encrypted_to: public keys whose owners can open the file.
    """
    tracks = [Track.of(track, call) for track in report.tracks] if report else []
    started_wall_ns = (report.started_wall_ns if report else 0) or call.position_0_wall_ns
    return Sidecar(
        schema_version=SCHEMA_VERSION,
        state=state,
        call_id=call.call_id,
        door=call.door,
        identity=call.identity,
        started_at=iso8601(started_wall_ns),
        started_wall_ns=started_wall_ns,
        ended_at=iso8601(report.ended_wall_ns) if report else None,
        ended_wall_ns=report.ended_wall_ns if report else None,
        reason=(report.reason or None) if report else None,
        note=note,
        error=error,
        file=file,
        format=encoding,
        sample_rate_hz=call.sample_rate_hz,
        length_samples=length_samples,
        tracks=tracks,
        events=report.events if report else [],
        clock=clock,
        restarts=list(restarts),
        recording_id=recording_id,
        take=take,
        sinks=list(sinks),
        encrypted_to=list(encrypted_to),
        quality=call_quality(track.quality for track in tracks),
        dialect=call.dialect or None,
    )


def serialize(document: Sidecar) -> bytes:
    """Return the document as indented JSON; a value that JSON does not know is written as text."""
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=plain), indent=2) + b"\n"


def read_unfinished(path: Path) -> Sidecar | None:
    """Return the document at `path` if it is one of ours that is in state "recording"."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if _UNFINISHED not in head:  # which spares the ledgers of all that are finished
                return None
            document = read_document(head + file.read(), Sidecar)
    except (OSError, ValueError):
        return None
    return document if (document.schema_version, document.state) == (SCHEMA_VERSION, "recording") else None


def read_finished(path: Path) -> Sidecar | None:
    """Return the document at `path`; None if its audio is still being recorded.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is none of ours.
    """
    document = read_document(path.read_bytes(), Sidecar)
    if document.schema_version != SCHEMA_VERSION:
        raise ValueError(f"{path.name} is not of this version of strep")
    return document if document.state != "recording" else None


def replace(path: Path, document: Sidecar) -> None:
    """Put the document at `path` in one step, mode 0600.

    Raises:
        OSError: it cannot be written; what was at `path` is still there, whole.
        UNSERIALIZABLE: the document cannot be JSON.
    """
    content = serialize(document)
    if document.state == "recording":
        content = content[:-1].ljust(len(content) + _RESERVE_BYTES) + b"\n"
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.tmp")
    fd = create_temporary(temporary)
    try:
        while content:
            content = content[os.write(fd, content) :]
        os.replace(temporary, path)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    finally:
        os.close(fd)


def plain(value: Any) -> Any:
    """Return a value that JSON does not know as one that it does."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return repr(value)
