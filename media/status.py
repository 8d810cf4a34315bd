"""What a server says of itself, as plain values for logs, tables and the supervisor: see `Server.snapshot`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.calls import Call, Track
from media.engine import Engine
from media.quality.document import call_quality, track_quality
from media.reports import codec_of
from media.sinks.contract import CallInfo
from media.sinks.health import SinkSnapshot
from media.ws.totals import WsServerSnapshot
from strep.clock import NS_PER_MS, iso8601
from strep.reject import Reject


def datagram_totals(datagrams: int, rejected: NDArray[np.int64]) -> dict[str, Any]:
    """Return the totals of a door for datagrams; `rejected` is (len(Reject),), by reason."""
    reasons = {Reject(code).name: int(count) for code, count in enumerate(rejected) if count}
    return {"datagrams": datagrams, "rejected": reasons}


def stream_totals(snapshot: WsServerSnapshot) -> dict[str, Any]:
    """Return the totals of the door for media streams."""
    rejected = {reason.name: count for reason, count in snapshot.rejected.items()}
    return {
        "connections": snapshot.connections,
        "messages": snapshot.received,
        "rejected": rejected,
        "turned_away": {str(status): count for status, count in snapshot.turned_away.items()},
        "bad_handshakes": snapshot.bad_handshakes,
        "failed": snapshot.failed,
        "closed": {str(code): count for code, count in snapshot.closed.items()},
    }


def sink_totals(snapshot: SinkSnapshot) -> dict[str, Any]:
    """Return the fields of a sink's snapshot by name."""
    return {name: getattr(snapshot, name) for name in snapshot.__slots__}


def live_calls(engine: Engine) -> list[dict[str, Any]]:
    """Return every live call with the statistics of its tracks."""
    return [live_call(engine, call) for call in engine.calls.values()]


def live_call(engine: Engine, call: Call) -> dict[str, Any]:
    """Return a live call with the statistics of its tracks, JSON values."""
    info = call.info
    tracks = [_live_track(engine, track, info) for track in call.tracks]
    return {
        "call_id": info.call_id,
        "door": info.door,
        "dialect": info.dialect or None,
        "started_at": iso8601(info.position_0_wall_ns),
        "sample_rate_hz": info.sample_rate_hz,
        "identity": info.identity,
        "tracks": tracks,
        "quality": call_quality(track["quality"] for track in tracks),
    }


def _live_track(engine: Engine, track: Track, call: CallInfo) -> dict[str, Any]:
    timeline = engine.reels.of(track).timeline
    return {
        "direction": track.direction.name.lower(),
        "codec": codec_of(track, timeline),
        "length_samples": timeline.length(track.slot),
        "quiet_ms": max(engine.now_ns() - engine.last_delivery_ns(track), 0) // NS_PER_MS,
        **timeline.statistics(track.slot).as_dict(),
        "quality": track_quality(timeline.quality(track.slot).as_dict(), call, track.direction),
    }
