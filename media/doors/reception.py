"""`Reception`: all doors of a server, the sockets behind them, and the pulse that drains these."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from media.admission.capacity import Capacity, CapacityLimits, Usage, free_bytes, free_descriptors
from media.admission.configured import certificate_of, gate_of, twilio_auth_token_of
from media.admission.legs import LegGuard
from media.config import Endpoint, RtpPorts, ServerConfig
from media.doors.rtp import RtpDoor
from media.doors.stream import StreamDoor, StreamListener
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.pulse import Pulse, Take
from media.receivers import Receiver, bind_pair, bind_udp, open_receiver
from media.repeat import Repeater
from media.sockets import BoundSockets
from media.status import datagram_totals, stream_totals
from media.ws.options import ConnectionOptions, WsServerOptions
from media.ws.server import MediaWebSocketServer
from strep.clock import NS_PER_SECOND, Clock
from strep.datagrams import DatagramBatch
from strep.header import Direction

_LOG = logging.getLogger("strep.server")

STREP_BATCH = 4096
"""Datagrams of all calls at once: what comes in 20 ms with 2,000 calls."""


class Reception:
    """Where calls come in.

    Attributes:
        strep, rtp, stream: the doors; those of plain RTP by name.
        addresses: where they are: ``{"udp": "host:port", "rtp": {name: {"rx": ..., "tx": ...}}, "ws": ...}``.
    """

    def __init__(
        self,
        config: ServerConfig,
        engine: Engine,
        clock: Clock,
        sockets: BoundSockets,
        *,
        patience_ms: float,
        listener: StreamListener | None,
    ) -> None:
        """Wire up; nothing listens before `open`.

        Args:
            config: which doors, and how.
            engine: where tracks go.
            clock: the server's.
            sockets: doors that are bound already; the others are bound as configured.
            patience_ms: how long audio may wait for company.
            listener: talks back to media streams.

        Raises:
            ConfigurationError: a door that lets anybody in from elsewhere, or a file that cannot be used.
        """
        guard = LegGuard(
            config.udp_legs,
            map(ip_network, config.udp_networks),
            is_pinned=config.udp_sources == "pinned",
            keep_ns=round(config.udp_leg_wait_s * NS_PER_SECOND),
        )
        self.strep = StrepDoor(engine, guard)
        self.rtp = {ports.name: RtpDoor(ports.name, engine, guard) for ports in config.rtp}
        self.addresses: dict[str, Any] = {}
        self._config, self._engine, self._clock, self._sockets = config, engine, clock, sockets
        self._patience_ms = patience_ms
        self._pulse = Pulse(engine, clock, interval_ms=config.drain_interval_ms, patience_ms=patience_ms)
        self.stream = StreamDoor(
            engine,
            reconnect_grace_ns=round(config.reconnect_grace_s * NS_PER_SECOND),
            wake=self._pulse.wake,
            listener=listener,
        )
        self._gate, self._certificate = gate_of(config), certificate_of(config)
        if self._gate is not None:
            self._gate.is_live = self.stream.is_live
        limits = CapacityLimits(config.max_calls, config.max_packets_per_s, config.min_free_bytes)
        self._capacity = Capacity(limits, self._usage, clock)
        engine.max_calls = config.max_calls
        self._housekeeping = Repeater(1.0, self._look_at_capacity)
        self._receivers: list[Receiver] = []
        self._parted: list[Receiver] = []
        self._open = BoundSockets()
        self._ws: MediaWebSocketServer | None = None

    async def open(self) -> None:
        """Open all doors.

        Raises:
            OSError: an address cannot be had; close what was opened.
        """
        config = self._config
        if config.udp is not None:
            self._open.udp = self._sockets.udp or bind_udp(config.udp, config.receive_buffer_bytes)
            address = await self._listen(config.udp, self.strep.receive, self._open.udp, most=STREP_BATCH)
            self.addresses["udp"] = str(address)
        if config.rtp:
            self.addresses["rtp"] = {ports.name: await self._listen_rtp(ports) for ports in config.rtp}
        if config.ws is not None:
            options = WsServerOptions(
                config.ws.host,
                config.ws.port,
                max_message_bytes=config.ws_max_message_bytes,
                max_connections=config.ws_max_connections,
                patience_ms=self._patience_ms,
                gate=self._gate,
                certificate=self._certificate,
                twilio_auth_token=twilio_auth_token_of(config),
                public_url=config.public_url,
                max_strangers=config.ws_max_strangers,
                max_connections_per_address=config.ws_max_connections_per_address,
                connection=ConnectionOptions(
                    tap_track=config.ws_tap_track, l16_is_big_endian=config.ws_l16_byte_order == "big"
                ),
            )
            self._ws = MediaWebSocketServer(self.stream, options, self._clock)
            self.addresses["ws"] = str(Endpoint(*await self._ws.start(self._sockets.ws)))

    def start(self) -> None:
        """Begin to take what comes."""
        self._pulse.add_source(self._deliver_streams)
        self._pulse.start()
        self._housekeeping.start()

    def detach(self) -> tuple[BoundSockets, Callable[[], None]]:
        """Leave in the kernel what comes by UDP from now on; return the sockets, and what takes that back.

        The sockets are ours until `part`: hand on descriptors of them.
        """
        sockets = BoundSockets(self._open.udp, None, dict(self._open.rtp))
        sockets.ws = self._ws.listener() if self._ws is not None else None
        return sockets, self._pulse.detach()

    async def part(self) -> None:
        """Close the sockets of UDP, which somebody else has now, and take no more connections."""
        await self.close()
        self._parted += self._receivers  # which have counted until now
        self._receivers.clear()
        if self._ws is not None:
            self._ws.stop_listening()

    async def settle(self) -> None:
        """Take in what has come so far, and nothing after it."""
        self._housekeeping.stop()
        await self.close_ws()
        for receiver in self._receivers:
            await receiver.settle()
        self._pulse.stop()
        self.stream.deliver(self._clock.now_ns())

    async def close_ws(self) -> None:
        """Close the door of media streams; its trouble is logged: other calls have to end well."""
        if self._ws is None:
            return
        try:
            await self._ws.close()
        except Exception:
            _LOG.exception("the WebSocket door failed to close")

    async def close(self) -> None:
        """Close all sockets that are still open."""
        for receiver in self._receivers:
            with contextlib.suppress(OSError):
                await receiver.close()

    def totals(self) -> dict[str, Any]:
        """Return counters, those of the doors by door."""
        doors: dict[str, Any] = {}
        if self._config.udp is not None:
            doors["udp"] = datagram_totals(self.strep.datagrams, self.strep.rejected)
        for name, door in self.rtp.items():
            doors[f"rtp {name}"] = datagram_totals(door.datagrams, door.rejected)
        if self._ws is not None:
            doors["ws"] = {**stream_totals(self._ws.snapshot()), "no_room": self.stream.no_room}
        receivers = [*self._receivers, *self._parted]
        return {
            "doors": doors,
            "kernel_drops": sum(receiver.kernel_drops for receiver in receivers),
            "receive_errors": sum(receiver.errors for receiver in receivers),
            "failed_beats": self._pulse.failures,
            "loop_lag": self._pulse.lag.snapshot(),
        }

    def capacity(self) -> dict[str, Any]:
        """Return what room there was for calls a second ago, and what is short."""
        usage = self._capacity.usage
        return {
            "shortage": self._capacity.shortage,
            "min_free_bytes": self._config.min_free_bytes,
            "free_bytes": usage.free_bytes if usage is not None else None,
            "free_descriptors": usage.free_descriptors if usage is not None else None,
        }

    async def _listen_rtp(self, ports: RtpPorts) -> dict[str, str]:
        door = self.rtp[ports.name]

        def take_inbound(batch: DatagramBatch, now_ns: int) -> None:
            door.receive(batch, Direction.INBOUND, now_ns)

        def take_outbound(batch: DatagramBatch, now_ns: int) -> None:
            door.receive(batch, Direction.OUTBOUND, now_ns)

        buffer_bytes = self._config.receive_buffer_bytes
        rx, tx = self._sockets.rtp.get(ports.name) or bind_pair(ports.rx, ports.tx, buffer_bytes)
        self._open.rtp[ports.name] = rx, tx
        return {
            "rx": str(await self._listen(ports.rx, take_inbound, rx)),
            "tx": str(await self._listen(ports.tx, take_outbound, tx)),
        }

    async def _listen(self, endpoint: Endpoint, take: Take, sock: socket.socket, *, most: int = 1024) -> Endpoint:
        receiver = await open_receiver(
            endpoint,
            self._clock,
            kind=self._config.receiver,
            receive_buffer_bytes=self._config.receive_buffer_bytes,
            most=most,
            sock=sock,
        )
        self._receivers.append(receiver)
        self._pulse.add(receiver, take)
        return receiver.address

    def _usage(self) -> Usage:
        # What is accepted: else a flood of rubbish would keep calls out.
        rtp = sum(door.datagrams - int(door.rejected.sum()) for door in self.rtp.values())
        packets = self.strep.accepted + rtp + self.stream.frames
        free = [found for at in (self._config.record, self._config.takes) if (found := free_bytes(at)) is not None]
        return Usage(len(self._engine.calls), packets, min(free, default=None), free_descriptors())

    def _look_at_capacity(self) -> None:
        self._pulse.lag.mark()
        self._capacity.look()
        self._engine.shortage = self._capacity.shortage

    def _deliver_streams(self, now_ns: int) -> int:
        taken = self.stream.deliver(now_ns)
        self.stream.end_detached(now_ns)
        return taken
