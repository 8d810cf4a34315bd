"""TryVox's VoxML ``Stream``: flat JSON frames, ``start`` first, no counters.

What is documented ends there: no codec (mu-law is taken for granted), no stop frame, no keys, no way back for audio.
What comes is therefore never what a document allows, and is counted as such.
"""

from __future__ import annotations

import json
from typing import ClassVar

from media.carrier.dialects.contract import Dialect, Frame, FrameWriter, no_token
from media.carrier.dialects.reading import takes_nothing


class TryVoxWriter(FrameWriter):
    """Serialises the frames of one stream."""

    encodings: ClassVar = {"PCMU": "PCMU"}

    @property
    def frames(self) -> dict[str, Frame]:
        """One."""
        return {"start": Frame(self.start, is_numbered=False)}

    def start(self, _: int) -> str:
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


TRYVOX = Dialect(
    writer=TryVoxWriter,
    reader=takes_nothing("no document says that this stream takes anything"),
    headers=no_token,
    tracks=("inbound", "outbound"),
    talks_back_on=(),
)
