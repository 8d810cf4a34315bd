"""``GET /v1/calls`` and ``GET /v1/calls/{call_id}``: live calls, with their tracks and the statistics of these."""

from __future__ import annotations

from aiohttp import web

from media.http.api import API, ApiError, json_reply

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
"""Calls in one reply."""


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get("/v1/calls", list_calls), web.get("/v1/calls/{call_id}", show_call)]


async def list_calls(request: web.Request) -> web.Response:
    """Return some of the live calls, the oldest first."""
    offset = _number(request, "offset", 0, 10**9)
    limit = _number(request, "limit", DEFAULT_LIMIT, MAX_LIMIT)
    total, found = await request.app[API].house.calls(offset, limit)
    return json_reply({"total": total, "calls": found})


async def show_call(request: web.Request) -> web.Response:
    """Return one live call."""
    call_id = request.match_info["call_id"]
    found = await request.app[API].house.call(call_id)
    if found is None:
        raise no_such_call(call_id)
    return json_reply(found)


def no_such_call(call_id: str) -> ApiError:
    """Return the error of a call that is not live."""
    return ApiError(404, "no_such_call", f"there is no live call {call_id!r}; GET /v1/calls lists those that are")


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    given = request.query.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) < 20 and int(given) <= most):
        raise ApiError(400, "parameter", f"{name}: {given!r} is not a number from 0 to {most}")
    return int(given)
