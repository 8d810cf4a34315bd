"""Shell: dials a WebSocket for every call, sends its frames at their deadlines, answers what comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from media.carrier.frames import TOKEN_HEADER
from media.carrier.pacing import Pacer
from media.carrier.plan import Plan
from media.carrier.playback import MarkReturned, Playback, Refused
from media.carrier.report import Progress, SendReport
from media.carrier.stream import MediaStream
from strep.clock import NEVER_NS, NS_PER_SECOND
from strep.errors import ConfigurationError

_OPEN_TIMEOUT_SECONDS = 30


async def send_plan(plan: Plan, stream_url: str, pacer: Pacer, on_progress: Progress | None = None) -> SendReport:
    """Send everything in `plan`, a socket and a task for each call.

    Raises:
        ConfigurationError: nobody answers at `stream_url`, or the upgrade is refused.
    """
    report = SendReport(started_ns=pacer.now_ns())
    calls = [_Call(plan, call, stream_url, pacer, report, on_progress) for call in range(plan.options.calls)]
    report.playbacks = [call.playback for call in calls]
    tasks = [asyncio.create_task(call.run()) for call in calls]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return report


class _Call:
    """One call: a stream, its socket, and the queue of audio that is played into it."""

    def __init__(
        self, plan: Plan, call: int, url: str, pacer: Pacer, report: SendReport, on_progress: Progress | None
    ) -> None:
        self._stream = MediaStream(plan, call)
        self.playback = Playback(plan.options.websocket.playback_mode)
        self._token = plan.options.websocket.auth_token
        self._url, self._pacer, self._report, self._on_progress = url, pacer, report, on_progress

    def _now_ns(self) -> int:
        return self._pacer.now_ns() - self._report.started_ns

    async def run(self) -> None:
        """Send the frames; a socket broken on purpose is dialled again, one closed by the far end is not."""
        gap, times_ns = self._stream.gap, self._stream.times_ns
        await self._sleep_until(int(times_ns[0]))
        try:
            if gap is None:
                await self._session(0, len(times_ns))
            else:
                broken_at = int(np.searchsorted(times_ns, gap.start_ns))
                await self._session(0, broken_at, breaks_at_ns=gap.start_ns)
                await self._sleep_until(gap.end_ns)
                await self._session(broken_at, len(times_ns))
        except ConnectionClosed:
            self._report.closed_early += 1

    async def _session(self, start: int, stop: int, breaks_at_ns: int | None = None) -> None:
        """Send frames `start` to `stop` over a socket of their own."""
        connection = await self._dial()
        reader = asyncio.create_task(self._answer(connection))
        try:
            await connection.send(self._stream.writer.connected())
            for row in range(start, stop):
                await self._send(connection, row)
            if breaks_at_ns is not None:
                await self._sleep_until(breaks_at_ns)
                # Hang up below WebSocket: what was sent arrives, a close frame does not.
                connection.transport.close()
                await connection.wait_closed()
        finally:
            await connection.close()
            await reader

    async def _sleep_until(self, deadline_ns: int) -> None:
        await self._pacer.sleep_until(self._report.started_ns + deadline_ns)

    async def _dial(self) -> ClientConnection:
        headers = {TOKEN_HEADER: self._token} if self._token else {}
        try:
            return await connect(
                self._url,
                additional_headers=headers,
                compression=None,
                ping_interval=None,
                open_timeout=_OPEN_TIMEOUT_SECONDS,
            )
        except (OSError, WebSocketException, ValueError) as error:
            raise ConfigurationError(f"ws: cannot open {self._url}: {error}") from error

    async def _send(self, connection: ClientConnection, row: int) -> None:
        deadline_ns = int(self._stream.times_ns[row])
        if self._now_ns() < deadline_ns:
            await self._sleep_until(deadline_ns)
        else:
            await asyncio.sleep(0)  # a late call does not make all others wait until it has caught up
        await connection.send(self._stream.frame(row))
        if not self._stream.is_media[row]:
            return
        self._report.lateness.record(np.array([self._now_ns() - deadline_ns]))
        self._report.sent += 1
        if self._on_progress is not None:
            self._on_progress(self._report.sent)

    async def _answer(self, connection: ClientConnection) -> None:
        """Play what comes, and return marks when they are due; ends with the connection."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                try:
                    async with asyncio.timeout(self._until_next_mark_seconds()):
                        message = await connection.recv()
                except TimeoutError:
                    await self._reply(connection, self.playback.poll(self._now_ns()))
                else:
                    await self._reply(connection, self.playback.receive(message, self._now_ns()))

    def _until_next_mark_seconds(self) -> float | None:
        deadline_ns = self.playback.deadline()
        return None if deadline_ns == NEVER_NS else max(0, deadline_ns - self._now_ns()) / NS_PER_SECOND

    async def _reply(self, connection: ClientConnection, answers: Sequence[MarkReturned | Refused]) -> None:
        for answer in answers:
            if isinstance(answer, Refused):
                await connection.send(self._stream.writer.error(answer.code, answer.detail))
            else:
                number = self._stream.interject(self._now_ns())
                await connection.send(self._stream.writer.mark(number, answer.name))
