"""``/v1/recordings``: what was recorded, its audio, its ledger and its waveform; served where it is switched on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from media.http.api import API, ApiError, json_reply
from media.http.calls import number_of

if TYPE_CHECKING:
    from media.page.catalogue import Catalogue

T = TypeVar("T")
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
DEFAULT_BUCKETS = 1000
MAX_WAITING = 16
"""Requests that read the disk, or wait for their turn."""
TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".opus": "audio/ogg"}
BESIDE = {"events": ".events.jsonl", "transcript": ".transcript.jsonl"}


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.get("/v1/recordings", list_recordings),
        web.get("/v1/recordings/{name}/sidecar", show_sidecar),
        web.get("/v1/recordings/{name}/audio", send_audio),
        web.get("/v1/recordings/{name}/peaks", show_peaks),
        web.get("/v1/recordings/{name}/{beside:events|transcript}", send_beside),
    ]


async def list_recordings(request: web.Request) -> web.Response:
    """Return some of them, the newest first: ``{"total": n, "recordings": [...]}``."""
    offset = number_of(request, "offset", 0, 10**9)
    limit = number_of(request, "limit", DEFAULT_LIMIT, MAX_LIMIT)
    catalogue = _catalogue(request)
    total, found = await _at_work(request, lambda: catalogue.page(offset, limit))
    return json_reply({"total": total, "recordings": found})


async def show_sidecar(request: web.Request) -> web.Response:
    """Return the sidecar as it lies on the disk."""
    catalogue, name = _catalogue(request), request.match_info["name"]
    content = await _at_work(request, lambda: catalogue.sidecar(name))
    if content is None:
        raise _nothing(name)
    return web.Response(body=content, content_type="application/json", headers={"Cache-Control": "no-store"})


async def send_audio(request: web.Request) -> web.StreamResponse:
    """Send the audio file, or a range of it (RFC 9110, section 14)."""
    path = await _audio(request)
    return web.FileResponse(path, headers=_headers(TYPES.get(path.suffix, "application/octet-stream")))


async def send_beside(request: web.Request) -> web.StreamResponse:
    """Send what happened in the call, or what was said, JSON lines."""
    catalogue, name = _catalogue(request), request.match_info["name"]
    ending = BESIDE[request.match_info["beside"]]
    path = await _at_work(request, lambda: catalogue.beside(name, ending))
    if path is None:
        raise ApiError(404, "no_such_file", f"there is no {name}{ending}")
    return web.FileResponse(path, headers=_headers("application/x-ndjson"))


async def show_peaks(request: web.Request) -> web.Response:
    """Return the waveform; see `media.page.peaks.peaks_of`."""
    import soundfile

    from media.page.peaks import MAX_BUCKETS, peaks_of

    buckets = max(number_of(request, "buckets", DEFAULT_BUCKETS, MAX_BUCKETS), 1)
    path = await _audio(request)
    try:
        found = await _at_work(request, lambda: peaks_of(path, buckets))
    except (soundfile.LibsndfileError, OSError) as error:
        raise ApiError(409, "unreadable", f"the audio cannot be read now: {error}") from None
    return json_reply(found)


async def _audio(request: web.Request) -> Path:
    catalogue, name = _catalogue(request), request.match_info["name"]
    path = await _at_work(request, lambda: catalogue.audio(name))
    if path is None:
        raise ApiError(404, "no_audio", f"{name!r} has no audio here: there is no such recording, or it is sealed")
    return path


async def _at_work(request: web.Request, work: Callable[[], T]) -> T:
    """Return what `work` returns, called in a thread when it is its turn."""
    desk = request.app[API].disk
    if desk.waiting >= MAX_WAITING:
        raise ApiError(503, "busy", "too many ask for recordings at once; come back in a second")
    desk.waiting += 1
    try:
        async with desk.turn:
            return await asyncio.to_thread(work)
    finally:
        desk.waiting -= 1


def _catalogue(request: web.Request) -> Catalogue:
    catalogue = request.app[API].recordings
    if catalogue is None:
        raise ApiError(
            501,
            "recordings_off",
            "recordings are not served: that takes --record DIRECTORY and --http-recordings on",
        )
    return catalogue


def _headers(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _nothing(name: str) -> ApiError:
    return ApiError(404, "no_such_recording", f"there is no recording {name!r}; GET /v1/recordings lists them")
