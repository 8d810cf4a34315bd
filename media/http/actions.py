"""``POST /v1/calls/{call_id}/actions/{action}``: a live call does something; see docs/control.md."""

from __future__ import annotations

import re
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from media.control.commands import Command
from media.control.table import ACTIONS, MAX_BODY_BYTES, Action
from media.http.api import API, MAX_LARGE_BODIES, ApiError, json_reply
from media.http.bodies import read_body
from media.http.describing import Operation

PATH = "/v1/calls/{call_id}/actions/{action}"

OPERATIONS = tuple(
    Operation(
        method="post",
        path=PATH.replace("{action}", name),
        summary=action.summary,
        body=action.command,
        one_of=action.one_of,
        answer=action.answer,
        is_wrapped=True,
        refusals=(400, 404, 408, 409, 413, 415, 422, 501, 503),
    )
    for name, action in ACTIONS.items()
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.post(PATH, act)]


async def act(request: web.Request) -> web.Response:
    """Do it, or begin to."""
    call_id, name = request.match_info["call_id"], request.match_info["action"]
    action = ACTIONS.get(name)
    if action is None:
        raise ApiError(404, "no_such_action", f"there is no action {name[:64]!r}; there are {', '.join(ACTIONS)}")
    command = command_of(await _body(request, action), action)
    data = await request.app[API].house.act(call_id, name, command)
    return json_reply({"data": data})


async def _body(request: web.Request, action: Action) -> bytes:
    if request.content_type != "application/json" and request.body_exists:
        raise ApiError(415, "media_type", "send JSON, and say so: Content-Type: application/json")
    if action.most_bytes == MAX_BODY_BYTES or (request.content_length or action.most_bytes) <= MAX_BODY_BYTES:
        return await read_body(request, action.most_bytes)
    room = request.app[API].large_bodies
    if room.locked():
        raise ApiError(503, "busy", f"{MAX_LARGE_BODIES} bodies with audio are read already; come back in a second")
    async with room:
        return await read_body(request, action.most_bytes)


def command_of(body: bytes, action: Action) -> Command:
    """Return what a body says.

    Raises:
        ApiError: it is no JSON, or not as its type says.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=action.command)
    except msgspec.ValidationError as error:
        raise ApiError(422, "body", f"{error}{_choices(str(error), action.command)}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "json", f"the body is no JSON: {error}") from None


def _choices(text: str, command: type[Command]) -> str:
    """Return what a field may be, if `text` is msgspec's of one that is none of a few values."""
    found = re.match(r"Invalid enum value .* - at `\$\.(\w+)`$", text, re.DOTALL)
    if found is None:
        return ""
    kind = get_type_hints(command)[found[1]]
    kinds = (kind, *get_args(kind))
    choices = [value for one in kinds if get_origin(one) is Literal for value in get_args(one)]
    return f"; it is {'a number or' if int in kinds else 'one of'} {', '.join(map(str, choices))}"
