"""``/v1/legs``: legs are announced to the STREP door, and taken back; see `media.admission.legs`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web

from media.admission.announced import GOOD_FOR_S
from media.admission.desk import leg_of
from media.http.api import API, ApiError, json_reply
from media.http.bodies import read_body
from media.http.describing import Operation
from media.http.documents import AnnouncedLeg, Leg, Legs

MAX_BODY_BYTES = 4096
MAX_GOOD_FOR_S = 7 * 86_400


class Announcement(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a POST.

    Attributes:
        call_leg_id: a UUID.
        expires_s: for so long.
    """

    call_leg_id: str
    expires_s: Annotated[float, msgspec.Meta(ge=1, le=MAX_GOOD_FOR_S)] = GOOD_FOR_S


OPERATIONS = (
    Operation(
        method="get",
        path="/v1/legs",
        summary="Count announced legs, and list who waits.",
        answer=Legs,
        refusals=(503,),
    ),
    Operation(
        method="post",
        path="/v1/legs",
        summary="Let a leg begin.",
        body=Announcement,
        status=201,
        answer=AnnouncedLeg,
        refusals=(400, 408, 413, 503),
    ),
    Operation(
        method="delete",
        path="/v1/legs/{call_leg_id}",
        summary="Let a leg begin no more; a call that goes on goes on.",
        answer=Leg,
        refusals=(400, 404, 503),
    ),
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.get("/v1/legs", show_legs),
        web.post("/v1/legs", announce),
        web.delete("/v1/legs/{call_leg_id}", withdraw),
    ]


async def show_legs(request: web.Request) -> web.Response:
    """Return how many legs are announced, and who waits."""
    return json_reply(await request.app[API].house.legs())


async def announce(request: web.Request) -> web.Response:
    """Let a leg begin."""
    body = await read_body(request, MAX_BODY_BYTES)
    try:
        said = msgspec.json.decode(body, type=Announcement)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        example = '{"call_leg_id": "7f3a1c52-c9d0-11f0-8e41-02420a5b6c7d", "expires_s": 600}'
        raise ApiError(400, "body", f"{error}; for example: {example}") from None
    leg = _leg(said.call_leg_id)
    await request.app[API].house.register(leg, said.expires_s)
    return json_reply({"call_leg_id": str(leg), "expires_s": said.expires_s}, 201)


async def withdraw(request: web.Request) -> web.Response:
    """Let a leg begin no more, whatever of the carrier's is still on its way; a call that goes on goes on."""
    api, leg = request.app[API], _leg(request.match_info["call_leg_id"])
    async with api.in_order:
        was_announced = await api.house.withdraw(leg)
        if api.incoming is not None:
            api.incoming.taken_back(leg, api.clock.wall_ns())
    if not was_announced:
        raise ApiError(404, "no_such_leg", f"{leg} is not announced")
    return json_reply({"call_leg_id": str(leg)})


def _leg(text: str) -> UUID:
    leg = leg_of(text)
    if leg is None:
        raise ApiError(400, "call_leg_id", "call_leg_id is no UUID")
    return leg
