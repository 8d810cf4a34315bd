"""Options of `strep serve` about where the HTTP door is."""

from __future__ import annotations

from media import formats
from media.option import Option

DOOR_OPTIONS = (
    Option(
        "http",
        "For other programs",
        formats.ENDPOINT,
        "127.0.0.1:9080",
        "Serve lists of calls, their audio and events on http://HOST:PORT/v1/...; for strep tap and other programs. "
        "Needs strep[http]. Where other machines can reach it, a token is needed.",
    ),
)
