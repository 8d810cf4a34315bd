"""``GET /v1/calls`` and ``GET /v1/calls/{call_id}``: live calls, with their tracks and the statistics of these."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from aiohttp import web

from media.http.api import API, Api, ApiError, json_reply
from media.status import live_call

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
"""Calls in one reply."""
CALLS_AT_ONCE = 20
"""Whose statistics the media loop counts up in one go: a millisecond of it, in which it drains no socket."""


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get("/v1/calls", list_calls), web.get("/v1/calls/{call_id}", show_call)]


async def list_calls(request: web.Request) -> web.Response:
    """Return some of the live calls, the oldest first."""
    api = request.app[API]
    offset = _number(request, "offset", 0, 10**9)
    limit = _number(request, "limit", DEFAULT_LIMIT, MAX_LIMIT)

    def look() -> tuple[int, list[str]]:
        return len(api.engine.calls), list(islice(api.engine.calls, offset, offset + limit))

    def look_at(call_ids: list[str]) -> list[dict[str, Any]]:
        calls = (api.engine.calls.get(call_id) for call_id in call_ids)
        return [live_call(api.engine, call) for call in calls if call is not None]  # those that did not end meanwhile

    total, call_ids = await api.in_media_loop(look)
    found: list[dict[str, Any]] = []
    for at in range(0, len(call_ids), CALLS_AT_ONCE):
        found += await api.in_media_loop(partial(look_at, call_ids[at : at + CALLS_AT_ONCE]))
    return json_reply({"total": total, "calls": found})


async def show_call(request: web.Request) -> web.Response:
    """Return one live call."""
    api, call_id = request.app[API], request.match_info["call_id"]

    def look() -> dict[str, Any] | None:
        call = api.engine.calls.get(call_id)
        return live_call(api.engine, call) if call is not None else None

    found = await api.in_media_loop(look)
    if found is None:
        raise no_such_call(api, call_id)
    return json_reply(found)


def no_such_call(api: Api, call_id: str) -> ApiError:
    """Return the error of a call that is not live."""
    return ApiError(404, "no_such_call", f"there is no live call {call_id!r}; GET /v1/calls lists those that are")


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    given = request.query.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) < 20 and int(given) <= most):
        raise ApiError(400, "parameter", f"{name}: {given!r} is not a number from 0 to {most}")
    return int(given)
