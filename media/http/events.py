"""``/v1/events``: what happens in calls, as server-sent events, or as text messages where a WebSocket is asked for.

Both have the same JSON object for an event. A reader who is too slow loses the oldest and is told how many, by an
event ``dropped``: each call's ``sequence`` shows which.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from fnmatch import fnmatchcase

from aiohttp import web

from media.events.bus import EventBus, Told
from media.feed.selection import ALL_CALLS, MAX_PATTERN_LENGTH
from media.http.api import API, HEARTBEAT_S, Api, ApiError, text
from media.http.describing import Operation, Parameter
from media.http.relayed import Relayed, RelayedEvent
from media.http.streams import Stream

MAX_WAITING = 10_000
"""Events for one reader; about 10 MB."""
MAX_KINDS = 32
WRITE_TIMEOUT_S = 30.0
"""For a reader of server-sent events to read some; one that does not is gone. A WebSocket has its pings."""
SomeEvent = Told | RelayedEvent
Send = Callable[[str, str], Awaitable[object]]
"""Gets the event's name and its JSON."""


OPERATIONS = (
    Operation(
        method="get",
        path="/v1/events",
        summary="Stream what happens in calls: server-sent events, or messages where a WebSocket is asked for.",
        parameters=(
            Parameter(
                "calls",
                {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN_LENGTH},
                "A call id, or a pattern.",
            ),
            Parameter("events", {"type": "string"}, "Names with commas between; all unless given."),
        ),
        media_type="text/event-stream",
        refusals=(400, 503),
    ),
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get("/v1/events", stream_events)]


class EventQueue:
    """Events that wait for a reader, at most `MAX_WAITING`: the oldest make room."""

    def __init__(self, calls: str, kinds: frozenset[str], wake: Callable[[], object]) -> None:
        """Take events of calls by pattern, and of kinds by name, all if there is none; `wake` is called for each."""
        self._calls, self._kinds, self._wake = calls, kinds, wake
        self._lock = threading.Lock()
        self._waiting: deque[SomeEvent] = deque(maxlen=MAX_WAITING)
        self._dropped = 0

    def lose(self, events: int) -> None:
        """Take note that so many were dropped on their way here."""
        with self._lock:
            self._dropped += events
        self._wake()

    def put(self, told: SomeEvent) -> None:
        """Take an event, if it is wanted; from any thread."""
        if self._kinds and told.name not in self._kinds:
            return
        if self._calls not in (ALL_CALLS, told.call_id) and not fnmatchcase(told.call_id, self._calls):
            return
        with self._lock:
            self._dropped += len(self._waiting) == MAX_WAITING
            self._waiting.append(told)
        self._wake()

    def take(self) -> tuple[list[SomeEvent], int]:
        """Return what waits, and how many were dropped before it since the last time."""
        with self._lock:
            waiting, dropped = list(self._waiting), self._dropped
            self._waiting.clear()
            self._dropped = 0
        return waiting, dropped


async def stream_events(request: web.Request) -> web.StreamResponse:
    """Stream events until the reader leaves, or the server stops."""
    api, stream = request.app[API], Stream()
    queue = EventQueue(*_wanted(request), stream.wake)
    assert api.bus is not None
    with api.reading(stream):
        unsubscribe = _subscribe(api.bus, queue)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await _over_websocket(request, api, queue, stream)
            return await _server_sent(request, api, queue, stream)
        finally:
            unsubscribe()


def _subscribe(bus: EventBus | Relayed, queue: EventQueue) -> Callable[[], None]:
    return bus.subscribe(queue.put, queue.lose) if isinstance(bus, Relayed) else bus.subscribe(queue.put)


def _wanted(request: web.Request) -> tuple[str, frozenset[str]]:
    unknown = request.query.keys() - {"calls", "events"}
    if unknown:
        raise ApiError(400, "parameter", f"{min(unknown)}: no such parameter; there are calls and events")
    calls = request.query.get("calls", ALL_CALLS)
    kinds = frozenset(filter(None, request.query.get("events", "").split(",")))
    if not 0 < len(calls) <= MAX_PATTERN_LENGTH or len(kinds) > MAX_KINDS:
        raise ApiError(400, "parameter", "calls is a call id or a pattern, events some names with commas between")
    return calls, kinds


async def _over_websocket(request: web.Request, api: Api, queue: EventQueue, stream: Stream) -> web.StreamResponse:
    async def write(socket: web.WebSocketResponse) -> tuple[int, str]:
        await _write(api, queue, stream, lambda _, document: socket.send_str(document), None)
        return 1001, "the server is stopping"

    return await stream.serve(request, write)


async def _server_sent(request: web.Request, api: Api, queue: EventQueue, stream: Stream) -> web.StreamResponse:
    """Stream as ``text/event-stream`` (HTML, section 9.2)."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)

    async def write(data: bytes) -> None:
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await response.write(data)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the reader does not read") from None

    async def send(name: str, document: str) -> None:
        await write(f"event: {name}\ndata: {document}\n\n".encode())

    async def beat() -> None:
        await write(b": still here\n\n")

    with suppress(ConnectionError):  # it left while it was written to
        await beat()
        await _write(api, queue, stream, send, beat)
    return response


async def _write(
    api: Api, queue: EventQueue, stream: Stream, send: Send, beat: Callable[[], Awaitable[object]] | None
) -> None:
    while not api.is_stopping:
        stream.something.clear()
        waiting, dropped = queue.take()
        if dropped:
            await send("dropped", text({"event": "dropped", "events": dropped}))
        for told in waiting:
            document = told.to_json()
            await send(document["event"], text(document))
        if waiting:
            continue
        try:
            async with asyncio.timeout(HEARTBEAT_S if beat else None):
                await stream.something.wait()
        except TimeoutError:
            if beat is not None:
                await beat()
