"""`describe_left`: the record of a call whose recorder died, and that was not heard of again, by what it left."""

from __future__ import annotations

from media.cdr.record import SCHEMA_VERSION, SOFTWARE, CallRecord, TrackRecord, identity_of, party, recording_of
from media.sinks.finished import FinishedRecording
from media.sinks.sidecar import Track, read_finished
from strep.clock import iso8601
from strep.ledger import Kind

REASON = "killed"
"""How such a call ended, as far as anybody knows."""


def describe_left(recording: FinishedRecording) -> CallRecord | None:
    """Return the record of a call that `media.sinks.salvage` finished; None if the process it was of saw its end.

    What only that process counted (packets, jitter, keys) is None.

    Raises:
        OSError: its sidecar cannot be read.
        ValueError: it is none of ours.
    """
    document = read_finished(recording.sidecar)
    if recording.is_take or document is None or document.ended_at is not None:
        return None
    said = document.identity
    return CallRecord(
        schema_version=SCHEMA_VERSION,
        call_id=document.call_id,
        door=document.door,
        dialect=recording.call.dialect or None,
        identity=identity_of(said),
        caller=party(said.get("from")),
        callee=party(said.get("to")),
        started_at=document.started_at,
        ended_at=iso8601(recording.ended_wall_ns),
        duration_ms=round(document.length_samples * 1000 / document.sample_rate_hz),
        reason=REASON,
        note=document.note,
        sample_rate_hz=document.sample_rate_hz,
        tracks=[_track(track) for track in document.tracks],
        recordings=[recording_of(recording)],
        digits=None,
        sinks=[],
        software=SOFTWARE,
    )


def _track(track: Track) -> TrackRecord:
    return TrackRecord(
        direction=track.direction,
        codec=None,
        length_samples=track.length_samples,
        gaps=sum(span.kind == Kind.LOST.value for span in track.ledger),
        samples=track.totals,
    )
