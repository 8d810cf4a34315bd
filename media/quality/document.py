"""The quality of tracks and calls as JSON: what `/v1/calls`, sidecars and events say of it. See docs/quality.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from media.sinks.contract import CallInfo
from strep.header import Direction

Json = dict[str, Any]

NETWORK_FIGURES = ("mos", "loss_percent", "jitter_mean_ms")
"""Of `call_quality`, what is known before the audio has been listened to."""


def track_quality(network: Json | None, call: CallInfo, direction: Direction) -> Json | None:
    """Return the quality of one track, None if nobody knows it.

    Args:
        network: `strep.quality.network.NetworkQuality.as_dict`.
        call: whose audio may be listened to, see `CallInfo.audio_quality`.
        direction: which track.
    """
    if network is None:
        return None
    return network | {"audio": call.audio_quality(direction) if call.audio_quality is not None else None}


def call_quality(tracks: Iterable[Json | None]) -> Json | None:
    """Return the quality of a call, which is that of the worse of its `tracks`; None if that of none is known."""
    known = [quality for quality in tracks if quality is not None]
    if not known:
        return None
    opinions = [quality["mos"] for quality in known if quality["mos"] is not None]
    audio = [quality["audio"] for quality in known if quality.get("audio")]
    return {
        "mos": min(opinions, default=None),
        "loss_percent": max(quality["loss_percent"] for quality in known),
        "jitter_mean_ms": max(quality["jitter_mean_ms"] for quality in known),
        "one_way": any(heard["one_way"] for heard in audio) if audio else None,
        "echo": any(heard["echo"] is not None for heard in audio) if audio else None,
    }
