"""`TranscribingSink`: the speech of calls, of all of them or of those that an application names, to engines.

This thread lets speech through (`Gate`) and hands it over; engines, workers and files are the business of `Desk`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from media.blocks import PcmBatch
from media.events.bus import EventBus
from media.hearing.rows import CHANNELS, FRAME_MS
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from media.sinks.dozing import Doze
from media.sinks.hearing import dropped_of
from media.transcribing.desk import Desk
from media.transcribing.gate import Gate, Speech
from media.transcribing.limits import Limits
from media.transcribing.plugins import EngineChoice, make_engine
from media.transcribing.streams import Stream
from strep.clock import Clock
from strep.errors import UsageError
from strep.header import Direction

Tracks = Literal["inbound", "outbound", "both"]
BLOCK_MS = 100
MAX_ORDERS = 10_000
"""That may wait for their calls; the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be transcribed of a call.

    Attributes:
        choice: by which engine.
        tracks: of which side, or both.
        wants_partials: tell what is not final, too.
    """

    choice: EngineChoice
    tracks: Tracks = "both"
    wants_partials: bool = True

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The sides."""
        return tuple(side for side in Direction if self.tracks in ("both", side.name.lower()))


@dataclass(slots=True)
class _Transcribed:
    wish: Wish
    streams: dict[int, Stream] = field(default_factory=dict)  # by the track's key


class TranscribingSink:
    """A sink like any other.

    Attributes:
        desk: see `Desk`.
    """

    def __init__(
        self,
        wish: Wish | None,
        limits: Limits,
        directory: Path | None,
        bus: EventBus,
        clock: Clock,
        make_desk: Callable[..., Desk] = Desk,
    ) -> None:
        """Transcribe all calls as `wish` says, or none until `start`.

        Raises:
            ConfigurationError: the engine cannot be used.
        """
        if wish is not None:
            make_engine(wish.choice)
        self.options = SinkOptions("transcription", block_ms=BLOCK_MS, patience_ms=float(BLOCK_MS), grid_ms=FRAME_MS)
        self.desk = make_desk(limits, directory, bus, clock)
        self._wish = wish
        self._doze = Doze(is_idle=wish is None)
        self._gate = Gate()
        self._live: dict[int, CallInfo] = {}
        self._transcribed: dict[int, _Transcribed] = {}  # by the call's index
        self._lock = threading.Lock()  # of the two below; the rest is the sink's thread's
        self._asked: dict[int, CallInfo] = {}  # calls that are transcribed, or will be, by their id()
        self._orders: deque[tuple[CallInfo, Wish | None]] = deque(maxlen=MAX_ORDERS)
        self._has_begun = False

    # -- from any thread ---------------------------------------------------------------------------------

    def start(self, call: CallInfo, wish: Wish) -> None:
        """Transcribe a call from now on, which has not ended; `make_engine` has made the engine before.

        Raises:
            UsageError: it is being transcribed already, or there are too many engines.
        """
        with self._lock:
            if id(call) in self._asked:
                raise UsageError(f"call {call.call_id} is being transcribed already; stop that first")
            self.desk.prepare(wish.choice)
            with self._doze.waking():
                self._asked[id(call)] = call
                self._orders.append((call, wish))

    def stop(self, call: CallInfo) -> bool:
        """Transcribe a call no more; what was said is told when the engine has it. False: it was not transcribed."""
        with self._lock:
            if self._asked.pop(id(call), None) is None:
                return False
            with self._doze.waking():
                self._orders.append((call, None))
            return True

    @property
    def is_idle(self) -> bool:
        """See `media.sinks.dozing`."""
        return self._doze.is_idle

    def is_asked(self, call: CallInfo) -> bool:
        """Whether a call is transcribed, or will be."""
        with self._lock:
            return id(call) in self._asked

    def snapshot(self) -> dict[str, Any]:
        """Return counters; see `Desk.snapshot`."""
        return self.desk.snapshot()

    # -- the sink's thread -------------------------------------------------------------------------------

    def call_started(self, call: CallInfo) -> None:
        """Begin with the call if all are wanted."""
        self._live[call.index] = call
        if self._wish is not None:
            with self._lock:
                self._asked[id(call)] = call
            self._begin(call, self._wish)

    def receive(self, batch: PcmBatch) -> None:
        """Hand over the speech in the blocks of calls that are wanted."""
        if self._wish is not None:
            self._begin_desk()  # an engine may take long to load, and there may be no call yet
        self._obey()
        self._hand_over(self._gate.receive(batch))
        self._doze.look(lambda: self._wish or self._orders or self._transcribed)

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Close what there is of the call."""
        self._obey()
        with self._lock:
            self._asked.pop(id(call), None)
        self._live.pop(call.index, None)
        self._end(call)
        self._gate.forget_call(call.index)
        self.desk.end(call, dropped_of(report))

    def close(self) -> None:
        """Wait for the last results, within `Limits.close_s`."""
        self.desk.stop()

    def _begin_desk(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self.desk.start()
            if self._wish is not None:
                self.desk.warm(self._wish.choice)

    def _obey(self) -> None:
        if not self._orders:
            return
        with self._lock:
            orders, self._orders = self._orders, deque(maxlen=MAX_ORDERS)
        early = []
        for call, wish in orders:
            if self._live.get(call.index) is not call:
                early.append((call, wish))
            elif wish is None:
                self._end(call)
            else:
                self._begin(call, wish)
        with self._lock:  # an application may be faster than this thread; a call that has ended is forgotten
            self._orders.extendleft(reversed([order for order in early if id(order[0]) in self._asked]))

    def _begin(self, call: CallInfo, wish: Wish) -> None:
        if call.index in self._transcribed:
            return
        self._begin_desk()
        known = self._transcribed[call.index] = _Transcribed(wish)
        for side in wish.directions:
            key = call.index * CHANNELS + side
            track = side.name.lower()
            known.streams[key] = self.desk.open(call, track, wish.choice, wants_partials=wish.wants_partials)
            self._gate.want(key, call.sample_rate_hz)

    def _end(self, call: CallInfo) -> None:
        known = self._transcribed.get(call.index)
        if known is None:
            return
        for key, stream in known.streams.items():
            self._hand_over(self._gate.forget(key))
            self.desk.close(known.wish.choice, stream)
        del self._transcribed[call.index]

    def _hand_over(self, said: list[Speech]) -> None:
        if not said:
            return
        for speech in said:
            known = self._transcribed[speech.key // CHANNELS]
            self.desk.put(known.wish.choice, known.streams[speech.key], speech.position_samples, speech.pcm)
        self.desk.wake()
