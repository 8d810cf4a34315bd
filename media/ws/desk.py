"""`Desk`: what all sockets of the WebSocket door share: the host behind it, limits, counters, and who is there."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress

from websockets.server import ServerProtocol

from media.admission.credentials import without_tokens
from media.admission.crowd import Crowd, network_of
from media.ws.conversation import Conversation
from media.ws.door import Door
from media.ws.drain import READ_EVERY_MS, Drain
from media.ws.express.lane import ExpressLane
from media.ws.host import Handshake, StreamHost
from media.ws.opening import BadHandshakes, Opening
from media.ws.options import WsServerOptions
from media.ws.totals import WsServerSnapshot, WsTotals
from strep.clock import Clock

logger = logging.getLogger(__name__)


class Desk:
    """Where sockets come in and check out.

    Attributes:
        host: where streams go.
        options: limits.
        clock: for everything but the event loop's own timers.
        totals: of connections that have ended.
        bad_handshakes: sockets that have never been connections.
        door: judges who may come in.
        crowd: sockets that have not begun a stream.
        opening: sockets in their opening handshake.
        open: sockets behind it.
        lane, drain: for frames that are foreseen; no lane under TLS, nor where somebody is in a hurry: frames that
            wait in their sockets wait half as long as they may at the most, for they wait for the pulse besides.
        is_serving: whether new ones may come.
    """

    def __init__(self, host: StreamHost, options: WsServerOptions, clock: Clock) -> None:
        self.host, self.options, self.clock = host, options, clock
        self.totals, self.bad_handshakes = WsTotals(), BadHandshakes(logger, clock)
        self.door, self.crowd = Door(options, clock), Crowd(options.max_strangers)
        self.opening: set[Opening] = set()
        self.open: set[Conversation] = set()
        self.is_serving = True
        can_ride = options.patience_ms >= 2 * READ_EVERY_MS and options.certificate is None  # the socket has the text
        self.lane = ExpressLane(host.stream_frames) if can_ride else None
        if self.lane is not None:
            self.drain = Drain(self.lane, clock.now_ns, host.stream_waiting)
        self._changed = asyncio.Event()
        self._by_address: Counter[str] = Counter()

    def is_full(self, address: str) -> bool:
        """Whether one more connection, of `address`, is too many."""
        of_one = self.options.max_connections_per_address
        return len(self.open) >= self.options.max_connections or 0 < of_one <= self._by_address[network_of(address)]

    def begin(
        self, transport: asyncio.Transport, protocol: ServerProtocol, handshake: Handshake, address: str
    ) -> Conversation:
        """Let a socket in whose opening handshake is done."""
        conversation = Conversation(self, transport, protocol, handshake)
        self.open.add(conversation)
        self.crowd.enter(conversation, address, conversation.expel)
        if self.options.max_connections_per_address:
            conversation.network = network_of(address)
            self._by_address[conversation.network] += 1
        self.totals.opened += 1
        logger.info("connection from %s for %.200r", handshake.remote, without_tokens(handshake.path))
        return conversation

    def settle(self, conversation: Conversation) -> None:
        """Add a connection that has ended to the totals, and log how it did."""
        counters, (code, reason) = conversation.connection.snapshot(), conversation.first_close
        self.open.discard(conversation)
        self.crowd.leave(conversation)
        if conversation.network:
            self._by_address -= Counter([conversation.network])  # keeps positive ones only
        self.totals.settle(counters, code)
        self._changed.set()
        logger.info(
            "connection from %s closed (%d %s): stream %s, %d messages, %d rejected",
            conversation.handshake.remote,
            code,
            reason,
            counters.stream_id or "none",
            counters.received,
            counters.received - counters.accepted,
        )

    async def close(self) -> None:
        """Close every connection with 1001, and wait until all have ended; each has `close_timeout_s` for that.

        One that has not after twice that time is left behind: the server's calls and recordings end without it.
        """
        self.is_serving = False
        if self.lane is not None:
            self.drain.sweep()
        for opening in list(self.opening):
            opening.abort()
        for conversation in list(self.open):
            conversation.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * self.options.close_timeout_s):
                while self.open:
                    self._changed.clear()
                    await self._changed.wait()
        if self.open:
            logger.error("%d connections have not ended in time", len(self.open))

    def snapshot(self) -> WsServerSnapshot:
        """Return a frozen copy of the counters, those of open connections included."""
        for conversation in self.open:
            conversation.settle()
        open_connections = [conversation.connection.snapshot() for conversation in self.open]
        failures = self.lane.failures if self.lane is not None else 0
        return self.totals.snapshot(open_connections, bad_handshakes=self.bad_handshakes.count, failures=failures)
