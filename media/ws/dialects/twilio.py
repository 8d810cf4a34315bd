"""Twilio Media Streams: every frame has its ``streamSid``, in both directions.

A message that Twilio does not expect - binary (31950), an unknown event, a field too few *or too many*, another
``streamSid`` (31951) - costs a warning and does nothing. Audio is mu-law at 8000 Hz both ways, without a file header.
A stream that ``<Start>`` began takes nothing (31924); the frames do not say which of the two it is.
"""

from __future__ import annotations

from typing import Any

from media.ws.dialects import camel_case
from media.ws.dialects.dialect import Dialect, Parser, Playback, json_text
from media.ws.messages import CarrierFrame

VERSION = "1.0.0"


def _parser(stream_id: str, track: str) -> Parser:
    return camel_case.PARSER


def _serialize(frame: CarrierFrame) -> str:
    document: dict[str, Any] = camel_case.document_of(frame, VERSION)
    return json_text(document)


TWILIO = Dialect(
    "twilio",
    Playback.RTP,
    _parser,
    _serialize,
    media=camel_case.media,
    mark=camel_case.mark,
    clear=camel_case.clear,
)
