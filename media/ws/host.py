"""What the WebSocket door asks of the engine behind it; implemented there, faked in tests.

Order of calls, per connection: one `StreamHost.stream_started`; any number of ``stream_media`` and
``stream_event``; then exactly one of ``stream_stopped`` (a stop frame came) or ``stream_detached`` (the socket is
gone without one). A connection that never started a stream calls nothing.

The same stream on a second socket (a reconnect, perhaps before the first socket is known to be dead) is a second
``stream_started`` with the same ``stream_id``. So the host counts attached sockets, and a stream that has another
one is not detached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol
from uuid import UUID

from media.admission.tokens import Verdict
from media.codecs import Encoding
from media.ws.chunks import ChunkSequencer, Placement
from media.ws.dialects.dialect import Dialect
from media.ws.dialects.telnyx import TELNYX
from media.ws.wire import Wire
from strep.errors import StrepError
from strep.frames import FrameBatch
from strep.header import Direction

_RANDOM = Random()  # seeded by the system; asking that for every connection takes 0.1 ms, and ids need not be secret


@dataclass(frozen=True, slots=True)
class Handshake:
    """Who is at the other end of a socket, as far as the opening handshake tells.

    Attributes:
        remote: address and port, for logs.
        path: the request's path with its query.
        credentials: the tokens that it may have shown, see `media.admission.credentials`.
        is_known: it has proved already who it is, by a carrier's signature.
        connection_id: of this socket and no other; a stream that the carrier does not name is named after it.
    """

    remote: str = ""
    path: str = "/"
    credentials: tuple[str, ...] = field(default=(), repr=False)
    is_known: bool = False
    connection_id: str = field(default_factory=lambda: str(UUID(int=_RANDOM.getrandbits(128), version=4)))


@dataclass(frozen=True, slots=True)
class StreamStart:
    """A stream that wants to begin or to go on.

    Attributes:
        stream_id: 1 to 128 characters of ``A-Za-z0-9_.:-``, not beginning with a dot; UUIDs in lower case.
        encoding: of every payload.
        tracks: the directions that the carrier announced; empty where it did not say, which is usual.
        identity: what the carrier said of the call: stream_id, call_control_id, call_session_id, user_id, from,
            to, tags, client_state, custom_parameters, call_sid, account_sid, call_uuid, account_id; JSON values of
            bounded depth, only those that were given.
        handshake: where the socket comes from.
        dialect: how the carrier writes, and is to be written to.
        stream_id_as_sent: the id as frames to the carrier must repeat it.
        wire: the way back, bounded; valid until the stream has stopped or is detached from this socket.
    """

    stream_id: str
    encoding: Encoding
    tracks: tuple[Direction, ...] = ()
    identity: dict[str, Any] = field(default_factory=dict)
    handshake: Handshake = field(default_factory=Handshake)
    dialect: Dialect = TELNYX
    stream_id_as_sent: str = ""
    wire: Wire | None = field(default=None, repr=False, compare=False)


Judge = Callable[[Handshake, Sequence[str], str], Verdict]
"""Judges the tokens that a request and its first frames have shown, for a stream_id: `media.ws.door.Door.judge`."""


class StreamRefused(StrepError):
    """The host does not want this stream: the socket is closed with this code and reason.

    RFC 6455 section 7.4: 1008 policy violation (a wrong token), 1013 try again later (no capacity).
    """

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason


class StreamHandle(Protocol):
    """A stream as the host knows it; it outlives sockets."""

    @property
    def sequencer(self) -> ChunkSequencer:
        """The stream's one sequencer, so that a reconnect continues the counting."""


class StreamHost(Protocol):
    """The engine's side of the door; no method waits for anything."""

    def stream_started(self, start: StreamStart, now_ns: int) -> StreamHandle:
        """Begin the stream, or let it go on.

        Raises:
            StreamRefused: close the socket instead.
        """

    def stream_media(
        self, handle: StreamHandle, direction: Direction, placement: Placement, payload: bytes, now_ns: int
    ) -> None:
        """Take one chunk of audio; `payload` is never empty. First apply ``placement.shift_samples``."""

    def stream_slot(self, handle: StreamHandle, direction: Direction, leave: Callable[[], None]) -> int | None:
        """Return the slot under which `stream_frames` takes a track's code bytes, None if it does not.

        `leave` is called when that is over; only the last one given is.
        """

    def stream_waiting(self) -> None:
        """Take note that frames have come with `stream_frames`: who sleeps must wake up."""

    def stream_frames(self, frames: FrameBatch) -> None:
        """Take chunks of any tracks that have slots, those of each in order, behind all that was given before."""

    def stream_event(self, handle: StreamHandle, event: dict[str, Any]) -> None:
        """Take note of a dtmf, mark or error frame: JSON values, ``event["event"]`` is its name."""

    def stream_stopped(self, handle: StreamHandle, now_ns: int) -> None:
        """End the stream: the carrier says so."""

    def stream_detached(self, handle: StreamHandle, now_ns: int) -> None:
        """Give the carrier time to reconnect: a socket is gone, its stream was not stopped."""
