"""What moves from one process to the next: calls, tracks and who may call, plain values in one piece of bytes."""

from __future__ import annotations

from typing import Any

import msgspec

from media.admission.quarantine import Held, Leg
from media.decoding.events import MovedEvents
from media.decoding.track import MovedDecoder
from media.pauses.spans import Pause
from media.tapes import TapeFormat
from strep.moving import MovedTracks

FORMAT = 1
"""Of all that is said between two processes: a version that says it otherwise has another number, and they part."""


class MovedReel(msgspec.Struct):
    """All tracks of one format."""

    tape: TapeFormat
    tracks: MovedTracks


class MovedTrack(msgspec.Struct):
    """A track beside its timeline; see `media.calls.Track`.

    Attributes:
        number: of the track in the `MovedReel` of its `tape`.
        call: index in `Moved.calls`, or None.
        pair: the plain RTP pair that a track of no call is of.
        is_decoded: its payloads are decoded one by one.
        payload_types: packets that are no audio we can decode, by type.
    """

    tape: TapeFormat
    number: int
    call: int | None
    pair: str
    direction: int
    first_arrival_ns: int
    source: dict[str, Any]
    offset_samples: int | None
    is_decoded: bool
    payload_types: dict[int, int]
    decoder: MovedDecoder | None
    keys: MovedEvents | None
    early_events: list[tuple[dict[str, Any], int | None]]


class MovedCall(msgspec.Struct):
    """A call; see `media.calls.Call` and `media.sinks.contract.CallInfo`.

    Attributes:
        told_events: how many events of it were published.
        pressed: keys among them.
    """

    call_id: str
    door: str
    started_wall_ns: int
    sample_rate_hz: int
    is_linear: bool
    identity: dict[str, Any]
    origin_wall_ns: int
    pauses: list[Pause]
    told_events: int
    started_ns: int
    origin_ns: int | None
    last_activity_ns: int
    events: list[dict[str, Any]]
    events_dropped: int
    pressed: int = 0


class Moved(msgspec.Struct):
    """Everything.

    Attributes:
        format: what it is written in.
        are_announced: legs have to be announced.
        announced: legs that may begin, and for how many seconds more.
        held: datagrams that wait for an announcement.
    """

    format: int = FORMAT
    calls: list[MovedCall] = []
    tracks: list[MovedTrack] = []
    reels: list[MovedReel] = []
    are_announced: bool = False
    announced: list[tuple[Leg, float]] = []
    held: list[tuple[Leg, Held]] = []


def encode(moved: Moved) -> bytes:
    """Return it as bytes; what is no plain value becomes text."""
    return msgspec.msgpack.encode(moved, enc_hook=_plain)


def decode(data: bytes) -> Moved:
    """Return what was encoded.

    Raises:
        ValueError: it is something else, or of another format.
    """
    moved = msgspec.msgpack.decode(data, type=Moved)
    if moved.format != FORMAT:
        raise ValueError(f"format {moved.format}, and this is {FORMAT}")
    return moved


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
