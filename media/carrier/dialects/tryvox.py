"""TryVox's VoxML ``Stream``: flat JSON frames, ``start`` first, no counters.

What is documented ends there: no codec (mu-law is taken for granted), no stop frame, no keys, no way back for audio.
What comes is therefore never what a document allows, and is counted as such.
"""

from __future__ import annotations

import json
from typing import ClassVar

from media.carrier.dialects.contract import (
    Command,
    Dialect,
    FrameWriter,
    Message,
    Reader,
    StreamIdentity,
    Violation,
    no_token,
)


class TryVoxWriter(FrameWriter):
    """Serialises the frames of one stream."""

    kinds: ClassVar = {"start": False, "media": False}
    encodings: ClassVar = {"PCMU": "PCMU"}

    def start(self, sequence_number: int) -> str:
        """Return the frame that names the call."""
        identity = self.identity
        frame = {
            "event": "start",
            "stream_id": identity.stream_id,
            "call_uuid": identity.call_session_id,
            "account_id": identity.user_id,
            "from": f"+1555{identity.call:07d}",
            "to": "+15550100",
            "custom_parameters": {"call": str(identity.call)},
        }
        return json.dumps(frame)

    def media(self, sequence_number: int, track: str, chunk: int, timestamp: int, payload: str | bytes) -> str:
        """Return a media frame; its timestamp is a number."""
        return (
            f'{{"event":"media","stream_id":"{self.identity.stream_id}","track":"{track}",'
            f'"payload":"{payload!s}","timestamp":{timestamp}}}'
        )


def _reader(_: StreamIdentity, *, takes_audio: bool) -> Reader:
    def read(_: Message) -> Command | Violation:
        return Violation(0, "no document says that this stream takes anything")

    del takes_audio
    return read


TRYVOX = Dialect(
    writer=TryVoxWriter, reader=_reader, headers=no_token, tracks=("inbound", "outbound"), talks_back_on=()
)
