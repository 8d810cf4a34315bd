"""Options of `strep serve` about actions."""

from __future__ import annotations

from media import formats
from media.option import Option

FEEDING = "For other programs"

CONTROL_OPTIONS = (
    Option(
        "actions",
        FEEDING,
        formats.choice("auto", "on", "off"),
        "off",
        "Let calls be told to play, speak, gather, record, ... by POST /v1/calls/{call_id}/actions/{action}; auto "
        "does so where --http is given.",
    ),
    Option(
        "media", FEEDING, formats.DIRECTORY, "/srv/prompts", "Files here may be played by an action's media_name."
    ),
)
