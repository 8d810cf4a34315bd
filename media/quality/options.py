"""The option of quality."""

from __future__ import annotations

from media import formats
from media.option import Option

QUALITY_OPTIONS = (
    Option(
        "quality",
        "Recording",
        formats.choice("network", "audio"),
        "audio",
        "What is told of the quality of calls. network: loss, jitter and the opinion of a listener, of all calls, at "
        "next to no cost. audio: level, clipping, silence, one-way audio and echo as well.",
    ),
)
