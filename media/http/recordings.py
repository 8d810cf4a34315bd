"""``/v1/recordings``: what was recorded, its audio, its ledger and its waveform; served where it is switched on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import soundfile
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from media.http.api import API, ApiError, json_reply
from media.http.calls import number_of
from media.http.describing import Operation, Parameter, page_parameters
from media.page.catalogue import open_file
from media.page.documents import ListedRecordings, Waveform
from media.page.peaks import MAX_BUCKETS, peaks_of

if TYPE_CHECKING:
    from media.page.catalogue import Catalogue

T = TypeVar("T")
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
DEFAULT_BUCKETS = 1000
MAX_WAITING = 16
"""Requests that read the disk, or wait for their turn."""
TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".opus": "audio/ogg"}
BESIDE = {"events": ".events.jsonl", "transcript": ".transcript.jsonl"}


_REFUSALS = (404, 501, 503)
OPERATIONS = (
    Operation(
        method="get",
        path="/v1/recordings",
        summary="List recordings, the newest first.",
        parameters=page_parameters(DEFAULT_LIMIT, MAX_LIMIT),
        answer=ListedRecordings,
        refusals=(400, 501, 503),
    ),
    Operation(
        method="get",
        path="/v1/recordings/{name}/sidecar",
        summary="Return the sidecar of a recording, as it lies on the disk.",
        media_type="application/json",
        refusals=_REFUSALS,
    ),
    Operation(
        method="get",
        path="/v1/recordings/{name}/audio",
        summary="Return the audio of a recording, or a range of it.",
        media_type="audio/*",
        refusals=_REFUSALS,
    ),
    Operation(
        method="get",
        path="/v1/recordings/{name}/peaks",
        summary="Return the waveform of a recording.",
        parameters=(
            Parameter(
                "buckets",
                {"type": "integer", "minimum": 0, "maximum": MAX_BUCKETS, "default": DEFAULT_BUCKETS},
                "Pieces, at the most.",
            ),
        ),
        answer=Waveform,
        refusals=(400, 404, 409, 501, 503),
    ),
    *(
        Operation(
            method="get",
            path=f"/v1/recordings/{{name}}/{what}",
            summary=f"Return the {what} that lie{'' if what == 'events' else 's'} beside a recording, JSON lines.",
            media_type="application/x-ndjson",
            may_be_empty=True,
            refusals=_REFUSALS,
        )
        for what in BESIDE
    ),
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.get("/v1/recordings", list_recordings),
        web.get("/v1/recordings/{name}/sidecar", show_sidecar),
        web.get("/v1/recordings/{name}/audio", send_audio),
        web.get("/v1/recordings/{name}/peaks", show_peaks),
        *(web.get(f"/v1/recordings/{{name}}/{what}", partial(send_beside, what)) for what in BESIDE),
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
    catalogue, name = _catalogue(request), request.match_info["name"]

    def find() -> tuple[BufferedReader | None, str]:
        path = catalogue.audio(name)
        return _opened(path), "" if path is None else path.suffix

    file, ending = await _at_work(request, find)
    if file is None:
        raise _no_audio(name)
    return _Sent(file, TYPES.get(ending, "application/octet-stream"))


async def send_beside(what: str, request: web.Request) -> web.StreamResponse:
    """Send what happened in the call, or what was said, JSON lines; 204 where nothing was written down."""
    catalogue, name = _catalogue(request), request.match_info["name"]
    if await _at_work(request, lambda: catalogue.sidecar(name)) is None:
        raise _nothing(name)
    file = await _at_work(request, lambda: _opened(catalogue.beside(name, BESIDE[what])))
    return web.Response(status=204) if file is None else _Sent(file, "application/x-ndjson")


async def show_peaks(request: web.Request) -> web.Response:
    """Return the waveform; see `media.page.peaks.peaks_of`."""
    buckets = max(number_of(request, "buckets", DEFAULT_BUCKETS, MAX_BUCKETS), 1)
    catalogue, name = _catalogue(request), request.match_info["name"]

    def look() -> dict[str, Any] | None:
        file = _opened(catalogue.audio(name))
        if file is None:
            return None
        with file:
            return peaks_of(file.fileno(), buckets)

    try:
        found = await _at_work(request, look)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ApiError(409, "unreadable", f"the audio cannot be read now: {error}") from None
    if found is None:
        raise _no_audio(name)
    return json_reply(found)


class _Sent(web.FileResponse):
    """Sends a file that is open already: its name may lead elsewhere by now."""

    def __init__(self, file: BufferedReader, content_type: str) -> None:
        super().__init__(f"/dev/fd/{file.fileno()}", headers=_headers(content_type))
        self._file = file

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        with self._file:
            return await super().prepare(request)


def _opened(path: Path | None) -> BufferedReader | None:
    return None if path is None else open_file(path)


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


def _no_audio(name: str) -> ApiError:
    return ApiError(404, "no_audio", f"{name!r} has no audio here: there is no such recording, or it is sealed")
