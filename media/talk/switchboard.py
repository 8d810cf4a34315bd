"""`Switchboard`: a `LiveCall` and an application's task for every call, and the way back for those that have one.

It is an outlet of the engine, so it hears of calls of all doors, and the `StreamListener` of the WebSocket door.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar

from media.events.bus import EventBus, Told
from media.sinks.contract import CallInfo
from media.sinks.hearing import HearingSink
from media.sinks.queue import CallEnded, CallStarted, Item
from media.talk.call import Application, LiveCall
from media.talk.contract import PlaybackError
from media.talk.lateness import Lateness
from media.talk.listening import ListenSink
from media.talk.marks import OWN_PREFIX
from media.talk.mode import PlaybackMode, StreamFrames, mode_of, playout_for
from media.talk.office import Office
from media.talk.played_tracks import PlayedTracks
from media.talk.playout import Playout
from media.talk.recording import Recorder
from media.talk.sources.decoding import import_decoders
from media.talk.timer import TalkTimer, Timed
from media.transcribing.sink import TranscribingSink
from media.voices.plugins import import_voices
from media.ws.host import StreamStart
from strep.clock import Clock

logger = logging.getLogger("strep.talk")

APP_GRACE_S = 30.0
"""How long an application may go on after its call has ended."""
STOP_TIMEOUT_S = 5.0
"""The same when the server stops."""
CANCEL_TIMEOUT_S = 5.0
"""How long one that is cancelled may take to tidy up; what goes on after that is nobody's business any more."""
CLOSE_MARGIN_S = 5.0
"""How much longer the end of the server waits for those that see to it."""
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, modulo 1, lie evenly however many there are: the phases of calls."""


class Switchboard:
    """All calls that applications have.

    Attributes:
        listening: the sink that they hear through.
        hearing: the sink that hears for them what is in the audio.
        lateness: of all messages of rtp mode.
        transcriber: the sink that transcribes calls.
        app_failures: applications that ended by an exception.
        recorder: what they record with.
        played: keeps what is played into calls, if that is wanted.
        has_ears: applications listen by `listening`, which has to be a sink of the server.
    """

    has_ears: ClassVar[bool] = True

    def __init__(
        self,
        app: Application,
        mode: PlaybackMode,
        clock: Clock,
        bus: EventBus,
        hearing: HearingSink | None = None,
        listening: ListenSink | None = None,
    ) -> None:
        """Have no call yet; `hearing` listens to them all, one of our own listens to what is asked for only."""
        self.lateness = Lateness()
        self.listening = listening or ListenSink(self._call_soon)
        self.app_failures = 0
        self.recorder: Recorder | None = None
        self.transcriber: TranscribingSink | None = None
        self.played: PlayedTracks | None = None
        self._app, self._mode, self._clock = app, mode, clock
        self._timer = TalkTimer(clock, self._give_up)
        self.hearing = hearing or HearingSink((), bus)
        self._office = Office(clock, self._timer, self.hearing, bus.publish, self._call_soon)
        bus.subscribe(self.tell)
        self._calls: dict[int, LiveCall] = {}
        self._playouts: dict[int, Playout] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._totals: dict[str, int] = {}
        self._phase = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        import_decoders()
        import_voices()

    def fit(self, recorder: Recorder, transcriber: TranscribingSink | None, played: PlayedTracks | None) -> None:
        """Say what calls that begin are recorded and transcribed with."""
        self.recorder, self.transcriber, self.played = recorder, transcriber, played

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Give applications a moment to finish, then cancel them and wait for it; their calls have ended before."""
        self._timer.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT_S)
            for task in late:
                task.cancel()
            if late:
                _, late = await asyncio.wait(late, timeout=CANCEL_TIMEOUT_S + CLOSE_MARGIN_S)
            for task in late:  # the sinks have files to close
                logger.error("%s does not end, and is left behind", task.get_name())

    def _call_soon(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)

    def snapshot(self) -> dict[str, Any]:
        """Return totals of all calls that there were, and how late messages went out."""
        totals = dict(self._totals)
        for playout in self._playouts.values():
            _add(totals, playout)
        return {
            "calls": len(self._calls),
            "applications": len(self._tasks),
            "app_failures": self.app_failures,
            **totals,
            "lateness_ms": self.lateness.in_ms(),
        }

    # -- outlet of the engine ------------------------------------------------------------------------

    def put(self, item: Item) -> None:
        """Begin and end calls; their audio comes through `listening`."""
        try:
            if isinstance(item, CallStarted):
                self._begin(item.call)
            elif isinstance(item, CallEnded):
                self._end(item.call, item.report.reason)
            elif self.played is not None:
                self.played.look(item.now_ns)
        except Exception:  # it must not cost the other outlets, or the engine its books
            logger.exception("a call could not begin, or end, for applications")

    def live_call(self, info: CallInfo) -> LiveCall | None:
        """Return what talks with a call that goes on; None: it is not there yet."""
        return self.find(info)

    def _make(self, info: CallInfo) -> LiveCall:
        call = self._calls[info.index] = LiveCall(info, self._office, self.listening)
        call.recorder = self.recorder
        call.transcriber = self.transcriber
        return call

    def _begin(self, info: CallInfo) -> None:
        call = self._make(info)
        task = asyncio.get_running_loop().create_task(self._run(call), name=f"app {info.call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, call: LiveCall) -> None:
        try:
            await self._until_over(call)
        except PlaybackError as error:
            if call.has_ended:  # the caller hung up while something was to be played: what else could it do
                logger.debug("call %s: its application ended with it: %s", call.call_id, error)
                return
            self.app_failures += 1
            logger.warning("call %s: its application gave up: %s", call.call_id, error)
        except Exception:
            self.app_failures += 1
            logger.exception("call %s: its application failed; the call goes on", call.call_id)

    async def _until_over(self, call: LiveCall) -> None:
        """Run the application; when the call has ended it has some time to finish."""
        app = asyncio.ensure_future(self._app(call))
        ended = asyncio.ensure_future(call.ended())
        with contextlib.suppress(asyncio.CancelledError):  # the server ends: the application is told so instead
            for _ in range(2):  # a turn of the event loop for the application, one for tasks that it has started
                await asyncio.sleep(0)
            call.settle()
            await asyncio.wait((app, ended), return_when=asyncio.FIRST_COMPLETED)
            if not app.done():
                await asyncio.wait((app,), timeout=APP_GRACE_S)
            if not app.done():
                logger.warning("call %s: its application did not end with the call and is cancelled", call.call_id)
        ended.cancel()
        app.cancel()
        await asyncio.wait((app,), timeout=CANCEL_TIMEOUT_S)
        if not app.done():
            logger.error("call %s: its application ignores that it is cancelled, and is left behind", call.call_id)
        elif not app.cancelled():
            app.result()

    def _end(self, info: CallInfo, reason: str) -> None:
        call, playout = self._calls.pop(info.index, None), self._playouts.pop(info.index, None)
        if call is not None:
            call.end(reason)
        if playout is not None:
            _add(self._totals, playout)

    def _give_up(self, thing: Timed, error: Exception) -> None:
        """Sending to a call failed."""
        for index, playout in self._playouts.items():
            if playout is thing:
                self._calls[index].give_up(error)

    def tell(self, told: Told) -> None:
        """Subscribe to the event bus: let applications know what happens in their calls; from any thread."""
        call = self._calls.get(told.call.index)
        if call is not None and call.info is told.call:
            self._call_soon(partial(call.tell, told))

    # -- listener of the WebSocket door ----------------------------------------------------------------

    def stream_attached(self, info: CallInfo, start: StreamStart, hang_up: Callable[[], None]) -> None:
        """A call has a socket: its first, or another one."""
        call, wire = self.find(info), start.wire
        if call is None or wire is None:
            return
        if not call.dialect:
            self._connect(call, info.index, start)
        call.attach(wire, hang_up)

    def find(self, info: CallInfo) -> LiveCall | None:
        """Return a call, None if it has ended: then its index may be another one's, which is none of its sockets'."""
        call = self._calls.get(info.index)
        return call if call is not None and call.info is info else None

    def _connect(self, call: LiveCall, index: int, start: StreamStart) -> None:
        try:
            mode = mode_of(start, self._mode)
            frames = StreamFrames(start.dialect, start.stream_id_as_sent)
            self._phase = (self._phase + GOLDEN) % 1
            playout = self._playouts[index] = playout_for(mode, frames, self.lateness, phase=self._phase)
        except (PlaybackError, ValueError) as error:
            logger.warning("call %s: %s", call.call_id, error)
            call.connect(None, str(error), start.dialect.name)
        else:
            if self.played is not None:
                self.played.keep(call.info, playout, start)
            call.connect(playout, "", start.dialect.name)

    def stream_event(self, info: CallInfo, event: dict[str, Any]) -> bool:
        """Pass on what the carrier says; return whether that is news to anybody but us."""
        call = self.find(info)
        if call is not None:
            call.take_event(event, self._clock.now_ns())
        return not (event.get("event") == "mark" and str(event.get("name", "")).startswith(OWN_PREFIX))

    def stream_detached(self, info: CallInfo) -> None:
        """The last socket of a call is gone."""
        call = self.find(info)
        if call is not None:
            call.detach()


def _add(totals: dict[str, int], playout: Playout) -> None:
    for name, count in asdict(playout.snapshot()).items():
        totals[name] = totals.get(name, 0) + count
