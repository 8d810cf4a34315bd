"""Calls and their tracks while they live: who they are, and where their tracks lie on the call's timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from media.decoding.events import TelephoneEvents
from media.decoding.track import DecodedTrack
from media.events.calls import event_of_carrier
from media.events.kinds import WITHHELD, Event
from media.events.merging import NEAR_MS
from media.pauses.spans import was_paused_during
from media.sinks.contract import CallInfo, TrackReport
from media.tapes import CODE_BYTES, TapeFormat
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.header import Direction

MAX_EVENTS = 10_000
"""Carrier events (dtmf, mark, error) kept per call; beyond it they are counted only."""

Publish = Callable[[CallInfo, Event], object]
"""`media.events.bus.EventBus.publish`."""


def nobody(call: CallInfo, event: Event) -> None:
    """Tell nobody; a `Publish`."""


@dataclass(eq=False, slots=True)
class Track:
    """One direction of one leg, or one source of a plain RTP port.

    Attributes:
        slot: its slot in the timeline of its `tape`.
        direction: which channel of the call it is.
        first_arrival_ns: monotonic arrival of its first packet.
        source: where it comes from, for the sidecar; JSON values.
        call: its call; None while that is not decided yet.
        offset_samples: call position = tape position + offset_samples; set when the track joins.
        tape: how its samples are written down; that of its call.
        handle: what a door finds it by: its slot, or, where payloads are decoded one by one, a number of its own.
        decoder: of payloads that are not what the tape holds; None while all are.
        keys: its telephone-events (RFC 4733); None before the first.
        early_events: those that wait for its call, and when they came.
        number: of it in the account of its call; None before it is told of.
    """

    slot: int
    direction: Direction
    first_arrival_ns: int
    source: dict[str, Any] = field(default_factory=dict)
    call: Call | None = None
    offset_samples: int | None = None
    tape: TapeFormat = CODE_BYTES
    handle: int = 0
    decoder: DecodedTrack | None = None
    keys: TelephoneEvents | None = None
    early_events: list[tuple[dict[str, Any], int | None]] = field(default_factory=list)
    number: int | None = None

    def add_event(self, event: dict[str, Any], now_ns: int | None) -> None:
        """Add `event` to the call, as one of this track; it waits for the call if need be, within bounds."""
        event = event | {"track": self.direction.name.lower()}
        if self.call is not None:
            self.call.add_event(event, now_ns)
        elif len(self.early_events) < MAX_EVENTS:
            self.early_events.append((event, now_ns))

    def join(self, call: Call) -> Call:
        """Belong to `call` from now on; return it."""
        self.call = call
        call.tracks.append(self)
        for event, now_ns in self.early_events:
            call.add_event(event, now_ns)
        self.early_events.clear()
        return call


class Played(Protocol):
    """What is played into a call, as a track of it."""

    def report(self) -> TrackReport | None:
        """Return what there was of it by the end of the call, None if there was nothing."""


@dataclass(eq=False, slots=True)
class Call:
    """A call that is going on.

    Attributes:
        info: what the sinks know of it.
        tracks: in the order of their appearance.
        origin_ns: monotonic time of position 0; None until the first track's start is known.
        last_activity_ns: last time that audio found its place, or that the carrier spoke up otherwise.
        events: dtmf, mark, error and other events of the carrier.
        publish: whom to tell of what happens in it.
        played: what is played into it, if that is kept.
    """

    info: CallInfo
    started_ns: int
    tracks: list[Track] = field(default_factory=list)
    origin_ns: int | None = None
    last_activity_ns: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    events_dropped: int = 0
    has_ended: bool = False
    publish: Publish = nobody
    played: Played | None = None

    @property
    def tape(self) -> TapeFormat:
        """How the samples of all its tracks are written down."""
        return TapeFormat(self.info.sample_rate_hz, self.info.is_linear)

    def add_event(self, event: dict[str, Any], now_ns: int | None = None) -> None:
        """Tell `event`, and keep it for the report, within bounds, with its place if it is known when it came.

        Of a key that may have been pressed while the call was paused the report does not say which it was.
        """
        if now_ns is not None and self.origin_ns is not None:
            position = round((now_ns - self.origin_ns) * self.info.sample_rate_hz / NS_PER_SECOND)
            event = event | {"position_samples": position}
        if len(self.events) < MAX_EVENTS:
            is_private = event.get("event") == "dtmf" and self._may_be_of_a_pause(event, now_ns)
            kept = event | {"digit": WITHHELD} if is_private else event
            self.events.append(kept)
            self.info.account.tell_event(kept)
        else:
            self.events_dropped += 1
        said = event_of_carrier(event, str(event.get("track", "")), self.info.sample_rate_hz)
        if said is not None:
            self.publish(self.info, said)

    def _may_be_of_a_pause(self, key: dict[str, Any], now_ns: int | None) -> bool:
        """Return whether a key that the carrier told of at `now_ns` may have been pressed while the call was paused.

        It says how long the key was held, if that, but not how late it is itself.
        """
        if now_ns is None:
            return bool(self.info.pauses)
        duration_ms = key.get("duration_ms")
        held_ms = duration_ms if isinstance(duration_ms, int) else 0
        return was_paused_during(self.info.pauses, now_ns - (held_ms + NEAR_MS) * NS_PER_MS, now_ns)

    def place(self, track: Track, origin_position: int, origin_ns: int) -> int:
        """Fix where `track`'s first sample, at tape position `origin_position`, lies; return `offset_samples`.

        The first track to come defines position 0; every other one is placed by its arrival time, once. A
        track cannot begin before its call: reordering at the very start may cost it a fraction of the reorder wait.
        """
        if self.origin_ns is None:
            self.origin_ns = origin_ns
        start = max(round((origin_ns - self.origin_ns) * self.info.sample_rate_hz / NS_PER_SECOND), 0)
        track.offset_samples = start - origin_position
        return track.offset_samples


class CallIndexes:
    """Small integers for live calls, used again after a call has ended; a mass of ids never grows a table."""

    def __init__(self) -> None:
        """Start with all free."""
        self._free: list[int] = []
        self.high_water = 0

    def take(self) -> int:
        """Return the lowest-cost free index."""
        if self._free:
            return self._free.pop()
        self.high_water += 1
        return self.high_water - 1

    def give_back(self, index: int) -> None:
        """Make `index` free."""
        self._free.append(index)
