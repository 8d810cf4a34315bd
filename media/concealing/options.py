"""The option of `strep serve` that conceals losses."""

from __future__ import annotations

from media.formats import Format
from media.option import Option


def _parse_names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(names):
        raise ValueError("is not one name, or several with commas between")
    return names


CONCEALING_OPTIONS = (
    Option(
        "conceal",
        "Recording",
        Format("SINK[,SINK]", _parse_names, ",".join),
        "transcription,feed",
        "Fill lost audio with what was before it and behind it, for sinks that are named: transcription, feed, nats, "
        "applications, an installed one; recording or takes only if asked for, and their sidecars say so. No later "
        "than without.",
    ),
)
