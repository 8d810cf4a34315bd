"""What a carrier's dialect is: the frames it sends, the headers it dials with, and what it takes, how strictly.

Written from the carriers' documents alone, and not from what the server understands: that is why it can be a referee.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from media.carrier.options import WebSocketOptions

Message = str | bytes
"""A WebSocket message: text is str, binary is bytes."""


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """The names of one stream.

    Attributes:
        stream_id: UUID text.
        call_control_id: opaque.
        call_session_id: UUID text.
        user_id: UUID text, the account.
        call: number of the call, sent as the custom parameter ``call``.
    """

    stream_id: str
    call_control_id: str
    call_session_id: str
    user_id: str
    call: int


class Media(msgspec.Struct, frozen=True):
    """Play this."""

    data: bytes


class Mark(msgspec.Struct, frozen=True):
    """Tell when everything before this has been played."""

    name: str


class Clear(msgspec.Struct, frozen=True):
    """Stop, and forget what is queued."""


class Digit(msgspec.Struct, frozen=True):
    """Play a key's tones into the call."""

    digit: str


class Violation(msgspec.Struct, frozen=True):
    """A message that the documents do not allow; 0 where they give it no number."""

    code: int
    detail: str


Command = Media | Mark | Clear | Digit
Reader = Callable[[Message], Command | Violation]


class MakeReader(Protocol):
    """Makes the function that reads what is sent to one stream."""

    def __call__(self, identity: StreamIdentity, /, *, takes_audio: bool) -> Reader:
        """Return it; without `takes_audio` the stream was asked for as one that goes one way."""


class Frame(NamedTuple):
    """How frames of one kind are made.

    Attributes:
        write: (sequence number, what the kind wants besides) to message; see `FrameWriter.frames`.
        is_numbered: it takes a sequence number; one that does not is given 0.
    """

    write: Callable[..., Message]
    is_numbered: bool = True


class FrameWriter(Protocol):
    """Serialises the frames of one stream.

    Attributes:
        encodings: codec to the name that ``start`` gives it. What is not here, the carrier cannot stream.
        is_text: payloads travel as base64 in a JSON text, not as they are in a binary message.
        identity, codec, sample_rate_hz, options: as given.
        quote: what stands on either side of a counter.
    """

    encodings: ClassVar[Mapping[str, str]]
    is_text: ClassVar[bool] = True
    identity: StreamIdentity
    codec: str
    sample_rate_hz: int
    options: WebSocketOptions
    quote: str

    def __init__(self, identity: StreamIdentity, codec: str, sample_rate_hz: int, options: WebSocketOptions) -> None:
        self.identity, self.codec, self.sample_rate_hz, self.options = identity, codec, sample_rate_hz, options
        self.quote = '"' if options.numbers_as_strings else ""

    @property
    def frames(self) -> Mapping[str, Frame]:
        """The frames that there are besides ``connected`` and ``media``, by kind.

        ``start``: names the call and the format. ``dtmf`` (digit, offset_ns): a key press, so long after an arbitrary
        moment. ``mark`` (name): the audio sent before it has been played, or cleared. ``error``, ``old_error`` (code,
        detail): in the present and the older shape. ``unknown``: a kind that no document names. ``stop``: the end.
        """

    def connected(self) -> Message | None:
        """Return the first message of a socket, if there is one before ``start``."""
        return None

    def media(self, sequence_number: int, track: str, chunk: int, timestamp: int, payload: str | bytes) -> Message:
        """Return a media frame; `payload` is base64 text where `is_text`, else the codec's bytes."""

    def write(self, kind: str, sequence_number: int, *details: Any) -> Message:
        """Return a frame of one of `frames`."""
        message: Message = self.frames[kind].write(sequence_number, *details)
        return message

    def number(self, value: int) -> str | int:
        """Return a counter as the options want it."""
        return str(value) if self.options.numbers_as_strings else value


@dataclass(frozen=True, slots=True)
class Dialect:
    """One carrier.

    Attributes:
        writer: of its frames.
        reader: makes the function that reads what comes.
        headers: of the upgrade request, given the token ("" for none).
        tracks: which are streamed unless something else is asked for.
        takes_mp3: ``stream_bidirectional_mode=mp3`` exists, and is what a carrier does that is not told otherwise.
        talks_back_on: the tracks with which audio is taken; another choice makes the stream a one-way one.
        message_ms: how much raw audio a message holds, (least, most).
        invalid_media: the violation's number for audio that cannot be played.
        stream_name: the identifier on the wire, given the stream's UUID.
    """

    writer: type[FrameWriter]
    reader: MakeReader
    headers: Callable[[str], dict[str, str]]
    tracks: tuple[str, ...] = ("inbound",)
    takes_mp3: bool = False
    talks_back_on: tuple[tuple[str, ...], ...] = (("inbound",), ("outbound",), ("inbound", "outbound"))
    message_ms: tuple[float, float] = (0, float("inf"))
    invalid_media: int = 0
    stream_name: Callable[[str], str] = str


def bearer(token: str) -> dict[str, str]:
    """Return RFC 6750's header."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def no_token(token: str) -> dict[str, str]:
    """Return no header: no document gives a token a place."""
    return {}
