"""The contract between the engine and a sink; five members, and this file is all of it.

A sink runs in a thread of its own behind a bounded queue (`media.sinks.runner`), so it may take its time:
it cannot hold up reception or another sink. What happens when it falls behind is its own declaration
(`WhenBehind`). An exception that leaves a sink is logged and counted, and the sink goes on with the next call
or block.

A sink that fails for good is replaced, if it is known how to make it: a sink of another package
(`media.sinks.plugins`), or one of which `media.Server` was given what makes it (a class, a function without
arguments) instead of the sink. It has failed when it raised `SinkOptions.max_failures` times in a row, when it raised
what is no ``Exception`` (``sys.exit()``), or when a call into it did not return for `SinkOptions.hang_s`. Then

* no call but ``close`` is made of it any more, in its own thread; a thread that hangs is left behind, at most
  `media.sinks.lives.MAX_ABANDONED` of them at a time. A sink that hangs once more is detached for good;
* after 0.1 s, then twice as long each time up to 30 s, and again 0.1 s once one has lived well for a minute, another
  sink is made, in a thread of its own. It may be made before ``close`` of the old one returns. It is told of all
  calls that the old one knew (``call_started``), then gets what the queue holds, the first batch marked
  `follows_dropped`;
* what the old one hung over and what found no room in the queue meanwhile counts as dropped, for the sink and for
  each call. What it raised at is not given to the new one, and counts as errors;
* the events ``sink_failed``, ``sink_restarted`` and ``sink_detached`` of each of these calls tell of it, and so do
  metrics, alarms and, at the end of a call, the sidecar of its recording.

A sink that is given as an object goes on whatever it raises, and if it hangs the queue drops until it returns. One
that is useless with holes (`WhenBehind.DETACH`) is detached where others are replaced. Those of our own are objects:
the recording has files open that nobody else may write to, so what raises there ends the one recording it is about.

Order of calls, per call index: ``call_started``, any number of ``receive``, ``call_ended``. An index is used
again for a new call after ``call_ended``. A sink that hangs while thousands of calls come and go does not get
to see those that had ended before it could (`media.sinks.queue`).

A sink of your own reaches ``strep serve --sink NAME`` when your package declares what makes it, as
``[project.entry-points."strep.sinks"]`` with ``NAME = "package.module:SinkClass"``; see `media.sinks.plugins`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import msgspec

from media.account import Account
from media.blocks import PcmBatch
from media.events.merging import DigitMerger, ToldSoFar
from media.pauses.spans import Pause, is_paused_at
from strep.header import Direction

HANDED_OVER = "handed_over"
"""Reason of the end, for sinks, of a call that goes on in another process, where it begins as `CallInfo.goes_on`."""


class WhenBehind(Enum):
    """What the queue in front of a sink does when it is full."""

    DROP_OLDEST = "drop-oldest"
    """Forget the oldest blocks: a live consumer that wants now, not then."""
    DETACH = "detach"
    """Stop feeding the sink for good, and say so: a consumer that is useless with holes."""


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """What a sink asks of the engine.

    Attributes:
        name: for logs, metrics and the sidecar.
        block_ms: how much audio it wants at a time, 20 to 1000; the engine releases at the smallest wish of all
            sinks, so blocks may come smaller than asked for.
        grid_ms: its blocks must be a whole number of so many, whatever others wish.
        when_behind: what to do when the queue is full.
        max_queue_bytes: bound of the queue in memory.
        max_queue_seconds: bound of the queue in age of its oldest block.
        patience_ms: how long audio may wait for company before it is handed over. Where no sink is in a hurry,
            more packets are taken at a time, and each costs less. 0, for live sinks: as soon as may be.
        is_sensitive: what it gets is kept, or leaves the process: while a call's recording is paused it gets silence
            instead (`media.pauses`). False only for a sink that acts on the audio and forgets it.
        wants_played: it gets what is played into calls as well, where the carrier does not send that; some time after
            what comes from the carrier.
        max_failures: so many exceptions in a row, no block being taken in between, and it is replaced if it can be;
            0: whatever it raises it goes on.
        hang_s: a call into it that takes longer has hung, and it is replaced if it can be; 0: never.
    """

    name: str
    block_ms: int = 100
    when_behind: WhenBehind = WhenBehind.DROP_OLDEST
    max_queue_bytes: int = 64 << 20
    max_queue_seconds: float = 10.0
    patience_ms: float = 0.0
    is_sensitive: bool = True
    wants_played: bool = False
    grid_ms: int = 1
    max_failures: int = 10
    hang_s: float = 30.0


def recorder_options(name: str, max_queue_bytes: int) -> SinkOptions:
    """Return those of who keeps all audio: a disk may stall for seconds, and what is dropped for it is lost."""
    return SinkOptions(
        name, max_queue_bytes=max_queue_bytes, max_queue_seconds=30.0, patience_ms=100, wants_played=True
    )


def block_ms_of(wishes: Iterable[SinkOptions], most_ms: int) -> int:
    """Return how much audio all sinks are handed at a time: the smallest wish, on everybody's grid."""
    wishes = list(wishes)
    block_ms = min([most_ms, *(options.block_ms for options in wishes)])
    grid_ms = math.lcm(*(options.grid_ms for options in wishes))
    return max(block_ms - block_ms % grid_ms, grid_ms)


TellAudioQuality = Callable[[Direction], dict[str, Any] | None]
"""Tells what is known of the audio of one direction of a call, JSON values; from any thread."""


class SinkUse(msgspec.Struct, frozen=True):
    """What one sink got of one call; `sidecar.schema.json` explains the fields."""

    name: str
    delivered_blocks: int
    waiting_blocks: int
    dropped_blocks: int
    dropped_seconds: float
    errors: int
    restarts: int
    detached: bool


@dataclass(slots=True)
class CallInfo:
    """Who a call is; fixed when ``call_started`` is called, but for `origin_wall_ns`.

    Attributes:
        index: the small integer in `PcmBatch.call`; unique among live calls.
        call_id: unique name, safe as a file name: ``<call_leg_id>``, ``<call_leg_id>-b``, ``<stream_id>``,
            ``<name>-<time>-<ssrc>``.
        door: "strep", "rtp" or "ws".
        started_wall_ns: wall time at which the call was opened, nanoseconds since the epoch.
        sample_rate_hz: of both channels.
        is_linear: its blocks are 16-bit PCM; else they are code bytes of G.711, as the carrier sent them. Behind a
            filter (`media.sinks.denoised`) blocks are PCM whatever this says: ask the batch (`PcmBatch.pcm`,
            `PcmBatch.is_linear`).
        identity: what the carrier said: call_leg_id, leg, stream_id, call_control_id, from, to, ...
        origin_wall_ns: wall time of position 0, which is known, and set, before the first block; 0 until then.
        pauses: spans of which nothing may be kept; it grows while the call goes on.
        dialect: of its media stream, "telnyx", ...; "" at other doors.
        goes_on: it was begun in another process, which handed it over: its first block lies amid the call.
        told: which of its events were told; of the event bus.
        audio_quality: see `media.quality.sink`; None where nobody listens for that.
        uses: what sinks have got of it that are done with it, by who counts; of `media.sinks.usage`.
        account: what is to be known of it if this process dies.
    """

    index: int
    call_id: str
    door: str
    started_wall_ns: int
    sample_rate_hz: int = 8000
    identity: dict[str, Any] = field(default_factory=dict)
    is_linear: bool = False
    origin_wall_ns: int = 0
    pauses: list[Pause] = field(default_factory=list)
    goes_on: bool = False
    dialect: str = ""
    told: ToldSoFar = field(init=False, repr=False, compare=False)
    audio_quality: TellAudioQuality | None = field(default=None, repr=False, compare=False)
    uses: dict[int, SinkUse] = field(default_factory=dict, repr=False, compare=False)
    account: Account = field(default_factory=Account, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.told = ToldSoFar(DigitMerger(self.sample_rate_hz))

    @property
    def position_0_wall_ns(self) -> int:
        """Wall time of position 0: while that is not known, of the call's opening, which may be seconds earlier."""
        return self.origin_wall_ns or self.started_wall_ns

    def is_paused_at(self, position_samples: int | None, length_samples: int = 0, track: str = "") -> bool:
        """Return whether any of so much from a position on, of a track, is paused; None: whether the call is now.

        What is found there, such as a digit, may be acted on, and neither be written down nor told to others. To be
        called from any thread; see `media.pauses.spans.is_paused_at`.
        """
        return is_paused_at(self.pauses, position_samples, length_samples, track)


@dataclass(slots=True)
class TrackReport:
    """What became of one direction of a call.

    Attributes:
        direction: inbound or outbound.
        codec: "PCMU", "PCMA", "G722", "L16" or "OPUS"; of the tape for the first two, else as last received. None
            if no audio that we can decode ever came.
        start_samples: where the track begins on the call's timeline.
        length_samples: its length; the ledger's spans add up to it.
        statistics: counters and RFC 3550 figures, JSON values, names with units.
        ledger: spans (start_samples, length_samples, kind) of everything that is not plainly "received", in
            order.
        totals: samples per kind, "received" included; they add up to `length_samples`.
        payload_types: packets that are no audio we can decode, by RTP payload type.
        sources: each synchronization source or socket seen, JSON values.
        telephone_events: packets of RFC 4733, in `statistics` among the invalid ones, for they are no audio.
        quality: what the network did to it, JSON values; None if nobody knows. See `media.quality.document`.
    """

    direction: Direction
    codec: str | None
    start_samples: int
    length_samples: int
    statistics: dict[str, Any]
    ledger: list[tuple[int, int, str]]
    totals: dict[str, int]
    sources: list[dict[str, Any]] = field(default_factory=list)
    ledger_truncated: bool = False
    payload_types: dict[str, int] = field(default_factory=dict)
    telephone_events: int = 0
    quality: dict[str, Any] | None = None

    @property
    def is_played(self) -> bool:
        """Whether it is what was played into the call, not what the carrier sent; see `media.talk.played_track`."""
        return bool(self.sources) and bool(self.sources[0].get("played"))


@dataclass(slots=True)
class CallReport:
    """How a call ended.

    Attributes:
        reason: "stop", "closed", "hang_up", "idle", "shutdown" or `HANDED_OVER`.
        ended_wall_ns: wall time of the end.
        length_samples: length of the longest track on the call's timeline.
        tracks: one report per direction that was ever seen, inbound first.
        events: dtmf, mark, error and other events of the carrier, in order, JSON values; ``position_samples`` is
            where the call was when it came, if that is known.
        started_wall_ns: wall time of position 0, which is known only after the first audio; 0 if it is not.
        note: "no_media" when not one sample arrived, "unsupported_payload" when packets came but no audio that
            we can decode, else empty.
    """

    reason: str
    ended_wall_ns: int
    length_samples: int
    tracks: list[TrackReport]
    events: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    started_wall_ns: int = 0


class Sink(Protocol):
    """A consumer of call audio.

    It may also have a method ``snapshot()`` that returns counters of its own, a dict of JSON values or a dataclass
    of them; `SinkSnapshot.details` shows them. It is called from other threads and must return at once. And it may
    have an attribute ``is_idle``: while that is true it gets no audio, see `media.sinks.dozing`.
    """

    options: SinkOptions

    def call_started(self, call: CallInfo) -> None:
        """Prepare for the call; its first block follows."""

    def receive(self, batch: PcmBatch) -> None:
        """Take the blocks of one tick; an empty batch (once a second at least) is a tick of the clock."""

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Finish the call: no block of it follows."""

    def close(self) -> None:
        """Finish everything: the server is stopping, all calls have ended."""


MakeSink = Callable[[], Sink]
"""Makes a sink, anew each time it is called."""
