"""What the HTTP door answers, as types: `media.http.openapi` describes it by them, and tests hold answers to them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class LiveTrack(msgspec.Struct):
    """A track of a live call; the counters are those of `strep.statistics.TrackStatistics`, since it began.

    Attributes:
        direction: inbound is what the carrier received.
        codec: of what is received; null while nothing was that can be decoded.
        length_samples: so far.
        quiet_ms: since audio of it last came.
        received: packets or frames.
        delivered: those that are in their place.
        duplicate, late, invalid, quarantined, in_flight, reordered: packets.
        epochs: times that the numbers began anew.
        expected, cumulative_lost: of RFC 3550 A.3.
        never_arrived: given up, and not late either.
        jitter_ms, jitter_mean_ms, jitter_max_ms: of RFC 3550 A.8.
        quality: how good it is: loss, bursts, jitter, opinion by the E-model.
    """

    direction: Literal["inbound", "outbound"]
    codec: str | None
    length_samples: int
    quiet_ms: int
    received: int
    delivered: int
    duplicate: int
    late: int
    invalid: int
    quarantined: int
    in_flight: int
    reordered: int
    epochs: int
    expected: int
    cumulative_lost: int
    never_arrived: int
    jitter_ms: float
    jitter_mean_ms: float
    jitter_max_ms: float
    quality: dict[str, Any] | None


class LiveCall(msgspec.Struct):
    """A live call.

    Attributes:
        call_id: as in recordings, events and logs.
        door: it came in by.
        dialect: of a media stream, telnyx, twilio, ...; else null.
        started_at: ISO 8601.
        sample_rate_hz: of its timeline.
        identity: what the carrier said of it: from, to, call_leg_id, ...
        tracks: one or two.
        quality: of both together, by the worse.
    """

    call_id: str
    door: Literal["strep", "rtp", "ws"]
    dialect: str | None
    started_at: str
    sample_rate_hz: int
    identity: dict[str, Any]
    tracks: list[LiveTrack]
    quality: dict[str, Any] | None


class SinkUse(msgspec.Struct):
    """What a sink got of a call so far.

    Attributes:
        name: of the sink.
        delivered_blocks, waiting_blocks, dropped_blocks: of audio.
        dropped_seconds: of audio.
        errors: that it raised.
        restarts: times that it was replaced.
        detached: it gets nothing any more.
        lag_ms: how old what it has not finished with is.
    """

    name: str
    delivered_blocks: int
    waiting_blocks: int
    dropped_blocks: int
    dropped_seconds: float
    errors: int
    restarts: int
    detached: bool
    lag_ms: float


class Span(msgspec.Struct):
    """A part of a track that was not plainly received.

    Attributes:
        start_ms: on the call's timeline.
        duration_ms: of it.
        kind: lost, silence, ...; docs/recordings.md.
    """

    start_ms: float
    duration_ms: float
    kind: str


class Ledger(msgspec.Struct):
    """What is in a track so far.

    Attributes:
        totals_samples: by kind, received among them.
        spans: of all other kinds.
        newest: of these, the last ones.
    """

    totals_samples: dict[str, int]
    spans: int
    newest: list[Span]


class Play(msgspec.Struct):
    """What plays, or waits.

    Attributes:
        playback_id: as in events.
        kind: of `media.events.playbacks`.
        label: a path, a URL, the beginning of a text.
        state: queued, playing or paused.
        heard_ms: so far.
        volume_db: as it is set.
        overlay: it lies over what plays.
    """

    playback_id: str
    kind: Literal["play", "speak", "keys"]
    label: str
    state: str
    heard_ms: int
    volume_db: float
    overlay: bool


class ShownCall(LiveCall):
    """A live call, and what is going on in it.

    Attributes:
        sinks: who gets its audio.
        ledgers: by direction.
        plays: in the order of their sounding, then those that lie over them.
        can_play: whether it can be played to; null: nobody has tried.
        is_gathering: digits are waited for.
        recordings: ids of those that were started during the call and go on.
        is_paused: nothing of it is kept now.
        is_transcribed: its speech is.
        client_state: what is told with its events.
    """

    sinks: list[SinkUse]
    ledgers: dict[Literal["inbound", "outbound"], Ledger]
    plays: list[Play]
    can_play: bool | None
    is_gathering: bool
    recordings: list[str]
    is_paused: bool
    is_transcribed: bool
    client_state: str | None


class LiveCalls(msgspec.Struct):
    """Some of the live calls, the oldest first.

    Attributes:
        total: of all there are.
        calls: of these.
    """

    total: int
    calls: list[LiveCall]


class WaitingLeg(msgspec.Struct):
    """A leg that nobody has announced.

    Attributes:
        call_leg_id: which.
        datagrams: that wait.
        age_s: of the first of them.
    """

    call_leg_id: str
    datagrams: int
    age_s: float


class Legs(msgspec.Struct):
    """Who may begin a leg, and who waits.

    Attributes:
        mode: of ``--udp-legs``.
        announced: legs.
        forgotten: announcements that had to make room.
        waiting_legs: that nobody has announced.
        waiting_datagrams: of these.
        dropped_datagrams: that waited in vain.
        waiting: some of those that wait, the oldest first.
    """

    mode: str
    announced: int
    forgotten: int
    waiting_legs: int
    waiting_datagrams: int
    dropped_datagrams: int
    waiting: list[WaitingLeg]


class Leg(msgspec.Struct):
    """A leg.

    Attributes:
        call_leg_id: which.
    """

    call_leg_id: str


class AnnouncedLeg(Leg):
    """A leg that may begin.

    Attributes:
        expires_s: for so long.
    """

    expires_s: float


class Raised(msgspec.Struct):
    """An alarm; docs/alarms.md lists them.

    Attributes:
        name: of it.
        severity: critical: audio is lost, or will be.
        since: ISO 8601.
        meaning: what it means.
        detail: what is so now.
        remedy: what to do.
    """

    name: str
    severity: Literal["warning", "critical"]
    since: str
    meaning: str
    detail: str
    remedy: str


class AlarmReport(msgspec.Struct):
    """What is the matter.

    Attributes:
        status: of the worst.
        alarms: critical ones first.
    """

    status: Literal["ok", "warning", "critical"]
    alarms: list[Raised]


class Health(msgspec.Struct):
    """Whether it lives.

    Attributes:
        status: of the worst alarm.
        alarms: names of those that are raised.
    """

    status: Literal["ok", "warning", "critical"]
    alarms: list[str]


class Ready(msgspec.Struct):
    """A call may begin.

    Attributes:
        status: that it may.
    """

    status: Literal["ready"]


class Webhook(msgspec.Struct):
    """What became of a webhook.

    Attributes:
        outcome: announced, withdrawn, or why it was not heeded.
    """

    outcome: str
