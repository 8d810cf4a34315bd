"""Options of `strep serve` about what the live page shows beside live calls."""

from __future__ import annotations

from media import formats
from media.option import Option

PAGE_OPTIONS = (
    Option(
        "http_recordings",
        "For other programs",
        formats.choice("off", "on"),
        "on",
        "Let whoever may use --http list and hear what lies in --record and --takes, as the live page does. Off, it "
        "tells of live calls only.",
    ),
)
