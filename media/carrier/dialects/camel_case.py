"""What Twilio's frames and SignalWire's have in common, given what differs: `Names`."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from media.carrier.dialects.contract import FrameWriter


class Names(NamedTuple):
    """Of a stream, as the carrier spells them."""

    stream_sid: str
    account_sid: str
    call_sid: str


def connected(version: str) -> str:
    """Return the first frame of a socket."""
    return json.dumps({"event": "connected", "protocol": "Call", "version": version})


def numbered(writer: FrameWriter, event: str, sequence_number: int) -> dict[str, Any]:
    """Return what a frame begins with."""
    return {"event": event, "sequenceNumber": writer.number(sequence_number)}


def start_body(writer: FrameWriter, names: Names) -> dict[str, Any]:
    """Return what ``start`` says of the call and the format."""
    encoding = writer.encodings[writer.codec]
    return {
        "streamSid": names.stream_sid,
        "accountSid": names.account_sid,
        "callSid": names.call_sid,
        "tracks": list(writer.options.streamed_tracks),
        "customParameters": {"call": str(writer.identity.call)},
        "mediaFormat": {"encoding": encoding, "sampleRate": writer.sample_rate_hz, "channels": 1},
    }


def media(
    quote: str, sequence_number: int, track: str, chunk: int, timestamp: int, payload: str | bytes, end: str = ""
) -> str:
    """Return a media frame, the only one that is written often, hence without `json`; `end` is its last fields."""
    return (
        f'{{"event":"media","sequenceNumber":{quote}{sequence_number}{quote},"media":{{"track":"{track}",'
        f'"chunk":{quote}{chunk}{quote},"timestamp":{quote}{timestamp}{quote},"payload":"{payload!s}"}}{end}}}'
    )
