"""Frames of another dialect decoded in one pass, then named as all dialects name them."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from media.ws.messages import CarrierFrame, Frame, not_json, parse_unknown


class WireFrame(msgspec.Struct, frozen=True, gc=False):
    """A frame as one dialect writes it."""

    def common(self) -> CarrierFrame:
        """Return the frame that all dialects share."""
        raise NotImplementedError


class FrameDecoder:
    """Parses the text messages of a dialect, counters from strings or numbers."""

    def __init__(self, frames: Any, unknown_event: Any) -> None:
        """Compile the decoders.

        Args:
            frames: the union of the dialect's `WireFrame` classes.
            unknown_event: a structure with ``event`` and ``sequence_number``, as the dialect calls them.
        """
        self._decoder: msgspec.json.Decoder[WireFrame] = msgspec.json.Decoder(frames, strict=False)
        self._event_decoder = msgspec.json.Decoder(unknown_event)
        self._known = frozenset(frame.__struct_config__.tag for frame in get_args(frames))

    def parse(self, message: str | bytes) -> Frame:
        """Parse one message from the network.

        Raises:
            WireError: NOT_JSON or BAD_FIELD; nothing else is raised.
        """
        try:
            return self._decoder.decode(message).common()
        except msgspec.ValidationError as error:
            return parse_unknown(message, error, self._event_decoder, self._known)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise not_json(error) from error
