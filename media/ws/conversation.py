"""The shell of one open WebSocket: its bytes to `Framing`, its messages to `MediaStreamConnection`, its timers.

Everything is taken as it comes, so nothing queues here: a server that is too slow does not read, and TCP holds the
peer back. A socket whose frames are foreseen is read on a clock, together with all others of this kind; see
`media.ws.drain`.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, TypeVarTuple

from websockets.server import ServerProtocol

from media.ws.closing import Close, close_with
from media.ws.express.seat import Seat
from media.ws.framing import Framing, Message, serialize
from media.ws.host import Handshake
from media.ws.protocol import MediaStreamConnection
from strep.clock import NEVER_NS, NS_PER_SECOND

if TYPE_CHECKING:
    from media.ws.desk import Desk

logger = logging.getLogger(__name__)
_Arguments = TypeVarTuple("_Arguments")


def _alone(method: Callable[[Conversation, *_Arguments], None]) -> Callable[[Conversation, *_Arguments], None]:
    """Let a failure of ours in `method` end this connection and no other: whoever calls it goes on."""

    @wraps(method)
    def guarded(self: Conversation, *arguments: *_Arguments) -> None:
        try:
            method(self, *arguments)
        except Exception as error:
            self.fail(error)

    return guarded


_MOST_LOOKS = 30
"""For a pong that has not come while there is something to read: a loaded server reads late, and must not hang up."""


def unread_bytes(transport: asyncio.Transport) -> int:
    """Return how much of what the peer has sent the kernel still holds: this process has had no time for it."""
    try:
        waiting = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
    except (OSError, AttributeError, ValueError):  # it is gone
        return 0
    return int.from_bytes(waiting, sys.byteorder)


class Conversation(asyncio.Protocol):
    """One open WebSocket; it is the `Wire` of its `connection`.

    Attributes:
        handshake: who it is.
        connection: the conversation without the socket.
        network: that it is counted for; "" if it is not.
    """

    def __init__(
        self, desk: Desk, transport: asyncio.Transport, protocol: ServerProtocol, handshake: Handshake
    ) -> None:
        options = desk.options
        self.handshake = handshake
        self._seat = Seat(desk.lane, self) if desk.lane is not None else None
        self.connection = MediaStreamConnection(
            desk.host, desk.clock.now_ns(), handshake, options.connection, self, self._seat, desk.door.judge
        )
        self.network = ""
        self._is_stranger, self._early_bytes = True, 0
        self._counted = 0
        self._desk, self._transport, self._now_ns = desk, transport, desk.clock.now_ns
        self._framing = Framing(protocol, options.max_message_bytes)
        self._loop = asyncio.get_running_loop()
        self._deadline_ns = NEVER_NS
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._pings = self._looks = 0
        self._is_riding = False  # its socket is read by the drain
        self._keepalive_timer = self._loop.call_later(options.ping_interval_s, self._ping)
        self._watch_deadline()

    @property
    def first_close(self) -> Close:
        """Code and reason of the close frame that came or went first; 1006 if there was none."""
        return self._framing.first_close

    # -- asyncio.Protocol ------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self.take_bytes(data, self._now_ns())
        if self._is_stranger:
            self._look_at_stranger(len(data))
        seat = self._seat
        if seat is not None and seat.is_in and not self._is_riding:
            self._is_riding = True
            self._transport.pause_reading()
            self._desk.drain.add(seat.row, self._transport.get_extra_info("socket").fileno(), self)

    def take_bytes(self, data: bytes, now_ns: int) -> None:
        """Take what came at `now_ns`."""
        try:  # as in `_alone`, which would be felt here
            self._take(data, now_ns)
            seat = self._seat
            if seat is not None and seat.frames_left <= 0 and self._framing.is_between:
                seat.look()
        except Exception as error:
            self.fail(error)

    def _take(self, data: bytes, now_ns: int) -> None:
        text = self._framing.lone_text(data)
        if text is None:
            self._hand_on(self._framing.receive(data), now_ns)
        else:
            close = self.connection.receive_text(text, now_ns)
            if self.connection.deadline() != self._deadline_ns:
                self._watch_deadline()
            if close is None:
                return
            self._framing.close(close)
        self._write()
        if self._seat is not None and not self._framing.is_between:  # what comes next does not begin with a frame
            self._seat.leave()

    @_alone
    def take_control(self, data: bytes) -> None:
        """Take a ping or pong."""
        pong = self._framing.lone_control(data)
        if pong:
            self._transport.write(pong)
            if self._is_behind:
                self._write()

    @_alone
    def wake_up(self) -> None:
        """Let the transport read again."""
        if not self._is_riding:
            return
        self._is_riding = False
        assert self._seat is not None
        rest = self._desk.drain.remove(self._seat.row)  # first: a descriptor left there may soon be another socket's
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self._seat.leave()
        if rest:
            self.take_bytes(rest, self._now_ns())

    def _look_at_stranger(self, more_bytes: int) -> None:
        self._early_bytes += more_bytes
        if self.connection.has_begun:
            self._is_stranger = False
            self._desk.crowd.leave(self)
        elif self._early_bytes > self._desk.options.connection.max_early_bytes:
            self.connection.close(Close(1008, f"{self._early_bytes} bytes without a start frame"))

    @_alone
    def expel(self) -> None:
        """Close: others want to come in, and this one has not begun."""
        self.connection.close(Close(1013, "too many sockets without a stream"))

    @_alone
    def stop(self) -> None:
        """Close: the server ends."""
        self.connection.close(Close(1001, "server stopping"))

    def fail(self, error: Exception) -> None:
        """End this connection, by a failure of ours."""
        self._desk.totals.failed += 1
        logger.error("connection from %s failed", self.handshake.remote, exc_info=error)
        try:
            self._framing.close(close_with(1011, "internal error"))
            self._write()
        except Exception:
            self._transport.abort()

    def settle(self) -> None:
        """Bring the counters of `connection` up to date."""
        if self._seat is not None:
            self._seat.count()

    def eof_received(self) -> None:
        """The peer sends no more; returning nothing closes the socket."""
        self._framing.receive_eof()
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody that the socket is gone."""
        try:
            if self._seat is not None:
                self.wake_up()
                self._seat.give_up()
        finally:
            for timer in (self._deadline_timer, self._end_timer, self._keepalive_timer):
                if timer is not None:
                    timer.cancel()
            self.connection.closed(self._now_ns())
            self._desk.settle(self)
            self._seat = None  # it knows this one

    # -- Wire ------------------------------------------------------------------------------------------

    @property
    def buffered_bytes(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._transport.get_write_buffer_size()

    @property
    def is_open(self) -> bool:
        """Whether anything that is sent still goes out."""
        return self._framing.is_open

    def send(self, message: Message) -> None:
        """Send a message, text as str, binary as bytes."""
        if self._framing.is_open:
            self._transport.write(serialize(message))

    def close(self, close: Close) -> None:
        """Begin the closing handshake; whoever does not read is not listened to either."""
        if self._seat is not None:
            self._seat.leave()
        (self._framing.fail if self._is_behind else self._framing.close)(close)
        self._write()

    @property
    def _is_behind(self) -> bool:
        return self.buffered_bytes > self._desk.options.connection.max_unsent_bytes

    # -- inside ----------------------------------------------------------------------------------------

    def _hand_on(self, messages: list[Message], now_ns: int) -> None:
        receive = self.connection.receive
        for message in messages:
            close = receive(message, now_ns)
            if close is not None:
                self._framing.close(close)
                break
        self._watch_deadline()

    def _write(self) -> None:
        """Write what `Framing` has to say; once either side has begun to close, the other has some time to follow."""
        if self._is_behind:  # of pings that it sends, and whose pongs it does not read
            self._framing.fail(close_with(1008, f"does not read: {self.buffered_bytes} bytes wait"))
        for data in self._framing.take_output():
            if data:
                self._transport.write(data)
            elif not self._transport.can_write_eof():  # TLS has no halves
                self._transport.close()
            elif not self._transport.is_closing():
                # Closing with data unread would take the close frame away from the peer.
                with suppress(OSError):  # the peer is gone
                    self._transport.write_eof()
        if self._end_timer is None and not self._framing.is_open:
            self._end_timer = self._loop.call_later(self._desk.options.close_timeout_s, self._transport.abort)
            self.wake_up()

    def _watch_deadline(self) -> None:
        deadline_ns = self.connection.deadline()
        if deadline_ns == self._deadline_ns:
            return
        self._deadline_ns = deadline_ns
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        if deadline_ns != NEVER_NS:
            delay_ns = max(deadline_ns - self._now_ns(), 0)
            self._deadline_timer = self._loop.call_later(delay_ns / NS_PER_SECOND, self._poll)

    def _poll(self) -> None:
        self._deadline_ns = NEVER_NS
        close = self.connection.poll(self._now_ns())
        if close is not None:
            self.close(close)
        else:
            self._watch_deadline()  # the loop's clock was ahead of ours

    def _ping(self) -> None:
        self.settle()
        options, counted = self._desk.options, self.connection.snapshot().received
        most = options.connection.max_messages_per_s * max(options.ping_interval_s, options.ping_timeout_s)
        if counted - self._counted > most:
            self.connection.close(Close(1008, f"more than {options.connection.max_messages_per_s} messages a second"))
        self._counted = counted
        if self._framing.is_open:
            self._pings, self._looks = self._pings + 1, 0
            self._framing.ping(self._pings.to_bytes(8))
            self._write()
            timeout_s = self._desk.options.ping_timeout_s
            self._keepalive_timer = self._loop.call_later(timeout_s, self._expect_pong)

    def _expect_pong(self) -> None:
        options = self._desk.options
        if self._framing.pong != self._pings.to_bytes(8):
            if self._looks < _MOST_LOOKS and unread_bytes(self._transport):  # it may lie there, and the fault be ours
                self._looks += 1
                self._keepalive_timer = self._loop.call_later(options.ping_timeout_s / _MOST_LOOKS, self._expect_pong)
                return
            reason = f"no pong within {options.ping_timeout_s:g} s: does not read, or is gone"
            self._framing.fail(close_with(1011, reason))
            self._write()
            return
        rest_s = max(options.ping_interval_s - options.ping_timeout_s, 0.0)
        self._keepalive_timer = self._loop.call_later(rest_s, self._ping)
