"""`OnDemand`: a switchboard without an application: a call has what talks with it once somebody acts on it.

A call that nobody acts on costs a note of its socket. Nobody listens by it (the audio of calls is served elsewhere),
so what hears for it is in no hurry.
"""

from __future__ import annotations

from collections.abc import Callable

from media.events.bus import EventBus
from media.sinks.contract import CallInfo
from media.sinks.hearing import HearingSink
from media.talk.call import LiveCall
from media.talk.listening import Hearing, ListenSink
from media.talk.mode import PlaybackMode
from media.talk.noise import NoiseControl
from media.talk.switchboard import Switchboard
from media.ws.host import StreamStart
from strep.clock import Clock

PACE_MS = 100
"""Of what hears for gatherings: as recordings have it, so that reception goes at their pace."""


class OnDemand(Switchboard):
    """See the module."""

    has_ears = False

    def __init__(self, mode: PlaybackMode, clock: Clock, bus: EventBus, hearing: HearingSink | None = None) -> None:
        """Have no call yet; `hearing` listens to them all, one of our own listens to what is asked for only."""
        hearing = hearing or HearingSink((), bus, block_ms=PACE_MS, patience_ms=PACE_MS)
        super().__init__(_nobody, mode, clock, bus, hearing, _Unheard(self._call_soon))
        self._ways: dict[int, tuple[CallInfo, StreamStart, Callable[[], None]]] = {}  # back to the carrier, by index

    def live_call(self, info: CallInfo) -> LiveCall | None:
        """Return what talks with a call that goes on, made now if need be."""
        call = self.find(info)
        if call is None:
            call = self._make(info)
            call.settle()
            known, start, hang_up = self._ways.get(info.index, (None, None, None))
            if known is info and start is not None and hang_up is not None:
                super().stream_attached(info, start, hang_up)
        return call

    def stream_attached(self, info: CallInfo, start: StreamStart, hang_up: Callable[[], None]) -> None:
        """See `Switchboard`."""
        self._ways[info.index] = info, start, hang_up
        super().stream_attached(info, start, hang_up)

    def stream_detached(self, info: CallInfo) -> None:
        """See `Switchboard`."""
        known = self._ways.get(info.index)
        if known is not None and known[0] is info:
            del self._ways[info.index]
        super().stream_detached(info)

    def _begin(self, info: CallInfo) -> None:
        """Do nothing: `live_call` begins."""

    def _end(self, info: CallInfo, reason: str) -> None:
        self._ways.pop(info.index, None)
        super()._end(info, reason)


async def _nobody(call: LiveCall) -> None:
    """Do nothing; an application."""


class _Unheard(ListenSink):
    """What nobody listens by: it is no sink of the server."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        super().__init__(call_soon)
        self.noise = NoiseControl()  # this is not among those that are switched

    def begin(self, call: CallInfo) -> Hearing:
        """See `ListenSink`."""
        return Hearing(call, lambda hearing: None, self.noise)
