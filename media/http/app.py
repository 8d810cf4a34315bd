"""The application of the HTTP door: who is let in, what there is, and how errors look.

More routes: write a file with a ``routes()`` that returns them, and name it in `ROUTES`; describe those of ``/v1/``
by `OPERATIONS` beside it, and name these in `media.http.openapi`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from media.http import actions, alarms, calls, carrier, events, legs, openapi, page, pcm, recordings, watch
from media.http.access import Access
from media.http.api import API, HANDED_OVER, Api, ApiError, error_reply, json_reply

_LOG = logging.getLogger("strep.http")
OPEN_PATHS = frozenset({"/healthz", "/readyz", carrier.PATH, *page.FILES})
"""For whoever asks: nothing of calls is told there, and webhooks show a signature."""
MAX_REQUEST_BYTES = 1 << 20
"""Of a body; routes that read one have a smaller bound (`media.http.bodies`)."""
ROUTES = (
    calls.routes,
    actions.routes,
    legs.routes,
    carrier.routes,
    pcm.routes,
    events.routes,
    alarms.routes,
    openapi.routes,
    page.routes,
    watch.routes,
    recordings.routes,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(api: Api, access: Access) -> web.Application:
    """Return the application."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            denial = None if request.path in OPEN_PATHS else access.denial(request.headers)
            if denial is not None:
                raise ApiError(denial.status, denial.code, denial.message)
            return await handler(request)
        except ApiError as error:
            return _refuse(api, error.status, error.code, str(error))
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            allow = error.headers.get("Allow", "")
            return _refuse(api, error.status, _slug(error.reason), _explain(request, error), allow)
        except ConnectionError:
            raise  # the client has gone
        except Exception:
            _LOG.exception("%s %s failed", request.method, request.path)
            return _refuse(api, 500, "internal", "a mistake of ours; the log has it")

    app = web.Application(middlewares=[guard], client_max_size=MAX_REQUEST_BYTES)
    app[API] = api
    app.router.add_get("/readyz", _readiness)
    for routes in ROUTES:
        app.add_routes(routes())
    return app


async def _readiness(request: web.Request) -> web.Response:
    if await request.app[API].shortage():  # why, is for those who have a token: in the log
        raise ApiError(503, "not_ready", "no call may begin now")
    return json_reply({"status": "ready"})


def _refuse(api: Api, status: int, code: str, message: str, allow: str = "") -> web.Response:
    api.refused[code] = api.refused.get(code, 0) + 1
    reply = error_reply(status, code, message)
    if status == HTTPStatus.UNAUTHORIZED:
        reply.headers["WWW-Authenticate"] = "Bearer"  # RFC 6750 section 3
    if allow:
        reply.headers["Allow"] = allow  # RFC 9110 section 15.5.6
    if code == HANDED_OVER:
        reply.force_close()
    return reply


def _slug(reason: str) -> str:
    return re.sub(r"\W+", "_", reason).strip("_").lower()


def _explain(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPNotFound):
        paths = sorted({resource.canonical for resource in request.app.router.resources()} - page.FILES.keys())
        return f"there is no {request.path}; there are {', '.join(paths)}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path} does not take {error.method}; it takes {', '.join(sorted(error.allowed_methods))}"
    return error.text or error.reason
