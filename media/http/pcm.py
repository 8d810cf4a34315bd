"""Audio over WebSockets: ``/v1/calls/{call_id}/pcm`` of one call, ``/v1/pcm`` of any number.

A message of PCM (`media.feed.wire`) is a binary message. Text messages are news, in JSON: ``subscribed`` first, then
``call_started`` before a call's first audio, ``call_ended`` behind its last, ``dropped`` where audio was that the
reader was too slow for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from aiohttp import web

from media.feed.selection import MAX_PATTERN_LENGTH, NATIVE, NEXT_CALL, RATES_HZ, Selection, SelectionError
from media.feed.subscription import CallBegan, CallOver, Calls, Limits, Subscription, WhenSlow
from media.http.api import API, ApiError, no_such_call, text
from media.http.behind import ENDED, REPLACED, STOPPING, Closing
from media.http.describing import Operation, Parameter
from media.http.pcm_all import relayed
from media.http.streams import TOO_SLOW, Stream
from strep.clock import iso8601

QUEUE_BYTES, QUEUE_SECONDS = 16 << 20, 5.0
"""May wait for a reader; messages that several get are there once."""
WHY_CLOSED = {
    "ended": ENDED,
    "no_call": ENDED,
    "closed": STOPPING,
    "slow": TOO_SLOW,
    "replaced": REPLACED,
}


_WISHES = (
    Parameter("track", {"enum": ["both", "inbound", "outbound"], "default": "both"}, "Which side."),
    Parameter("rate", {"enum": [NATIVE, *map(str, RATES_HZ)], "default": NATIVE}, "In Hz; native is the call's own."),
    Parameter("format", {"enum": ["int16", "float32", "mulaw"], "default": "int16"}, "Of samples."),
    Parameter("when_slow", {"enum": [one.value for one in WhenSlow], "default": "disconnect"}, "If you do not read."),
)
OPERATIONS = (
    Operation(
        method="get",
        path="/v1/pcm",
        summary="Stream the audio of calls over a WebSocket.",
        parameters=(
            Parameter(
                "calls",
                {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN_LENGTH},
                "A call id, or a pattern.",
            ),
            *_WISHES,
        ),
        status=101,
        refusals=(400, 426, 503),
    ),
    Operation(
        method="get",
        path="/v1/calls/{call_id}/pcm",
        summary="Stream the audio of one call, to its end, over a WebSocket; `next` is the next one that starts.",
        parameters=_WISHES,
        status=101,
        refusals=(400, 404, 426, 503),
    ),
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get("/v1/pcm", stream_calls), web.get("/v1/calls/{call_id}/pcm", stream_call)]


async def stream_calls(request: web.Request) -> web.StreamResponse:
    """Stream all calls that are wanted."""
    return await _stream(request, list(request.query.items()), Calls.ALL)


async def stream_call(request: web.Request) -> web.StreamResponse:
    """Stream one call, to its end."""
    api, call_id = request.app[API], request.match_info["call_id"]
    if "calls" in request.query:
        raise ApiError(400, "parameter", "calls: the path names the call already")
    if call_id == NEXT_CALL:
        return await _stream(request, list(request.query.items()), Calls.NEXT)
    if api.behind is not None:
        worker = await api.behind.whose(call_id)
    else:
        assert api.feed is not None
        worker = 0 if any(call.call_id == call_id for call in api.feed.calls()) else None
    if worker is None:
        raise no_such_call(call_id)
    return await _stream(request, [*request.query.items(), ("calls", call_id)], Calls.ONE, worker)


async def _stream(
    request: web.Request, given: list[tuple[str, str]], calls: Calls, worker: int = 0
) -> web.StreamResponse:
    api = request.app[API]
    when_slow = [value for name, value in given if name == "when_slow"]
    try:
        selection = Selection.of((name, value) for name, value in given if name != "when_slow")
        limits = Limits(QUEUE_BYTES, QUEUE_SECONDS, WhenSlow(when_slow[0] if when_slow else "disconnect"))
    except SelectionError as error:
        raise ApiError(400, "parameter", str(error)) from None
    except ValueError:
        choices = " and ".join(one.value for one in WhenSlow)
        raise ApiError(400, "parameter", f"when_slow: {when_slow[0]!r}; there are {choices}") from None
    stream = Stream()
    with api.reading(stream):
        return await stream.serve(
            request, lambda socket: _write(socket, _subscribed(request, stream, selection, limits, calls, worker))
        )


@asynccontextmanager
async def _subscribed(
    request: web.Request, stream: Stream, selection: Selection, limits: Limits, calls: Calls, worker: int
) -> AsyncIterator[tuple[Stream, Subscription]]:
    """Let a reader have what it wants, of this process or of those behind it."""
    api = request.app[API]
    if api.behind is not None:
        subscription = Subscription(selection, limits, wake=stream.wake, calls=calls)
        stream.is_lost = lambda: subscription.why_over == "slow"
        async with relayed(api, api.behind, stream, subscription, str(request.rel_url), worker):
            yield stream, subscription
        return
    assert api.feed is not None
    subscription = api.feed.subscribe(selection, limits, wake=stream.wake, calls=calls)
    stream.is_lost = lambda: subscription.why_over == "slow"
    try:
        yield stream, subscription
    finally:
        api.feed.unsubscribe(subscription)


async def _write(
    socket: web.WebSocketResponse, subscribed: AbstractAsyncContextManager[tuple[Stream, Subscription]]
) -> Closing:
    """Write to the reader until there is nothing more; return what to close it with."""
    async with subscribed as (stream, subscription):
        await socket.send_str(text({"event": "subscribed", "selection": subscription.selection.describe()}))
        while True:
            stream.something.clear()
            taken = subscription.take()
            if taken.is_over and not taken.items:
                return WHY_CLOSED[subscription.why_over]
            if taken.dropped_messages:
                await socket.send_str(text({"event": "dropped", "messages": taken.dropped_messages}))
            for item in taken.items:
                if isinstance(item, bytes):
                    await socket.send_bytes(item)
                else:
                    await socket.send_str(item if isinstance(item, str) else text(news(item)))
            if not taken.items:
                await stream.something.wait()


def news(item: CallBegan | CallOver) -> dict[str, Any]:
    """Return a notice as JSON values."""
    call = item.call
    if isinstance(item, CallBegan):
        return {
            "event": "call_started",
            "call_id": call.call_id,
            "door": call.door,
            "sample_rate_hz": call.sample_rate_hz,
            "started_at": iso8601(call.position_0_wall_ns),
            "identity": call.identity,
        }
    duration_ms = round(item.report.length_samples * 1000 / call.sample_rate_hz)
    return {
        "event": "call_ended", "call_id": call.call_id, "reason": item.report.reason, "duration_ms": duration_ms,
    }  # fmt: skip
