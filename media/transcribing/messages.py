"""What server and worker say to each other: length, then MessagePack, over a pair of sockets. Sans-I/O.

::

    server                                          worker
    Setup ───────────────────────────────────────▶  imports and loads the engine
           ◀───────────────────────────────────────  Ready | Refused
    Give, Finish (item 1, 2, ...), Close ─────────▶  one after another
           ◀───────────────────────────────────────  Done (of each item, in order), Polls, Said (whenever)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from media.transcribing.contract import Result

_LENGTH = struct.Struct("!I")
MAX_MESSAGE_BYTES = 16 << 20
"""A worker that claims more is out of its mind."""


class Setup(msgspec.Struct, frozen=True, tag=True):
    """The first message: which engine, see `media.transcribing.plugins`."""

    engine: str
    options: dict[str, str]


class Give(msgspec.Struct, frozen=True, tag=True):
    """Speech of a stream, s16 in the machine's byte order; its first one opens a recognizer."""

    item: int
    stream: int
    rate_hz: int
    pcm: bytes


class Finish(msgspec.Struct, frozen=True, tag=True):
    """The speaker paused."""

    item: int
    stream: int


class Close(msgspec.Struct, frozen=True, tag=True):
    """Nothing follows of a stream, and nothing is wanted any more; there is no answer."""

    stream: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The engine is loaded; 0: it takes the rate of each call."""

    engine_rate_hz: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The engine cannot be used."""

    reason: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """An item is done with.

    Attributes:
        results: in samples of the engine.
        settled: nothing is to be expected of the stream unless more is given.
        error: the recognizer failed; the next item of the stream opens another one.
    """

    item: int
    stream: int
    results: list[Result]
    settled: bool = True
    error: str = ""


class Polls(msgspec.Struct, frozen=True, tag=True):
    """A stream is asked now for what has come by itself: if the worker hangs or dies, it is with this; 0: no more."""

    stream: int


class Said(msgspec.Struct, frozen=True, tag=True):
    """What came by itself."""

    stream: int
    results: list[Result]
    settled: bool = True
    error: str = ""


Order = Setup | Give | Finish | Close
Reply = Ready | Refused | Done | Polls | Said

_encoder = msgspec.msgpack.Encoder()
_orders = msgspec.msgpack.Decoder(Order)
_replies = msgspec.msgpack.Decoder(Reply)


def serialize(message: Order | Reply) -> bytes:
    """Return a message as it goes over the socket.

    Raises:
        TypeError, ValueError, OverflowError: it holds what cannot be sent.
    """
    content = _encoder.encode(message)
    if len(content) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {len(content)} bytes; at most {MAX_MESSAGE_BYTES} are allowed")
    return _LENGTH.pack(len(content)) + content


class Parser:
    """Finds messages in a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def orders(self, data: bytes) -> Iterator[Order]:
        """Take what came; yield what is whole.

        Raises:
            ValueError: it is no message.
        """
        for content in self._contents(data):
            yield _orders.decode(content)

    def replies(self, data: bytes) -> Iterator[Reply]:
        """See `orders`."""
        for content in self._contents(data):
            yield _replies.decode(content)

    def _contents(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_MESSAGE_BYTES:
                raise ValueError(f"a message of {length} bytes; at most {MAX_MESSAGE_BYTES} are allowed")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            content = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield content
