"""``GET /v1/calls`` and ``GET /v1/calls/{call_id}``: live calls, with their tracks and the statistics of these."""

from __future__ import annotations

from aiohttp import web

from media.http.api import API, ApiError, json_reply, no_such_call
from media.http.describing import Operation, page_parameters
from media.http.documents import LiveCalls, ShownCall

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
"""Calls in one reply."""


OPERATIONS = (
    Operation(
        method="get",
        path="/v1/calls",
        summary="List the live calls, the oldest first.",
        parameters=page_parameters(DEFAULT_LIMIT, MAX_LIMIT),
        answer=LiveCalls,
        refusals=(400, 503),
    ),
    Operation(
        method="get",
        path="/v1/calls/{call_id}",
        summary="Show a live call, and what is going on in it.",
        answer=ShownCall,
        refusals=(404, 503),
    ),
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get("/v1/calls", list_calls), web.get("/v1/calls/{call_id}", show_call)]


async def list_calls(request: web.Request) -> web.Response:
    """Return some of the live calls, the oldest first."""
    offset = number_of(request, "offset", 0, 10**9)
    limit = number_of(request, "limit", DEFAULT_LIMIT, MAX_LIMIT)
    total, found = await request.app[API].house.calls(offset, limit)
    return json_reply({"total": total, "calls": found})


async def show_call(request: web.Request) -> web.Response:
    """Return one live call."""
    call_id = request.match_info["call_id"]
    found = await request.app[API].house.call(call_id)
    if found is None:
        raise no_such_call(call_id)
    return json_reply(found)


def number_of(request: web.Request, name: str, default: int, most: int) -> int:
    """Return a parameter that is a number from 0 to `most`.

    Raises:
        ApiError: it is none.
    """
    given = request.query.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) < 20 and int(given) <= most):
        raise ApiError(400, "parameter", f"{name}: {given!r} is not a number from 0 to {most}")
    return int(given)
