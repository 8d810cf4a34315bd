"""``/v1/watch``: what the live page shows. A WebSocket that tells of all calls a little, and much of those in sight.

The page says which calls are in sight, by their numbers: ``{"visible": [1, 2], "ranking": true}``. It gets

* ``calls``: which have begun and ended since it was told, once a second, at most `CALLS_AT_ONCE` a message;
* ``totals``, once a second, with alarms;
* figures (`media.page.overview.FIGURES`) of the calls in sight, once a second; of all, every few, if it ranks them;
* levels (`media.page.levels.LEVEL`) of those in sight, five times a second, and their events as they happen.

Who begins and who ends is the difference between what is live and what was told: nothing waits for a page, and what
is late is told as it then is. A page that is too slow loses the oldest levels and events, and is told how many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import numpy as np
from aiohttp import web

import strep
from media.events.bus import EventBus
from media.feed.sink import FeedSink
from media.http.api import API, Api, json_reply, text
from media.http.behind import until_stop
from media.http.describing import Operation
from media.http.streams import Stream
from media.http.watch_all import PageOfAll
from media.page.documents import Abilities
from media.page.levels import LEVEL
from media.page.messages import CALLS_AT_ONCE, FIGURES_OF_CALLS, LEVELS, hello, message, sight_of
from media.page.overview import FIGURES
from media.page.viewer import MAX_VISIBLE, Viewer
from media.sinks.contract import CallInfo
from strep.clock import iso8601

LEVELS_EVERY_S = 0.2
LEVELS_PER_LOOK = 5
"""Once in so many it is told who began, who ended, and the totals: once a second."""
LOOKS_PER_RANKING = 5
IDENTITY = ("from", "to", "call_leg_id", "leg", "stream_id", "call_control_id", "call_session_id", "name")
MAX_IDENTITY_CHARACTERS = 128
"""Of each; the carrier says it."""
OPERATIONS = (
    Operation(method="get", path="/v1/page", summary="Tell what this server has to show.", answer=Abilities),
    Operation(
        method="get",
        path="/v1/watch",
        summary="Tell of all calls a little and of some a lot, for the live page, over a WebSocket; docs/page.md.",
        status=101,
        refusals=(426, 503),
    ),
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get("/v1/page", show_abilities), web.get("/v1/watch", watch)]


async def show_abilities(request: web.Request) -> web.Response:
    """Return what this server has to show: ``{"version", "recordings"}``."""
    api = request.app[API]
    return json_reply({"version": strep.__version__, "recordings": api.recordings is not None})


async def watch(request: web.Request) -> web.StreamResponse:
    """Tell a page until it leaves, or the server stops."""
    api, stream = request.app[API], Stream()
    if api.behind is not None:
        every = PageOfAll(api, api.behind)
        stream.hear = every.hear
        with api.reading(stream):
            return await stream.serve(
                request, lambda socket: until_stop(stream, lambda: api.is_stopping, every.tell(socket))
            )
    feed, bus = api.feed, api.bus
    assert feed is not None
    assert isinstance(bus, EventBus), "who has the audio has the events"
    page = _Page(api, feed)
    stream.hear = page.hear
    with api.reading(stream):
        untap, unsubscribe = feed.tap(page.viewer.receive), bus.subscribe(page.viewer.hear)
        try:
            return await stream.serve(request, lambda socket: page.tell(socket, stream))
        finally:
            untap()
            unsubscribe()


class _Page:
    """One page that is open, in the event loop of the HTTP door."""

    def __init__(self, api: Api, feed: FeedSink) -> None:
        self.viewer = Viewer(feed.is_live)
        self._api, self._feed = api, feed
        self._told: dict[int, CallInfo] = {}
        self._is_ranking = False

    def hear(self, said: str) -> None:
        """Take what the page says; what is nothing that it may say is passed over."""
        sight = sight_of(said)
        if sight is None:
            return
        seen = (self._told.get(number) for number in sight.visible[:MAX_VISIBLE])
        self.viewer.look_at([call for call in seen if call is not None])
        self._is_ranking = sight.ranking

    async def tell(self, socket: web.WebSocketResponse, stream: Stream) -> tuple[int, str]:
        """Tell it everything, in time; return what to close with."""
        await socket.send_str(text(hello()))
        looks = 0
        while not self._api.is_stopping:
            await self._tell_of_calls(socket)
            await self._tell_figures(socket, is_of_all=self._is_ranking and looks % LOOKS_PER_RANKING == 0)
            looks += 1
            for _ in range(LEVELS_PER_LOOK):
                await _wait(stream)
                await self._tell_levels(socket)
        return 1001, "the server is stopping"

    async def _tell_of_calls(self, socket: web.WebSocketResponse) -> None:
        calls = {call.index: call for call in self._feed.calls()}
        ended = [number for number, call in self._told.items() if calls.get(number) is not call]
        for number in ended:
            del self._told[number]
        begun = [call for number, call in calls.items() if number not in self._told]
        for at in range(0, len(ended), CALLS_AT_ONCE):  # first: a call that has begun may have the number of one
            gone = ended[at : at + CALLS_AT_ONCE]
            await socket.send_str(text({"event": "calls", "ended": gone, "begun": []}))
        for at in range(0, len(begun), CALLS_AT_ONCE):
            some = begun[at : at + CALLS_AT_ONCE]
            self._told.update((call.index, call) for call in some)
            await socket.send_str(text({"event": "calls", "ended": [], "begun": [told_of(call) for call in some]}))

    async def _tell_figures(self, socket: web.WebSocketResponse, *, is_of_all: bool) -> None:
        if self._api.lookout is None:
            return
        seen = await self._api.lookout.look()
        said = {
            "event": "totals",
            **seen.totals,
            "now": iso8601(self._api.clock.wall_ns()),
            "alarms": self._api.health()["alarms"],
            "dropped": self.viewer.dropped,
        }
        await socket.send_str(text(said))
        figures = seen.figures
        if not is_of_all:
            visible = [call.index for call in self.viewer.visible]
            figures = figures[np.isin(figures["call"], visible)]
        if len(figures):
            await socket.send_bytes(message(FIGURES_OF_CALLS, figures.astype(FIGURES, copy=False)))

    async def _tell_levels(self, socket: web.WebSocketResponse) -> None:
        for told in self.viewer.take_events():
            await socket.send_str(text({"event": "happened", "call": told.call.index, "what": told.to_json()}))
        levels = self.viewer.take_levels()
        if levels:
            await socket.send_bytes(message(LEVELS, np.frombuffer(levels, LEVEL)))


def told_of(call: CallInfo) -> dict[str, Any]:
    """Return a call as the page is told of it, JSON values: what the carrier said of it in small."""
    return {
        "call": call.index,
        "call_id": call.call_id,
        "door": call.door,
        "started_at": iso8601(call.position_0_wall_ns),
        "sample_rate_hz": call.sample_rate_hz,
        "identity": dict(_in_small(call.identity.items())),
    }


def _in_small(identity: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, str]]:
    for name, value in identity:
        if name in IDENTITY and isinstance(value, str | int):
            yield name, str(value)[:MAX_IDENTITY_CHARACTERS]


async def _wait(stream: Stream) -> None:
    """Wait for the next levels, or for somebody who wakes the stream: the server stops."""
    stream.something.clear()
    try:
        async with asyncio.timeout(LEVELS_EVERY_S):
            await stream.something.wait()
    except TimeoutError:
        pass
