"""The live page: one document, and what it is made of, as they lie in ``media/page/static``.

They are open, for they tell nothing: what the page shows, it asks for with a token, if one is needed. A strict policy
(Content Security Policy, level 3) lets nothing run that is not one of these files, and no text become markup.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).resolve().parent.parent / "page" / "static"
PREFIX = "/page/"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "img-src 'self'",
        "media-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}
"""Of every file of the page; they change with the server, so a browser asks whether they have."""


def _paths() -> dict[str, Path]:
    files = (path for path in sorted(STATIC.rglob("*")) if path.suffix in TYPES)
    return {"/": STATIC / "index.html"} | {PREFIX + path.relative_to(STATIC).as_posix(): path for path in files}


FILES = _paths()
"""By path of the URL; what is not among them is not served."""


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get(path, send) for path in FILES]


async def send(request: web.Request) -> web.Response:
    """Send a file, unless the browser has it."""
    path = FILES[request.path]
    content, tag = _read(path)
    headers = HEADERS | {"ETag": tag}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    charset = None if path.suffix == ".woff2" else "utf-8"
    return web.Response(body=content, headers=headers, content_type=TYPES[path.suffix], charset=charset)


@cache
def _read(path: Path) -> tuple[bytes, str]:
    content = path.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'
