"""Bodies of requests, bounded in size and time."""

from __future__ import annotations

import asyncio

from aiohttp import web

from media.http.api import ApiError

BODY_TIMEOUT_S = 5.0
"""For all of a body; Telnyx gives up after 2 s."""


async def read_body(request: web.Request, most_bytes: int) -> bytes:
    """Return the body.

    Raises:
        ApiError: it is longer than `most_bytes` (413, nothing more of it is read), or did not come in time (408).
    """
    too_large = ApiError(413, "too_large", f"a body has at most {most_bytes} bytes here")
    if (request.content_length or 0) > most_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > most_bytes:
                    raise too_large
    except TimeoutError:
        raise ApiError(408, "too_slow", f"a body comes within {BODY_TIMEOUT_S:g} s") from None
    return bytes(body)
