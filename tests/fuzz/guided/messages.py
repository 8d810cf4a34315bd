"""Messages of media streams, in every dialect: the parsers alone, and whole conversations.

Promises: a parser returns a frame or raises `WireError` with one of three reasons; nothing raises out of a
connection, each message is counted once, and what is handed on has a place in RTP's range and is not empty.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from media.ws.dialects.choosing import DIALECTS
from media.ws.host import Handshake
from media.ws.options import ConnectionOptions
from strep.errors import WireError
from tests.fuzz.guided.target import Bytes, Target, pieces
from tests.fuzz.test_ws_fuzz import DOCUMENTED, REASONS, converse
from tests.ws.dialects.documents import CONVERSATIONS, reader
from tests.ws.fakes import connected, dtmf, mark, media, start, stop

PATHS = ["/", *(dialect.path for dialect in DIALECTS)]


def check_messages(whole: bytes) -> None:
    """The first byte chooses the path; then messages, a byte with the kind before each."""
    given = Bytes(whole)
    path = PATHS[given.byte() % len(PATHS)]
    logging.disable(logging.CRITICAL)
    script: list[str | bytes] = []
    while given:
        kind, data = given.byte(), given.piece()
        script.append(data if kind & 1 else data.decode(errors="surrogateescape" if kind & 2 else "replace"))
    for dialect in DIALECTS:
        parse = reader(dialect)
        for message in script:
            try:
                parse(message)
            except WireError as error:
                assert error.reason in REASONS  # noqa: PT017
    converse(script, Handshake(path=path), ConnectionOptions())


def said(path: int, messages: list[str | bytes]) -> bytes:
    parts = [(b"\0", m.encode()) if isinstance(m, str) else (b"\1", m) for m in messages]
    return bytes((path,)) + b"".join(kind + pieces(text) for kind, text in parts)


def messages_seeds() -> Iterator[bytes]:
    yield said(0, [connected(), start(), media(1, 2), media(2, 3, timestamp=160), dtmf("5", 3), mark("m", 4), stop()])
    for number, messages in enumerate(CONVERSATIONS.values()):
        yield said(0, list(messages))
        yield said(1 + number % 5, list(messages))
    for message in DOCUMENTED:
        yield said(0, [message])
    yield said(0, ["[" * 2000, '{"event":' * 300, '{"event":"media","media":{"payload":"////"}}'])


MESSAGES = Target("messages", check_messages, messages_seeds, 6000)
