"""`Server`: everything wired up once, in the order in which audio flows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from media.config import Endpoint, RtpPorts, ServerConfig
from media.decoding.payload_types import PayloadTypes
from media.doors.rtp import RtpDoor
from media.doors.stream import StreamDoor
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.events.bus import EventBus
from media.limits import raise_descriptor_limit
from media.outfit import Companion, companions_of, salvages_of, sinks_of, takes_of
from media.pulse import Pulse, Take
from media.receivers import Receiver, open_receiver
from media.sinks.contract import Sink
from media.sinks.finisher import Finisher
from media.sinks.runner import SinkRunner
from media.sockets import BoundSockets
from media.status import datagram_totals, live_calls, sink_totals, stream_totals
from media.talk.lateness import Lateness
from media.talk.recording import Recorder
from media.watch import CounterWatch
from media.ws.options import ConnectionOptions, WsServerOptions
from media.ws.server import MediaWebSocketServer
from strep.clock import NS_PER_MS, NS_PER_SECOND, Clock, SystemClock
from strep.datagrams import DatagramBatch
from strep.errors import ConfigurationError
from strep.header import Direction
from strep.table import TimelineSettings
from strep.timeline import Timeline

if TYPE_CHECKING:
    from media.talk.call import Application
    from media.talk.switchboard import Switchboard

_LOG = logging.getLogger("strep.server")

STREP_BATCH = 4096
"""Datagrams of all calls at once: what comes in 20 ms with 2,000 calls."""
SINK_STOP_TIMEOUT_S = 30.0
"""How long the end of the server waits for a sink to finish what is queued."""


class Server:
    """Receives calls at the configured doors and hands their audio to the sinks.

    ::

        async with Server(ServerConfig(udp=Endpoint("127.0.0.1", 9000)), sinks=[my_sink]) as server:
            await server.wait_closed()

    Attributes:
        config: as given.
        engine: the live calls.
        bus: what happens in them.
        recorder: pauses and records them, during the call.
        finisher: what recordings go to when they are closed.
        unfinished_sinks: names of sinks that did not finish in time when the server closed.
    """

    def __init__(
        self,
        config: ServerConfig,
        sinks: Iterable[Sink] = (),
        *,
        clock: Clock | None = None,
        sockets: BoundSockets | None = None,
        app: Application | None = None,
    ) -> None:
        """Wire up; nothing listens before ``async with`` or `start`.

        Args:
            config: what to do.
            sinks: where the audio goes, besides recordings.
            clock: the machine's, unless given.
            sockets: doors that are bound already, to be taken over; the others are bound as configured.
            app: run for every call with its `LiveCall`; an exception in it ends it, not the call.

        Raises:
            ConfigurationError: no door is configured.
        """
        if config.udp is None and config.ws is None and not config.rtp:
            raise ConfigurationError("no door: give at least one of udp, rtp, ws")
        self.config = config
        self._clock = clock or SystemClock()
        self.bus = EventBus(self._clock)
        self.finisher = Finisher(self.bus.publish)
        takes = takes_of(config, self.finisher, self._clock, has_app=app is not None)
        all_sinks = [*sinks, *sinks_of(config, self.bus, self._clock, self.finisher), *filter(None, [takes])]
        self._switchboard = _switchboard(app, config, self._clock) if app is not None else None
        if self._switchboard is not None:
            all_sinks.append(self._switchboard.listening)
            self.bus.subscribe(self._switchboard.tell)
        self._salvages = salvages_of(config, self.finisher)
        self.unfinished_sinks: list[str] = []
        self.runners = [SinkRunner(sink, self._clock) for sink in all_sinks]
        patience_ms = min((sink.options.patience_ms for sink in all_sinks), default=0.0)
        block_ms = min((sink.options.block_ms for sink in all_sinks), default=config.block_ms)
        settings = TimelineSettings(block_ms=min(block_ms, config.block_ms), reorder_wait_ms=config.reorder_wait_ms)
        self.engine = Engine(
            Timeline(settings, config.max_tracks),
            self._clock,
            [*filter(None, [self._switchboard]), *self.runners],
            idle_timeout_ns=round(config.idle_timeout_s * NS_PER_SECOND),
            max_tracks=config.max_tracks,
            patience_ns=round(patience_ms * NS_PER_MS),
            payload_types=PayloadTypes(config.payload_types),
            publish=self.bus.publish,
        )
        self.recorder = Recorder(self.engine, self.bus.publish, takes)
        if self._switchboard is not None:
            self._switchboard.recorder = self.recorder
        self.strep = StrepDoor(self.engine)
        self.rtp = {ports.name: RtpDoor(ports.name, self.engine) for ports in config.rtp}
        self._patience_ms = patience_ms
        self._pulse = Pulse(self.engine, self._clock, interval_ms=config.drain_interval_ms, patience_ms=patience_ms)
        self.stream = StreamDoor(
            self.engine,
            reconnect_grace_ns=round(config.reconnect_grace_s * NS_PER_SECOND),
            wake=self._pulse.wake,
            listener=self._switchboard,
        )
        self._sockets = sockets or BoundSockets()
        self._receivers: list[Receiver] = []
        self._ws: MediaWebSocketServer | None = None
        self._addresses: dict[str, Any] = {}
        self._stopping = asyncio.Event()
        self._has_closed = False
        self._watch = CounterWatch(self.snapshot)
        self._companions = companions_of(self, self._clock)
        self._started: list[Companion] = []

    # -- life ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open all doors.

        Raises:
            OSError: an address cannot be had; whatever was opened before is closed again.
        """
        raise_descriptor_limit()
        try:
            await self._open_doors()
            for companion in self._companions:
                await companion.start()
                self._started.append(companion)
                self._addresses |= getattr(companion, "addresses", {})  # of one that listens
        except BaseException:
            await self._close_companions()
            await self._close_ws()
            await self._close_receivers()
            raise
        for runner in self.runners:
            runner.start()
        if self._switchboard is not None:
            self._switchboard.start()
        for salvage in self._salvages:
            salvage.start()
        self._pulse.add_source(self._deliver_streams)
        self._pulse.start()
        self._watch.start()
        _LOG.info("receiving", extra={"addresses": self._addresses})

    async def _open_doors(self) -> None:
        config = self.config
        if config.udp is not None:
            address = await self._listen(config.udp, self.strep.receive, self._sockets.udp, most=STREP_BATCH)
            self._addresses["udp"] = str(address)
        if config.rtp:
            self._addresses["rtp"] = {ports.name: await self._listen_rtp(ports) for ports in config.rtp}
        if config.ws is not None:
            options = WsServerOptions(
                config.ws.host,
                config.ws.port,
                max_message_bytes=config.ws_max_message_bytes,
                max_connections=config.ws_max_connections,
                patience_ms=self._patience_ms,
                connection=ConnectionOptions(
                    tap_track=config.ws_tap_track, l16_is_big_endian=config.ws_l16_byte_order == "big"
                ),
            )
            self._ws = MediaWebSocketServer(self.stream, options, self._clock)
            self._addresses["ws"] = str(Endpoint(*await self._ws.start(self._sockets.ws)))

    async def _listen_rtp(self, ports: RtpPorts) -> dict[str, str]:
        door = self.rtp[ports.name]

        def take_inbound(batch: DatagramBatch, now_ns: int) -> None:
            door.receive(batch, Direction.INBOUND, now_ns)

        def take_outbound(batch: DatagramBatch, now_ns: int) -> None:
            door.receive(batch, Direction.OUTBOUND, now_ns)

        rx, tx = self._sockets.rtp.get(ports.name, (None, None))
        return {
            "rx": str(await self._listen(ports.rx, take_inbound, rx)),
            "tx": str(await self._listen(ports.tx, take_outbound, tx)),
        }

    async def _listen(
        self, endpoint: Endpoint, take: Take, sock: socket.socket | None, *, most: int = 1024
    ) -> Endpoint:
        receiver = await open_receiver(
            endpoint,
            self._clock,
            kind=self.config.receiver,
            receive_buffer_bytes=self.config.receive_buffer_bytes,
            most=most,
            sock=sock,
        )
        self._receivers.append(receiver)
        self._pulse.add(receiver, take)
        return receiver.address

    def _deliver_streams(self, now_ns: int) -> int:
        taken = self.stream.deliver(now_ns)
        self.stream.end_detached(now_ns)
        return taken

    def stop(self) -> None:
        """Ask the server to end; `wait_closed` returns then."""
        self._stopping.set()

    async def wait_closed(self) -> None:
        """Wait until `stop` is called, then end all calls and finish all sinks."""
        await self._stopping.wait()
        await self.close()

    async def close(self) -> None:
        """Close the doors, end all calls, and wait for the sinks to finish; a second call does nothing."""
        self._stopping.set()
        if self._has_closed:
            return
        self._has_closed = True
        try:
            await self._close_ws()
            for receiver in self._receivers:
                await receiver.settle()
            self._pulse.stop()
            self.stream.deliver(self._clock.now_ns())
            self.engine.end_all("shutdown")
        finally:  # whatever happened: the sinks finish what they have
            self._watch.stop()
            for salvage in self._salvages:
                salvage.stop()
            await self._close_receivers()
            if self._switchboard is not None:
                await self._switchboard.close()
            loop = asyncio.get_running_loop()
            stops = [loop.run_in_executor(None, runner.stop, SINK_STOP_TIMEOUT_S) for runner in self.runners]
            finished = await asyncio.gather(*stops)
            self.unfinished_sinks = [
                runner.sink.options.name for runner, ok in zip(self.runners, finished, strict=True) if not ok
            ]
            await self._close_companions()
        _LOG.debug("closed", extra=self.snapshot())

    async def _close_companions(self) -> None:
        while self._started:
            companion = self._started.pop()
            try:
                await companion.close()
            except Exception:  # the others have to end as they should, too
                _LOG.exception("%s failed to close", companion.name)

    async def _close_ws(self) -> None:
        if self._ws is None:
            return
        try:
            await self._ws.close()
        except Exception:  # the calls of all doors still have to end as they should
            _LOG.exception("the WebSocket door failed to close")

    async def _close_receivers(self) -> None:
        for receiver in self._receivers:
            with contextlib.suppress(OSError):
                await receiver.close()

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
        return dict(self._addresses)

    @property
    def lateness(self) -> Lateness | None:
        """How late messages of rtp mode went out to callers, of all calls; None without an application."""
        return self._switchboard.lateness.copy() if self._switchboard is not None else None

    def snapshot(self) -> dict[str, Any]:
        """Return totals: calls, datagrams and rejects per door, drops, sinks."""
        doors: dict[str, Any] = {}
        if self.config.udp is not None:
            doors["udp"] = datagram_totals(self.strep.datagrams, self.strep.rejected)
        for name, door in self.rtp.items():
            doors[f"rtp {name}"] = datagram_totals(door.datagrams, door.rejected)
        if self._ws is not None:
            doors["ws"] = {**stream_totals(self._ws.snapshot()), "no_room": self.stream.no_room}
        return {
            **self.engine.snapshot(),
            "doors": doors,
            "kernel_drops": sum(receiver.kernel_drops for receiver in self._receivers),
            "receive_errors": sum(receiver.errors for receiver in self._receivers),
            "failed_beats": self._pulse.failures,
            **({"talk": self._switchboard.snapshot()} if self._switchboard is not None else {}),
            "events": dict(self.bus.published),
            "companions": {companion.name: companion.snapshot() for companion in self._companions},
            "sinks": [sink_totals(runner.snapshot()) for runner in self.runners],
        }

    def live_calls(self) -> list[dict[str, Any]]:
        """Return every live call with the statistics of its tracks."""
        return live_calls(self.engine)


def _switchboard(app: Application, config: ServerConfig, clock: Clock) -> Switchboard:
    """Import all of talking back: before there are calls, and not where none of them is talked to."""
    from media.talk.mode import PlaybackMode
    from media.talk.switchboard import Switchboard

    mode = PlaybackMode(
        config.playback,
        config.playback_codec.upper(),
        config.playback_rate_hz,
        is_big_endian=config.playback_l16 == "big-endian",
        keep_alive=config.playback_keep_alive == "on",
    )
    return Switchboard(app, mode, clock)
