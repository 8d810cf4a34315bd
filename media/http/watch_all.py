"""``/v1/watch`` of several workers: what each of them tells a page of its calls, as if one told it of all.

A call's number is that of its worker times their number, plus the worker's own; so of two workers one has the even
ones. Totals are added up, once a second. When a worker dies its calls have ended, and are told anew by the next one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
import numpy as np
from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType, web

from media.http.api import Api, text
from media.http.behind import Behind, Closing, first_of
from media.page.levels import LEVEL
from media.page.messages import CALLS_AT_ONCE, HEADER, LEVELS, Sight, hello, sight_of
from media.page.overview import FIGURES
from media.page.viewer import MAX_VISIBLE
from strep.clock import iso8601

PATH = "/v1/watch"
TOTALS_EVERY_S = 1.0


class PageOfAll:
    """One page that is open, in the event loop of the HTTP door."""

    def __init__(self, api: Api, behind: Behind) -> None:
        self._api, self._behind, self._count = api, behind, len(behind.paths)
        self._sights = [_SightOfOne() for _ in range(self._count)]
        self._live: list[set[int]] = [set() for _ in range(self._count)]
        self._totals: list[dict[str, Any]] = [{} for _ in range(self._count)]

    def hear(self, said: str) -> None:
        """Take what the page says, and tell each worker what of it is its own."""
        sight = sight_of(said)
        if sight is None:
            return
        for worker, mine in enumerate(self._sights):
            visible = sight.visible[:MAX_VISIBLE]
            numbers = [number // self._count for number in visible if number % self._count == worker]
            mine.tell(msgspec.json.encode(Sight(numbers, sight.ranking)).decode())

    async def tell(self, socket: web.WebSocketResponse) -> Closing:
        """Tell it everything, in time; return what to close with."""
        await socket.send_str(text(hello()))
        works = [self._follow(worker, socket) for worker in range(self._count)]
        return await first_of([*works, self._tell_totals(socket)])

    async def _tell_totals(self, socket: web.WebSocketResponse) -> Closing:
        while True:
            await asyncio.sleep(TOTALS_EVERY_S)
            total: Counter[str] = Counter()
            for said in self._totals:
                total.update({name: value for name, value in said.items() if isinstance(value, int)})
            now, alarms = iso8601(self._api.clock.wall_ns()), self._api.health()["alarms"]
            await socket.send_str(text({"event": "totals", **total, "now": now, "alarms": alarms}))

    async def _follow(self, worker: int, socket: web.WebSocketResponse) -> Closing:
        async def take(message: WSMessage) -> None:
            if message.type is WSMsgType.BINARY:
                await socket.send_bytes(self._numbered(worker, message.data))
            elif (told := self._told(worker, msgspec.json.decode(message.data))) is not None:
                await socket.send_str(text(told))

        async def lose() -> None:
            ended = [self._number(worker, call) for call in self._live[worker]]
            self._live[worker].clear()
            self._totals[worker] = {}
            for at in range(0, len(ended), CALLS_AT_ONCE):
                gone = ended[at : at + CALLS_AT_ONCE]
                await socket.send_str(text({"event": "calls", "ended": gone, "begun": []}))

        return await self._behind.follow(worker, PATH, take, lose, self._sights[worker].say_to)

    def _told(self, worker: int, said: dict[str, Any]) -> dict[str, Any] | None:
        """Return a message of a worker as the page is to have it; None: it is not to."""
        if said["event"] == "calls":
            self._live[worker].difference_update(said["ended"])
            self._live[worker].update(call["call"] for call in said["begun"])
            begun = [call | {"call": self._number(worker, call["call"])} for call in said["begun"]]
            return said | {"ended": [self._number(worker, call) for call in said["ended"]], "begun": begun}
        if said["event"] == "happened":
            return said | {"call": self._number(worker, said["call"])}
        if said["event"] == "totals":
            self._totals[worker] = said
        return None

    def _numbered(self, worker: int, message: bytes) -> bytes:
        """Return a binary message with the numbers that calls have here."""
        kind = HEADER.unpack_from(message)[0]
        records = np.frombuffer(message, LEVEL if kind == LEVELS else FIGURES, offset=HEADER.size).copy()
        records["call"] = records["call"] * self._count + worker
        return message[: HEADER.size] + records.tobytes()

    def _number(self, worker: int, call: int) -> int:
        return call * self._count + worker


class _SightOfOne:
    """What one worker is to know of what the page has in sight."""

    def __init__(self) -> None:
        self._said, self._has_changed = "", asyncio.Event()

    def tell(self, said: str) -> None:
        """Have the worker told, the one that is there or the next."""
        self._said = said
        self._has_changed.set()

    async def say_to(self, upstream: ClientWebSocketResponse) -> Closing:
        """Tell a worker as long as it is there."""
        if self._said:
            self._has_changed.set()
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            await upstream.send_str(self._said)
