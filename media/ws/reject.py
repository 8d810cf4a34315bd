"""Why a WebSocket message was not taken: the closed set of reasons, with a text for people.

Every message that a connection receives is either accepted or counted here, exactly once.
"""

from __future__ import annotations

from enum import IntEnum


class WsReject(IntEnum):
    """Reason codes; those of `strep.reject.Reject` are about datagrams and are another set."""

    NOT_JSON = 1
    BAD_FIELD = 2
    BINARY = 3
    UNKNOWN_EVENT = 4
    BEFORE_START = 5
    AFTER_STOP = 6
    OUT_OF_ORDER = 7
    OTHER_STREAM = 8
    UNKNOWN_TRACK = 9
    EMPTY_PAYLOAD = 10
    UNSUPPORTED_ENCODING = 11
    REFUSED = 12
    HOST_FAILED = 13
    AFTER_CLOSE = 14
    UNDECODABLE = 15
    UNAUTHORIZED = 16

    @property
    def text(self) -> str:
        """A sentence for logs and tables."""
        return _TEXT[self]


_TEXT = {
    WsReject.NOT_JSON: "not JSON, not UTF-8, or nested too deeply",
    WsReject.BAD_FIELD: "a field is missing, of another type or out of range, or the payload is not base64",
    WsReject.BINARY: "binary message; media frames of this dialect are JSON text",
    WsReject.UNKNOWN_EVENT: "an event that this dialect does not know",
    WsReject.BEFORE_START: "a frame of a stream that has not started",
    WsReject.AFTER_STOP: "a frame after the stop frame",
    WsReject.OUT_OF_ORDER: "a second connected or start frame on the same socket",
    WsReject.OTHER_STREAM: "a frame with the stream_id of another stream",
    WsReject.UNKNOWN_TRACK: "media of a track that is neither inbound nor outbound: quarantined, not guessed",
    WsReject.EMPTY_PAYLOAD: "a media frame without audio",
    WsReject.UNSUPPORTED_ENCODING: "a start frame with an encoding that is not served",
    WsReject.REFUSED: "a start frame that the server turned down",
    WsReject.HOST_FAILED: "the server itself failed at this frame",
    WsReject.UNDECODABLE: "media that cannot be a payload of the stream's encoding",
    WsReject.UNAUTHORIZED: "a start frame that is turned away",
    WsReject.AFTER_CLOSE: "a message after this side had begun to close",
}
