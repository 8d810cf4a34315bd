"""Shell: one call over WebSocket: its socket, what waits to be sent, and the answers to what comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

from websockets.exceptions import WebSocketException

from media.carrier.dialects.contract import Message
from media.carrier.link import Link
from media.carrier.options import ErrorShape
from media.carrier.pacing import Pacer
from media.carrier.playback import Answer, MarkReturned, Playback
from media.carrier.report import SendReport
from media.carrier.stream import MediaStream
from strep.clock import NEVER_NS, NS_PER_SECOND
from strep.errors import ConfigurationError

DIAL, BREAK, END = -1, -2, -3
"""What a call does besides sending row 0 and so on of its stream. BREAK is without a close frame, END is with one."""


class StreamCall:
    """What a call has to do is done in order, and as soon as its socket allows.

    Args:
        stream: its frames.
        playback: takes what the far end sends.
        url: where it dials.
        headers: with which.
        pacer: the clock.
        report: of all calls.
    """

    def __init__(
        self,
        stream: MediaStream,
        playback: Playback,
        url: str,
        headers: dict[str, str],
        pacer: Pacer,
        report: SendReport,
    ) -> None:
        self._stream, self._playback, self._url, self._headers = stream, playback, url, headers
        self._pacer, self._report = pacer, report
        self._times_ns: list[int] = stream.times_ns.tolist()
        self._is_media: list[bool] = stream.is_media.tolist()
        self._waiting: deque[int] = deque()
        self._link: Link | None = None
        self._is_dialing = self._is_over = False
        self._has_hung_up = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished = asyncio.Event()
        self._failure: ConfigurationError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = NEVER_NS
        self._errors = self._rows = 0

    def do(self, action: int) -> None:
        """Do this now, or when what was to be done before has been done."""
        self._waiting.append(action)
        if len(self._waiting) == 1:
            self._go_on()

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be sent."""
        return self._is_over

    @property
    def made(self) -> dict[int, int]:
        """By track of the plan, how many of its deliveries were made."""
        return self._stream.made(self._rows)

    async def wait_dialed(self) -> None:
        """Return when nothing is being dialed."""
        if self._is_dialing:
            await asyncio.wait(self._tasks)

    async def wait_finished(self) -> None:
        """Return when the call is over and its socket gone."""
        await self._finished.wait()

    def raise_failure(self) -> None:
        """Raise what went wrong with dialing, if anything did."""
        if self._failure is not None:
            raise self._failure

    def abort(self) -> None:
        """Let go of everything."""
        self._stop_timer()
        for task in self._tasks:
            task.cancel()
        if self._link is not None:
            self._link.abort()

    def _now_ns(self) -> int:
        return self._pacer.now_ns() - self._report.started_ns

    def _go_on(self) -> None:
        waiting = self._waiting
        while waiting and not self._is_dialing:
            action = waiting[0]
            if action >= 0:
                if not self._send(action):
                    return
            elif action == DIAL:
                if self._link is not None:  # the old one is not quite gone
                    return
                self._is_dialing = not self._is_over
                self._begin(self._dial())
            elif action == BREAK and not self._is_over:
                self._has_hung_up = True
                self._playback.lose_socket(self._now_ns())
                if self._link is not None:
                    self._link.hang_up()
            elif action == END:
                self._begin(self._close())
            waiting.popleft()

    def _send(self, row: int) -> bool:
        """Send a frame; return whether that could be done, or need not any more."""
        link = self._link
        if link is None or not link.is_open:
            return True
        if not link.is_writable:
            return False
        link.send(self._stream.frame(row))
        self._rows = row + 1
        if self._is_media[row]:
            self._report.late_ns.append(self._now_ns() - self._times_ns[row])
            self._report.sent += 1
        return True

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self) -> None:
        if self._is_over:
            return
        link = Link(self._url, self._headers, self._receive, self._gone)
        self._has_hung_up, self._link = False, link
        link.on_writable = self._go_on
        try:
            await link.dial()
        except (OSError, WebSocketException, ValueError) as error:
            self._is_dialing = False
            self._fail(ConfigurationError(f"ws: cannot open {self._url}: {str(error) or type(error).__name__}"))
            return
        self._is_dialing = False
        if link.is_gone:  # the goodbye came with the answer
            self._end_early(link)
            return
        self._playback.has_socket = True
        connected = self._stream.writer.connected()
        if connected is not None:
            link.send(connected)
        self._go_on()

    def _fail(self, failure: ConfigurationError) -> None:
        self._failure, self._is_over = failure, True
        self._report.failures += 1
        self._finished.set()

    async def _close(self) -> None:
        link = self._link
        if link is not None and not link.is_open and not self._has_hung_up:  # the far end was first
            self._end_early(link)
        self._has_hung_up = True
        self._stop_timer()
        self._playback.finish(self._now_ns())
        if self._link is not None:
            await self._link.close()
        self._is_over = True
        self._finished.set()

    def _gone(self) -> None:
        """Take note that the socket is gone."""
        link, self._link = self._link, None
        if link is not None and not self._has_hung_up and not self._is_dialing:
            self._end_early(link)
        self._has_hung_up = True
        self._go_on()

    def _end_early(self, link: Link) -> None:
        """The far end has closed."""
        if self._rows < len(self._stream):
            self._report.closings[link.farewell] += 1
        self._is_over = True
        self._playback.finish(self._now_ns())
        self._finished.set()

    def _receive(self, message: str | bytes) -> None:
        answers = self._playback.receive(message, self._now_ns())
        if answers:
            self._answer(answers)
        if self._playback.deadline() != self._timer_ns:
            self._set_timer()

    def _set_timer(self) -> None:
        self._stop_timer()
        self._timer_ns = self._playback.deadline()
        if self._timer_ns != NEVER_NS:
            delay_ns = max(0, self._timer_ns - self._now_ns())
            self._timer = asyncio.get_running_loop().call_later(delay_ns / NS_PER_SECOND, self._return_marks)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_ns = None, NEVER_NS

    def _return_marks(self) -> None:
        # The timer has waited for that moment, whatever a clock that jumps may say.
        self._answer(self._playback.poll(max(self._now_ns(), self._timer_ns)))
        self._set_timer()

    def _answer(self, answers: Sequence[Answer]) -> None:
        link = self._link
        if link is None or not link.is_open:
            return
        for answer in answers:
            if isinstance(answer, MarkReturned):
                link.send(self._write("mark", answer.name))
            elif "error" in self._stream.writer.frames:
                link.send(self._write(self._next_error(), answer.code, answer.detail))

    def _next_error(self) -> str:
        """Return the kind of the next error frame."""
        shape = self._stream.options.manners.error_shape
        self._errors += 1
        is_old = shape is ErrorShape.OLD or (shape is ErrorShape.ALTERNATING and self._errors % 2 == 0)
        return "old_error" if is_old else "error"

    def _write(self, kind: str, *details: Any) -> Message:
        """Return a frame made now."""
        writer = self._stream.writer
        number = self._stream.interject(self._now_ns()) if writer.frames[kind].is_numbered else 0
        return writer.write(kind, number, *details)
