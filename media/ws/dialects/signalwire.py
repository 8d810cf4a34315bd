"""SignalWire's cXML ``<Stream>``: Twilio's frames with differences.

Ids are UUIDs, version "0.2.0", the encoding may be ``audio/x-L16``; ``streamSid`` is within ``start`` and in dtmf and
mark frames, but in no other; dtmf has its duration in ms as a number; stop has no body. A digit can be sent.
"""

from __future__ import annotations

from media.ws.dialects import camel_case
from media.ws.dialects.dialect import Dialect, Parser, Playback, json_text
from media.ws.messages import CarrierFrame, Dtmf, Mark

VERSION = "0.2.0"


def _parser(stream_id: str, track: str) -> Parser:
    return camel_case.PARSER


def _serialize(frame: CarrierFrame) -> str:
    document = camel_case.document_of(frame, VERSION)
    if not isinstance(frame, Dtmf | Mark):
        document.pop("streamSid", None)
    return json_text(document)


def _dtmf(stream_id: str, digit: str) -> str:
    return json_text({"event": "dtmf", "streamSid": stream_id, "dtmf": {"digit": digit}})


SIGNALWIRE = Dialect(
    "signalwire",
    Playback.RTP,
    _parser,
    _serialize,
    media=camel_case.media,
    mark=camel_case.mark,
    clear=camel_case.clear,
    dtmf=_dtmf,
)
