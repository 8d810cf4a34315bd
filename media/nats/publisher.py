"""Shell: `Publisher`, the connection's life in a thread with an event loop of its own, far from where calls arrive.

What nats-py is not used for, and why:

* Its JetStream ``publish`` waits for every message; ``publish_async`` makes a future a message, and neither keeps
  order when a message is refused. Messages are published here with a reply subject each under one inbox, and the
  answers, which come by one subscription, go to the `Outbox`.
* Its reconnection: it keeps what was in its buffer and sends it after the next connect, whatever became of it in
  between. Here a client lives as long as its connection, and all that is under way is in the outbox, which is bounded
  so that nats-py's own buffer never fills.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from media.nats.answers import Answer, Refused
from media.nats.config import ServerOptions
from media.nats.connection import Connection, NatsError
from media.nats.intake import Intake
from media.nats.message import Message
from media.nats.outbox import Outbox
from media.nats.stream import discarded_early
from media.throttle import ThrottledLog
from strep.clock import NS_PER_SECOND, Clock

_LOG = logging.getLogger("strep.nats")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
"""Between attempts to connect: doubled each time, with a random part."""
STREAM_LOOK_S = 30.0
"""How often the stream is looked at, whether it is full."""


class Publisher:
    """Sends what is offered to it, by a thread of its own.

    Attributes:
        connects: so often a connection was made.
        intake_errors: exceptions of the intake; a bug each, and what it had taken is lost.
    """

    def __init__(self, server: ServerOptions, config: dict[str, Any], outbox: Outbox, clock: Clock) -> None:
        """Prepare; nothing happens before `start`.

        Args:
            server: which.
            config: of the stream, see `media.nats.stream.wanted`.
            outbox: what waits; the publisher's from now on.
            clock: for ages and deadlines.
        """
        self._server, self._config, self._outbox, self._clock = server, config, outbox, clock
        self._lock = threading.Lock()
        self._log = ThrottledLog(_LOG, clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake, self._wake_intake = asyncio.Event(), asyncio.Event()
        self._intake: Intake | None = None
        self._stop_ns: int | None = None
        self._is_connected = self._is_gone = False
        self._trouble = self._stream_trouble = ""
        self._dropped_said = 0
        self.connects = self.intake_errors = 0
        self._lost = 0
        self.first: Future[str] = Future()
        self._thread = threading.Thread(target=self._run, name="nats", daemon=True)

    # -- from other threads --------------------------------------------------------------------------------

    def start(self, intake: Intake | None = None) -> None:
        """Start the thread; `first` gets the trouble of the first attempt to connect, empty if there was none.

        Args:
            intake: what is taken in the thread, and offered, beside what `offer` is given.
        """
        self._intake = intake
        self._thread.start()

    def wake(self) -> None:
        """Say that the intake has something; from any thread."""
        self._call_soon(self._wake_intake)

    @property
    def is_alive(self) -> bool:
        """Whether the thread has not ended, as it does when it is asked to, or by a bug."""
        return self._thread.is_alive()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._is_connected

    def offer(self, messages: Sequence[Message]) -> list[bool]:
        """Take messages, in this order; never waits for the network. Return which were taken, see `Outbox.offer`."""
        with self._lock:
            now_ns = self._clock.now_ns()
            taken = [self._outbox.offer(message, now_ns) for message in messages]
            dropped = self._outbox.totals.dropped
        self._call_soon(self._wake)
        if dropped > self._dropped_said:
            self._dropped_said = dropped
            self._log.warning(f"nats: no room: {dropped} messages dropped so far")
        return taken

    def request_stop(self, linger_s: float) -> None:
        """Let the thread end when all is sent, or after `linger_s` seconds; does not wait."""
        self._stop_ns = self._clock.now_ns() + round(linger_s * NS_PER_SECOND)
        self._call_soon(self._wake)
        self._call_soon(self._wake_intake)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; return whether it came."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def snapshot(self) -> dict[str, Any]:
        """Return totals and gauges of `Outbox.snapshot`, and of the connection."""
        with self._lock:
            now = self._outbox.snapshot(self._clock.now_ns())
        trouble = self._trouble or self._stream_trouble
        return {
            "connected": self._is_connected,
            "reconnects": max(self.connects - 1, 0),
            **now,
            "lost": self._lost,
            "intake_errors": self.intake_errors,
            **({"trouble": trouble} if trouble else {}),
        }

    def _call_soon(self, event: asyncio.Event) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)

    # -- in the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except Exception:
            _LOG.exception("nats: publishing has failed")
        finally:
            with self._lock:
                self._lost = self._outbox.close()
        if self._lost:
            _LOG.error(
                "nats: %d messages were not sent and are lost: there is no spool, or no room in it", self._lost
            )

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        taking = asyncio.create_task(self._take_in(self._intake)) if self._intake is not None else None
        pause_s = FIRST_PAUSE_S
        while not self._is_over():
            stored = self._outbox.totals.stored
            try:
                await self._session()
            except Exception as error:  # whatever it is: calls go on, and it is tried again
                self._say(error)
            self._is_connected = False
            with self._lock:
                self._outbox.connection_lost()
            if self._outbox.totals.stored > stored:
                pause_s = FIRST_PAUSE_S
            await self._pause(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        if taking is not None:
            taking.cancel()
            await asyncio.wait([taking])
            self._take_rest()

    async def _take_in(self, intake: Intake) -> None:
        """Offer what the intake has, until it has nothing more and the end is near."""
        while self._stop_ns is None or not intake.is_over:
            errors = self.intake_errors
            if self._take_some(intake):
                await asyncio.sleep(0)
                continue
            if self.intake_errors > errors:
                await asyncio.sleep(FIRST_PAUSE_S)
                continue
            left_ns = min(intake.deadline() - self._clock.now_ns(), NS_PER_SECOND)
            await _wait(self._wake_intake, left_ns)

    def _take_some(self, intake: Intake) -> bool:
        """Offer what the intake has now; return whether it has more."""
        try:
            found = intake.take(self._clock.now_ns())
            taken = self.offer([outgoing.message for outgoing in found])
            for outgoing, is_taken in zip(found, taken, strict=True):
                intake.answered(outgoing, is_taken=is_taken)
            return intake.has_more
        except Exception as error:  # what comes next is taken nevertheless
            self.intake_errors += 1
            self._log.warning(f"nats: what was to be published is lost: {error!r}", exc_info=error)
            return False

    def _take_rest(self) -> None:
        """Take what came in too late to be sent: it may go to the spool."""
        errors = self.intake_errors
        while self._intake is not None and not self._intake.is_over and self.intake_errors == errors:
            self._take_some(self._intake)

    async def _pause(self, seconds: float) -> None:
        """Wait, and spool meanwhile what waits for too long."""
        until_ns = self._clock.now_ns() + round(seconds * NS_PER_SECOND)
        while not self._is_over() and (left_ns := until_ns - self._clock.now_ns()) > 0:
            with self._lock:
                self._outbox.poll(self._clock.now_ns())
            await _wait(self._wake, min(left_ns, NS_PER_SECOND // 4))

    async def _session(self) -> None:
        """Connect, and send until the connection breaks or all is over.

        Raises:
            NatsError: there is none, or it broke.
        """
        self._is_gone = False
        opening = asyncio.ensure_future(Connection.open(self._server, self._config, self._answered, self._wake.set))
        while not opening.done():  # which may take its time, and messages come meanwhile
            with self._lock:
                self._outbox.poll(self._clock.now_ns())
            await asyncio.wait([opening], timeout=0.25)
        connection = opening.result()
        self.connects += 1
        self._is_connected, self._trouble = True, ""
        _LOG.info("nats: connected%s", " again" if self.connects > 1 else "", extra={"stream": self._config["name"]})
        self._note_first("")
        look = asyncio.create_task(self._look(connection))
        try:
            await self._pump(connection)
        finally:
            look.cancel()
            await connection.close()

    async def _pump(self, connection: Connection) -> None:
        while not self._is_over():
            if connection.is_closed:
                raise NatsError(f"connection lost: {connection.why_closed()}")
            if self._is_gone:
                raise NatsError(self._outbox.last_refusal)
            now_ns = self._clock.now_ns()
            with self._lock:
                self._outbox.poll(now_ns)
                shipments = self._outbox.take(now_ns)
                due_ns = self._outbox.deadline()
            if shipments:
                await connection.send(shipments)
                await asyncio.sleep(0)
            else:
                await _wait(self._wake, min(due_ns - now_ns, NS_PER_SECOND))

    def _answered(self, number: int, answer: Answer) -> None:
        with self._lock:
            self._outbox.answered(number, answer, self._clock.now_ns())
        if isinstance(answer, Refused):
            self._is_gone |= answer.is_gone
            self._log.warning(f"nats: a message was refused and will be sent again: {answer.reason}")
        self._wake.set()

    async def _look(self, connection: Connection) -> None:
        """Look now and then whether the stream is full."""
        while True:
            with contextlib.suppress(NatsError, ValueError, KeyError):
                info = await connection.stream_info()
                first = datetime.fromisoformat(info["state"]["first_ts"][:19] + "+00:00").timestamp()
                age_s = self._clock.wall_ns() / NS_PER_SECOND - first
                self._stream_trouble = discarded_early(info["state"], info["config"], age_s)
                if self._stream_trouble:
                    self._log.warning(f"nats: {self._stream_trouble}")
            await asyncio.sleep(STREAM_LOOK_S)

    def _is_over(self) -> bool:
        if self._stop_ns is None:
            return False
        is_all = self._outbox.is_empty and (self._intake is None or self._intake.is_over)
        return is_all or self._clock.now_ns() >= self._stop_ns

    def _say(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        level = logging.WARNING if isinstance(error, NatsError) else logging.ERROR
        if text != self._trouble:  # once, and again when it is something else
            waiting = "" if self._outbox.is_empty else "; messages wait"
            _LOG.log(level, "nats: %s; trying again%s", text, waiting, exc_info=level == logging.ERROR)
        self._trouble = text
        self._note_first(text)

    def _note_first(self, text: str) -> None:
        if not self.first.done():
            self.first.set_result(text)


async def _wait(event: asyncio.Event, at_most_ns: int) -> None:
    """Wait for something to do, and note that it is seen to."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), max(at_most_ns, 0) / NS_PER_SECOND)
    event.clear()
