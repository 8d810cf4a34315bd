"""`HearingSink`: publishes what is heard in calls, as it is heard, and says so in the log.

Some kinds are listened for in all calls; others while somebody asks for them, in one call (`Demand`).

Keys may be of a PIN or of a card: the log says that there was one, and which only at level debug.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from media.blocks import PcmBatch
from media.events.bus import EventBus
from media.events.detections import GreetingEnded, MachineDetectionEnded
from media.events.kinds import AudioDropped, DigitPressed, Event, ToneHeard
from media.hearing.machine import DEFAULT_RULES, MachineRules
from media.hearing.post import ALL_KINDS, MACHINE, Posts, Report
from media.hearing.rows import CHANNELS, FRAME_MS, can_be_heard
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from media.sinks.dozing import Doze
from media.sinks.heard import event_of
from strep.header import Direction

_LOG = logging.getLogger("strep.events")
BLOCK_MS = 20
PATIENCE_MS = 40
"""With less, media streams are read frame by frame (`media.ws.drain.READ_EVERY_MS`); a key is told so much later."""


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """What somebody wants to know of one track of a call.

    Attributes:
        call: as the engine made it, and no copy.
        direction: the track.
        kind: one of `media.hearing.post.ALL_KINDS`.
        rules: for the kind machine.
        tell: called with what was found, in the sink's thread, beside its publication.
    """

    call: CallInfo
    direction: Direction
    kind: str
    rules: MachineRules = DEFAULT_RULES
    tell: Callable[[Event], object] = lambda event: None


class HearingSink:
    """Listens to calls.

    Attributes:
        kinds: what for in all of them.
        events: so many were told.
    """

    def __init__(
        self,
        kinds: Collection[str],
        bus: EventBus,
        rules: MachineRules = DEFAULT_RULES,
        *,
        block_ms: int = BLOCK_MS,
        patience_ms: float = PATIENCE_MS,
    ) -> None:
        """Listen for `kinds` of `media.hearing.post.ALL_KINDS` in all calls, by `rules` if machine is among them.

        The pace is that of `SinkOptions`; a slower one costs reception less, and is told later.
        """
        self.options = SinkOptions(
            "hearing", block_ms=block_ms, patience_ms=patience_ms, is_sensitive=False, grid_ms=FRAME_MS
        )
        self.events, self.kinds = 0, frozenset(kinds)
        self._doze = Doze(is_idle=not self.kinds)
        self._bus, self._rules = bus, rules
        self._calls: dict[int, CallInfo] = {}
        self._everybody = Posts(self.kinds, hears_all=True)
        self._requests: deque[tuple[Demand, bool]] = deque()  # from other threads: asked, or dismissed
        self._demands: dict[int, list[Demand]] = {}  # by the id() of their call, which may not have started here yet
        # A track each: one that is asked about again is heard anew, whoever is heard on the other one meanwhile.
        self._asked = {(kind, track): Posts((kind,), hears_all=False) for kind in ALL_KINDS for track in Direction}
        self._now_ns = 0

    @property
    def is_idle(self) -> bool:
        """See `media.sinks.dozing`."""
        return self._doze.is_idle

    # -- from any thread -----------------------------------------------------------------------------

    def ask(self, demand: Demand) -> None:
        """Listen for it as well, until it is dismissed."""
        with self._doze.waking():
            self._requests.append((demand, True))

    def dismiss(self, demand: Demand) -> None:
        """Listen for it no more; once for each that was asked, also when its call is over."""
        with self._doze.waking():
            self._requests.append((demand, False))

    # -- the sink ------------------------------------------------------------------------------------

    def call_started(self, call: CallInfo) -> None:
        """Remember the call."""
        self._calls[call.index] = call
        if not can_be_heard(call.sample_rate_hz):
            _LOG.warning("nothing is heard in call %s: it has %d Hz", call.call_id, call.sample_rate_hz)
        self._everybody.add(call.index, call.sample_rate_hz)
        if MACHINE in self.kinds and call.index in self._everybody and not call.goes_on:  # it is judged already
            self._everybody.judge(call.index * CHANNELS + Direction.INBOUND, self._rules)
        for demand in self._demands.get(id(call), ()):
            self._begin(demand)

    def receive(self, batch: PcmBatch) -> None:
        """Hear the blocks, tell what there is in them, and what has ended because nothing came."""
        self._now_ns = batch.now_ns
        while self._requests:
            self._settle(*self._requests.popleft())
        self._report(self._everybody.receive(batch))
        if self._demands:
            for (kind, track), posts in self._asked.items():
                self._answer(kind, track, posts.receive(batch))
        self._doze.look(lambda: self.kinds or self._requests or self._demands)

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Tell what ends with the call, and what the queue dropped; forget it."""
        try:
            self._report(self._everybody.remove(call.index, self._now_ns))
            for (kind, track), posts in self._asked.items():
                self._answer(kind, track, posts.remove(call.index, self._now_ns))
            for dropped in dropped_of(report):
                self._tell(call, dropped)
        finally:
            self._calls.pop(call.index, None)

    def close(self) -> None:
        """Do nothing: all calls have ended."""

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {"events": self.events}

    # -- what is asked for ---------------------------------------------------------------------------

    def _settle(self, demand: Demand, is_asked: bool) -> None:
        demands = self._demands.setdefault(id(demand.call), [])
        is_here = self._calls.get(demand.call.index) is demand.call
        if is_asked:
            demands.append(demand)
            if is_here:
                self._begin(demand)
            return
        demands.remove(demand)
        asked = demand.kind, demand.direction
        if is_here and not any((other.kind, other.direction) == asked for other in demands):
            for _ in self._asked[asked].remove(demand.call.index, self._now_ns):
                pass  # nobody asks any more
        if not demands:
            del self._demands[id(demand.call)]

    def _begin(self, demand: Demand) -> None:
        posts, index = self._asked[demand.kind, demand.direction], demand.call.index
        if index not in posts:
            posts.add(index, demand.call.sample_rate_hz)
        if demand.kind == MACHINE and index in posts:
            posts.judge(index * CHANNELS + demand.direction, demand.rules)

    def _answer(self, kind: str, track: Direction, reports: Iterable[Report]) -> None:
        """Tell those who asked; and everybody, unless all that is heard is told anyway."""
        for key, report in reports:
            call = self._calls.get(key // CHANNELS)
            demands = self._demands.get(id(call), ())
            asked = [d for d in demands if d.kind == kind and d.direction == track]
            if call is None or key % CHANNELS != track or not asked:
                continue
            event = event_of(key, report)
            if kind not in self.kinds:
                self._tell(call, event)
            for demand in asked:
                demand.tell(event)

    # -- telling -------------------------------------------------------------------------------------

    def _report(self, reports: Iterable[Report]) -> None:
        for key, report in reports:
            call = self._calls.get(key // CHANNELS)
            if call is not None:
                self._tell(call, event_of(key, report))

    def _tell(self, call: CallInfo, event: Event) -> None:
        told = self._bus.publish(call, event)
        if told is None:
            return
        self.events += 1
        document = told.to_json()
        if isinstance(event, DigitPressed):
            _LOG.info("heard", extra={name: value for name, value in document.items() if name != "digit"})
        is_rare = isinstance(event, ToneHeard | MachineDetectionEnded | GreetingEnded)
        _LOG.log(logging.INFO if is_rare else logging.DEBUG, "heard", extra=document)


def dropped_of(report: CallReport) -> Iterator[AudioDropped]:
    """Yield what of the call the queue in front of this sink dropped; see `media.sinks.queue`."""
    for event in report.events:
        if event.get("type") == "sink_dropped":
            yield AudioDropped(blocks=event["blocks"], duration_samples=event["samples"])
