"""`Server`: everything wired up once, in the order in which audio flows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from media.admission.announced import GOOD_FOR_S
from media.admission.configured import memory_of
from media.admission.desk import LegDesk
from media.alarms.watch import Alarms
from media.companions import Companions
from media.concealing.fitting import concealed, timeline_settings
from media.config import ServerConfig
from media.decoding.payload_types import PayloadTypes
from media.delivery.fitting import deliveries_of, taking
from media.doors.reception import Reception
from media.engine import Engine
from media.events.bus import EventBus
from media.limits import raise_descriptor_limit
from media.outfit import (
    companions_of,
    controls_of,
    denoised,
    played_of,
    recording_of,
    salvages_of,
    sinks_of,
    switchboard_of,
    takes_of,
    transcriber_of,
)
from media.sealing.checks import check_sealing
from media.sinks.contract import CallInfo, MakeSink, Sink, SinkUse, block_ms_of
from media.sinks.finisher import Finisher
from media.sinks.fitted import Fitted
from media.sinks.hearing import HearingSink
from media.sinks.runner import SinkRunner
from media.sinks.watching import SinkWatch
from media.sockets import BoundSockets
from media.status import live_calls, sink_totals
from media.talk.lateness import Lateness
from media.talk.recording import Recorder
from media.watch import CounterWatch
from strep.clock import NS_PER_MS, NS_PER_SECOND, Clock, SystemClock
from strep.errors import ConfigurationError
from strep.timeline import Timeline

if TYPE_CHECKING:
    from media.events.callback import OnEvent
    from media.talk.call import Application

_LOG = logging.getLogger("strep.server")

_LOOK_EVERY_S = 0.05
SINK_STOP_TIMEOUT_S = 30.0
"""How long the end of the server waits for a sink to finish what is queued."""
SALVAGE_DELAY_S = 15.0
"""After calls were taken over, until files that nobody writes are looked for."""
SALVAGE_STOP_TIMEOUT_S = 5.0
"""The same for who finishes what a dead process left, amid one recording."""


class Server:
    """Receives calls at the configured doors and hands their audio to the sinks.

    ::

        async with Server(ServerConfig(udp=Endpoint("127.0.0.1", 9000)), sinks=[my_sink]) as server:
            await server.wait_closed()

    Attributes:
        config: as given.
        engine: the live calls.
        doors: where they come in.
        legs: where those of STREP are announced.
        bus: what happens in them.
        transcriber: has them transcribed, if anybody may ask for it.
        recorder: pauses and records them, during the call.
        controls: lets them do what is asked for from outside; None: nobody may.
        companions: what runs beside the doors.
        sockets: doors that were bound already; the successor of another process gets them before it starts.
        finisher: what recordings go to when they are closed.
        deliveries: what they go to then, one for each directory.
        passing: held while another process takes the calls over.
        leave: called at the end, before calls are: it may let them go on elsewhere.
        alarms: what is the matter with it.
        unfinished_sinks: names of sinks that did not finish in time when the server closed.
    """

    leave: Callable[[Server], None] | None = None

    def __init__(
        self,
        config: ServerConfig,
        sinks: Iterable[Sink | MakeSink] = (),
        *,
        clock: Clock | None = None,
        sockets: BoundSockets | None = None,
        app: Application | None = None,
        on_event: OnEvent | None = None,
        remembers_legs: bool = True,
    ) -> None:
        """Wire up; nothing listens before ``async with`` or `start`.

        Args:
            config: what to do.
            sinks: where the audio goes, besides recordings; what makes a sink (its class, a function without
                arguments) is called now, and again when that sink has failed: `media.sinks.contract`.
            clock: the machine's, unless given.
            sockets: doors that are bound already, to be taken over; the others are bound as configured.
            app: run for every call with its `LiveCall`; an exception in it ends it, not the call.
            on_event: called with every event of every call (`Told`), in the event loop; awaited if it is a coroutine.
            remembers_legs: in `ServerConfig.state`; a worker's supervisor does that for it.

        Raises:
            ConfigurationError: no door is configured, one that lets anybody in from elsewhere, or a filter for a
                sink that there is not.
        """
        if config.udp is None and config.ws is None and not config.rtp:
            raise ConfigurationError("no door: give at least one of udp, rtp, ws")
        self.config = check_sealing(config)
        self._clock = clock or SystemClock()
        self.bus, self.sockets = EventBus(self._clock), sockets or BoundSockets()
        self.deliveries = deliveries_of(config, self.bus, self._clock)
        self.finisher = Finisher(
            self.bus.publish,
            taking(self.deliveries),
            delivers=bool(config.deliver_to) or config.deliver_format != ("wav",),
            recipients=config.encrypt_to,
        )
        takes = takes_of(config, self.finisher, self._clock, has_app=app is not None)
        self.transcriber = transcriber_of(config, self.bus, self._clock, has_app=app is not None)
        own_sinks = sinks_of(config, self.bus)
        own_sinks += [sink for sink in (takes, self.transcriber) if sink is not None]
        # What comes first is handed to the recording first: everything else has less to lose.
        fitted = [Fitted(sink) for sink in recording_of(config, self._clock, self.finisher, self.uses_of)]
        fitted += [*map(Fitted.of, sinks), *map(Fitted, own_sinks)]
        hearing = next((sink for sink in own_sinks if isinstance(sink, HearingSink)), None)
        self._switchboard = switchboard_of(app, config, self._clock, self.bus, hearing)
        if self._switchboard is not None and hearing is None:
            fitted.append(Fitted(self._switchboard.hearing))
        fitted = concealed(denoised(fitted, config, self.bus, self._switchboard), config, self._switchboard)
        if self._switchboard is not None and self._switchboard.has_ears:
            fitted.append(Fitted(self._switchboard.listening))
        self._salvages = salvages_of(config, self.finisher, self._clock)
        self.unfinished_sinks: list[str] = []
        self.runners = [SinkRunner(one.sink, self._clock, one.make, self.bus.publish) for one in fitted]
        self._sink_watch = SinkWatch(self.runners)
        wishes = [one.sink.options for one in fitted]
        patience_ms = min((options.patience_ms for options in wishes), default=0.0)
        block_ms = block_ms_of(wishes, config.block_ms)
        settings = timeline_settings(config, fitted, block_ms)
        self.engine = Engine(
            Timeline(settings, config.max_tracks),
            self._clock,
            [*filter(None, [self._switchboard]), *self.runners],
            idle_timeout_ns=round(config.idle_timeout_s * NS_PER_SECOND),
            max_tracks=min(config.max_tracks, 2 * (config.max_calls or config.max_tracks)),
            patience_ns=round(patience_ms * NS_PER_MS),
            payload_types=PayloadTypes(config.payload_types),
            publish=self.bus.publish,
        )
        self.controls = controls_of(config, self.engine, self._switchboard)
        self.recorder = Recorder(self.engine, self.bus.publish, takes)
        if self._switchboard is not None:
            self._switchboard.fit(self.recorder, self.transcriber, played_of(config, self.engine))
        self.doors = Reception(
            config, self.engine, self._clock, self.sockets, patience_ms=patience_ms, listener=self._switchboard
        )
        self.legs = LegDesk(self.doors.strep, self._clock, memory_of(config) if remembers_legs else None)
        self._stopping, self._at_once, self._has_closed = asyncio.Event(), asyncio.Event(), False
        self.passing, self._timers = asyncio.Lock(), list[asyncio.TimerHandle]()
        self._watch, self.alarms = CounterWatch(self.snapshot), Alarms(self._look_around, self._clock)
        self.companions = Companions(companions_of(self, self._clock, on_event))

    # -- life ------------------------------------------------------------------------------------------

    async def start(self, take_in: Callable[[], None] | None = None) -> None:
        """Open all doors and receive; see `open` and `run`."""
        await self.open()
        try:
            self.run(take_in)
        except BaseException:
            await self.close()
            raise

    async def open(self) -> None:
        """Open all doors, and start what runs beside them; nothing is received, and no recording touched.

        Raises:
            OSError: an address cannot be had; whatever was opened before is closed again.
        """
        raise_descriptor_limit()
        try:
            await self.doors.open()
            await self.companions.start()
        except BaseException:
            await self.give_up()
            raise

    async def give_up(self) -> None:
        """Close what `open` has opened, instead of `run`."""
        await self.companions.close()
        await self.doors.close_ws()
        await self.doors.close()

    def run(self, take_in: Callable[[], None] | None = None) -> None:
        """Receive; `take_in`, called before the first packet is looked at, puts in calls that go on."""
        for runner in self.runners:
            runner.start()
        self._sink_watch.start()
        if self._switchboard is not None:
            self._switchboard.start()
        if take_in is not None:
            take_in()
        for salvage in self._salvages:
            if take_in is None:
                salvage.start()
            else:  # files that are handed over have nobody's lock for a moment
                self._timers.append(asyncio.get_running_loop().call_later(SALVAGE_DELAY_S, salvage.start))
        self.doors.start()
        self._watch.start()
        self.alarms.start()
        _LOG.info("receiving", extra={"addresses": self.addresses})

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ask the server to end, `wait_closed` returns then; a second time: without waiting for calls to end."""
        if self._stopping.is_set():
            self._at_once.set()
        self._stopping.set()

    async def wait_closed(self) -> None:
        """Wait until `stop` is called, give calls a while to end, then end them and finish all sinks."""
        await self._stopping.wait()
        self.legs.is_ending = True
        async with self.passing:  # whose the calls are is known then
            self.engine.draining_since_ns = self._clock.now_ns()
            if self.leave is not None:
                self.leave(self)
        await self._drain()
        await self.close()

    async def _drain(self) -> None:
        """Wait for the end of the calls that there are: `ServerConfig.drain_timeout_s`."""
        if not self.engine.calls or not self.config.drain_timeout_s:
            return
        _LOG.info("draining", extra={"calls": len(self.engine.calls), "timeout_s": self.config.drain_timeout_s})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.drain_timeout_s):
                while self.engine.calls and not self._at_once.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._at_once.wait(), _LOOK_EVERY_S)

    async def close(self) -> None:
        """Close the doors, end all calls, and wait for the sinks to finish; a second call does nothing."""
        self._stopping.set()
        if self._has_closed:
            return
        self._has_closed = self.legs.is_ending = True
        async with contextlib.AsyncExitStack() as ending:  # from the last; whatever fails, the others follow
            ending.push_async_callback(self.companions.close)
            ending.push_async_callback(self._stop_sinks)
            if self._switchboard is not None:
                ending.push_async_callback(self._switchboard.close)
            ending.push_async_callback(self.doors.close)
            stops = [one.stop for one in self._salvages] + [timer.cancel for timer in self._timers]
            for stop in (*stops, self.alarms.stop, self._watch.stop):
                ending.callback(stop)
            await self.doors.settle()
            self.engine.end_all("shutdown")
        _LOG.debug("closed", extra=self.snapshot())

    async def _stop_sinks(self) -> None:
        loop = asyncio.get_running_loop()
        stops = [loop.run_in_executor(None, runner.stop, SINK_STOP_TIMEOUT_S) for runner in self.runners]
        finished = await asyncio.gather(*stops)
        self._sink_watch.stop()
        for salvage in self._salvages:  # what it hands over is to be finished as well
            await loop.run_in_executor(None, salvage.join, SALVAGE_STOP_TIMEOUT_S)
        self.unfinished_sinks = [runner.name for runner, ok in zip(self.runners, finished, strict=True) if not ok]

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close."""
        await self.close()

    # -- looking at it ---------------------------------------------------------------------------------

    @property
    def addresses(self) -> dict[str, Any]:
        """Where it listens: ``{"udp": "host:port", "rtp": {name: {"rx": ..., "tx": ...}}, "ws": ..., ...}``."""
        return self.doors.addresses | self.companions.addresses

    @property
    def lateness(self) -> Lateness | None:
        """How late messages of rtp mode went out to callers, of all calls; None without an application."""
        return self._switchboard.lateness.copy() if self._switchboard is not None else None

    def snapshot(self) -> dict[str, Any]:
        """Return totals: calls, datagrams and rejects per door, drops, sinks."""
        return {
            **self.engine.snapshot(),
            **self.doors.totals(),
            **({"talk": self._switchboard.snapshot()} if self._switchboard is not None else {}),
            "events": dict(self.bus.published),
            "companions": self.companions.snapshot(),
            "sinks": [sink_totals(runner.snapshot()) for runner in self.runners],
            "alarms": self.alarms.snapshot(),
        }

    def _look_around(self) -> dict[str, Any]:
        return {**self.snapshot(), "capacity": self.doors.capacity()}

    def uses_of(self, call: CallInfo) -> list[SinkUse]:
        """Return what each sink got of a call so far; from any thread, also when it has ended."""
        return [runner.use_of(call) for runner in self.runners]

    def register_leg(self, call_leg_id: UUID, good_for_s: float = GOOD_FOR_S) -> None:
        """Announce a leg to the STREP door, with `ServerConfig.udp_legs` "registered"; in the event loop.

        It may begin, again and again, for so long, and what waits of it is taken now.
        """
        self.legs.register(call_leg_id, good_for_s)

    def withdraw_leg(self, call_leg_id: UUID) -> bool:
        """Take an announcement back, and return whether there was one; a call that goes on goes on."""
        return self.legs.withdraw(call_leg_id)

    def live_calls(self) -> list[dict[str, Any]]:
        """Return every live call with the statistics of its tracks."""
        return live_calls(self.engine)
