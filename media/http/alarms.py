"""Alarms over HTTP: what is raised, what it means, what to do; and the health of the server, for whoever asks."""

from __future__ import annotations

from aiohttp import web

from media.http.api import API, ApiError, json_reply
from media.http.describing import Operation
from media.http.documents import AlarmReport, Health

HANGS_S = 30.0
"""So old what is known of the server, which is looked at once a second, means that nothing is done there any more."""


OPERATIONS = (
    Operation(
        method="get", path="/v1/alarms", summary="Tell what is the matter, and what to do.", answer=AlarmReport
    ),
    Operation(
        method="get",
        path="/healthz",
        summary="Tell whether the server lives; 200 also with alarms.",
        answer=Health,
        refusals=(503,),
        is_open=True,
    ),
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get("/v1/alarms", _alarms), web.get("/healthz", _health)]


async def _alarms(request: web.Request) -> web.Response:
    """``{"status": "ok" | "warning" | "critical", "alarms": [...]}``."""
    api = request.app[API]
    return json_reply(api.alarms())


async def _health(request: web.Request) -> web.Response:
    """Names of alarms only, for it is open.

    200 as long as the server lives, alarms or not: to restart it would end its calls. 503 if its event loop hangs.
    """
    report = request.app[API].health()
    if report.get("age_s", 0.0) > HANGS_S:
        raise ApiError(503, "hangs", "the server has done nothing for a while")
    return json_reply({"status": report["status"], "alarms": [alarm["name"] for alarm in report["alarms"]]})
