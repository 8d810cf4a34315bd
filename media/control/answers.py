"""What actions are answered with: ``{"data": {"result": "ok", ...}}``, the ids in it being those of events."""

from __future__ import annotations

from typing import Literal

import msgspec


class Done(msgspec.Struct, kw_only=True):
    """It is done, or has begun.

    Attributes:
        result: errors look different.
    """

    result: Literal["ok"] = "ok"


class Playing(Done, kw_only=True):
    """It is queued, or plays.

    Attributes:
        playback_id: as in `playback_started` and `playback_ended`.
    """

    playback_id: str


class Playbacks(Done, kw_only=True):
    """Which plays it was done to; maybe none.

    Attributes:
        playback_ids: in the order of their sounding.
    """

    playback_ids: list[str]


class HeardOf(msgspec.Struct, kw_only=True):
    """What was heard of a play.

    Attributes:
        playback_id: which.
        heard_ms: so much, every pass of a loop counted.
        is_measured: by the carrier's marks; else it is estimated by the clock.
    """

    playback_id: str
    heard_ms: int
    is_measured: bool


class Cleared(Done, kw_only=True):
    """Nothing plays any more.

    Attributes:
        heard: of each play.
    """

    heard: list[HeardOf]


class Gathers(Done, kw_only=True):
    """Digits are waited for.

    Attributes:
        gather_id: as in `gather_ended`.
    """

    gather_id: str


class Recording(Done, kw_only=True):
    """It records, or will once the beep was heard.

    Attributes:
        recording_id: as in `recording_started`, `recording_saved` and `recording_failed`.
    """

    recording_id: str


class Recordings(Done, kw_only=True):
    """Which recordings have ended; maybe none.

    Attributes:
        recording_ids: in the order of their beginning.
    """

    recording_ids: list[str]


class Transcribed(Done, kw_only=True):
    """Nothing is transcribed any more.

    Attributes:
        was_transcribed: something was.
    """

    was_transcribed: bool
