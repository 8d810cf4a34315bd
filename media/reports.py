"""Turning a finished call into a `CallReport`."""

from __future__ import annotations

import logging
from typing import Any

from media.calls import Call, Track
from media.events.calls import CallOver
from media.pauses.ledger import with_pauses
from media.quality.document import NETWORK_FIGURES, call_quality
from media.reels import Reel
from media.sinks.contract import CallReport, TrackReport
from strep.g711 import LINEAR, Codec
from strep.timeline import Timeline

_LOG = logging.getLogger("strep.calls")


def call_report(call: Call, reason: str, reel: Reel, ended_wall_ns: int) -> CallReport:
    """Return the report of `call`, whose tracks are finished but not closed yet."""
    ordered = sorted(call.tracks, key=lambda track: (track.direction, track.first_arrival_ns))
    tracks = [with_pauses(track_report(track, reel), call.info.pauses) for track in ordered]
    has_audio = any(track.codec is not None for track in tracks)
    if (played := _played(call)) is not None:
        tracks.append(with_pauses(played, call.info.pauses))
    length = max((track.start_samples + track.length_samples for track in tracks), default=0)
    events: list[dict[str, Any]] = list(call.events)
    if call.events_dropped:
        events.append({"event": "events_dropped", "count": call.events_dropped})
    unsupported = any(track.payload_types for track in tracks)
    note = "" if has_audio else "unsupported_payload" if unsupported else "no_media"
    return CallReport(reason, ended_wall_ns, length, tracks, events, note, call.info.position_0_wall_ns)


def _played(call: Call) -> TrackReport | None:
    try:
        return call.played.report() if call.played is not None else None
    except Exception:  # a mistake of ours must not cost the call its end
        _LOG.exception("call %s: what was played into it is not in its report", call.info.call_id)
        return None


def call_over(report: CallReport) -> CallOver:
    """Return the event that tells of the end of a call."""
    quality = call_quality(track.quality for track in report.tracks) or {}
    told = {name: quality[name] for name in NETWORK_FIGURES if name in quality} or None
    length = report.length_samples
    return CallOver(reason=report.reason, duration_samples=length, note=report.note, quality=told, report=report)


def track_report(track: Track, reel: Reel) -> TrackReport:
    """Return the report of one track, positions on the call's timeline."""
    timeline = reel.timeline
    table = timeline.table_for(track.slot)
    columns, ledger = table.tracks, table.ledgers[track.slot]
    offset = track.offset_samples or 0
    start = int(columns.origin[track.slot]) + offset if track.offset_samples is not None else 0
    return TrackReport(
        direction=track.direction,
        codec=codec_of(track, timeline),
        start_samples=start,
        length_samples=timeline.length(track.slot),
        statistics=dict(timeline.statistics(track.slot).as_dict()),
        ledger=[(span_start + offset, length, kind.value) for span_start, length, kind in ledger.spans],
        totals={kind.value: n for kind, n in timeline.ledger_totals(track.slot).items()},
        sources=[track.source],
        ledger_truncated=ledger.truncated,
        payload_types=reel.payload_types_of(track),
        telephone_events=track.keys.packets if track.keys is not None else 0,
        quality=timeline.quality(track.slot).as_dict(),
    )


def codec_of(track: Track, timeline: Timeline) -> str | None:
    """Return the name of what is received, None if nothing was that can be decoded."""
    columns = timeline.table_for(track.slot).tracks
    if columns.audio_samples[track.slot] <= 0:
        return None
    codec = int(columns.codec[track.slot])
    return track.decoder.encoding.name if codec == LINEAR and track.decoder is not None else Codec(codec).name
