"""``POST /v1/webhooks/telnyx``: what the carrier says of its forks. Who has its key is let in, and needs no token."""

from __future__ import annotations

import logging

from aiohttp import web

from media.admission.announced import GOOD_FOR_S
from media.http.api import API, Api, ApiError, json_reply
from media.http.bodies import read_body
from media.http.describing import Operation
from media.http.documents import Webhook
from media.webhooks.incoming import MAX_BODY_BYTES, Incoming, Notice
from media.webhooks.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER

_LOG = logging.getLogger("strep.http")
PATH = "/v1/webhooks/telnyx"


OPERATIONS = (
    Operation(
        method="post",
        path=PATH,
        summary="Take a signed webhook of Telnyx: that a leg is forked announces it.",
        answer=Webhook,
        refusals=(400, 401, 404, 408, 413, 503),
        is_open=True,
    ),
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.post(PATH, take)]


async def take(request: web.Request) -> web.Response:
    """Take an event: that a leg is forked announces it, that it is no more withdraws it."""
    api = request.app[API]
    incoming = api.incoming
    if incoming is None:
        raise ApiError(404, "no_key", "webhooks are taken where --telnyx-public-key says whose")
    try:
        body = await read_body(request, MAX_BODY_BYTES)
    except ApiError as error:
        incoming.count(error.code)
        raise
    headers, wall_ns = request.headers, api.clock.wall_ns()
    async with api.in_order:  # what is judged next must know what came of this
        judged = incoming.judge(headers.get(SIGNATURE_HEADER, ""), headers.get(TIMESTAMP_HEADER, ""), body, wall_ns)
        if judged.notice is not None:
            await _act(api, incoming, judged.notice)
    if judged.message:
        raise ApiError(judged.status, judged.outcome, judged.message)
    return json_reply({"outcome": judged.outcome})


async def _act(api: Api, incoming: Incoming, notice: Notice) -> None:
    try:
        if notice.is_announced:
            await api.house.register(notice.leg, GOOD_FOR_S)
        else:
            await api.house.withdraw(notice.leg)
    except ApiError:
        incoming.count("failed")
        raise
    except Exception:  # whatever it was: the carrier is to send it again
        incoming.count("failed")
        _LOG.exception("a webhook could not be acted on")
        raise ApiError(503, "failed", "come back later") from None
    incoming.done(notice, api.clock.wall_ns())
    _LOG.debug("leg of a webhook", extra={"call_leg_id": str(notice.leg), "announced": notice.is_announced})
