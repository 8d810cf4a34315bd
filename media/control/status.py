"""What is going on in one live call: who gets its audio, what was lost of it, what plays and what is written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from media.calls import Call
from media.reports import track_report
from strep.clock import NS_PER_MS

if TYPE_CHECKING:
    from media.server import Server
    from media.sinks.runner import SinkRunner
    from media.talk.handle import Playback

MAX_SPANS = 100
"""Of a track's ledger, the newest, that are told one by one."""


def details_of(server: Server, call: Call) -> dict[str, Any]:
    """Return them, JSON values; in the event loop."""
    info = call.info
    talking = server.controls.find(info) if server.controls is not None else None
    return {
        "sinks": _sinks(server.runners, call),
        "ledgers": {track.direction.name.lower(): _ledger(server, call, track) for track in call.tracks},
        "plays": [_play(play) for play in talking.plays] if talking is not None else [],
        "can_play": talking.can_play if talking is not None else None,
        "is_gathering": talking is not None and talking.is_gathering,
        "recordings": [take.recording_id for take in server.recorder.running(info)],
        "is_paused": info.is_paused_at(None),
        "is_transcribed": server.transcriber is not None and server.transcriber.is_asked(info),
        "client_state": info.told.client_state,
    }


def _sinks(runners: Sequence[SinkRunner], call: Call) -> list[dict[str, Any]]:
    return [
        {**msgspec.to_builtins(runner.use_of(call.info)), "lag_ms": round(runner.snapshot().lag_ns / NS_PER_MS, 1)}
        for runner in runners
    ]


def _ledger(server: Server, call: Call, track: Any) -> dict[str, Any]:
    """Return samples by kind, and spans, the newest of which one by one."""
    report, rate_hz = track_report(track, server.engine.reels.of(track)), call.info.sample_rate_hz
    spans = [
        {"start_ms": round(start * 1000 / rate_hz, 1), "duration_ms": round(length * 1000 / rate_hz, 1), "kind": kind}
        for start, length, kind in report.ledger[-MAX_SPANS:]
    ]
    return {"totals_samples": report.totals, "spans": len(report.ledger), "newest": spans}


def _play(play: Playback) -> dict[str, Any]:
    return {
        "playback_id": play.playback_id,
        "kind": play.kind,
        "label": play.label,
        "state": "paused" if play.is_paused else play.state.value,
        "heard_ms": round(play.position_seconds * 1000),
        "volume_db": play.volume_db,
        "overlay": play.is_overlay,
    }
