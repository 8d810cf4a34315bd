"""Alarms over HTTP: what is raised, what it means, what to do; and the health of the server, for whoever asks."""

from __future__ import annotations

from aiohttp import web

from media.http.api import API, json_reply


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get("/v1/alarms", _alarms), web.get("/healthz", _health)]


async def _alarms(request: web.Request) -> web.Response:
    """``{"status": "ok" | "warning" | "critical", "alarms": [...]}``."""
    api = request.app[API]
    return json_reply(api.alarms())


async def _health(request: web.Request) -> web.Response:
    """Names of alarms only, for it is open; 200 as long as the server lives: to restart it would end its calls."""
    api = request.app[API]
    report = api.alarms()
    return json_reply({"status": report["status"], "alarms": [alarm["name"] for alarm in report["alarms"]]})
