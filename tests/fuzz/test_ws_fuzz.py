"""Fuzz: arbitrary and mutated messages against the frame parser and one whole connection.

Invariants:

1. `parse` returns a frame or raises `WireError` with a `WsReject` name; never anything else.
2. Nothing raises out of `MediaStreamConnection.receive`, `poll` or `closed`.
3. Every message is counted exactly once: ``accepted + rejected == received``.
4. The host hears ``started`` before anything else of a stream, and exactly one end for each ``started``.
5. What is handed on has a place in RTP's range and is not empty.
6. All of that holds in every dialect, chosen by path or by the frames themselves, at any mixture of them.

``STREP_FUZZ=long`` runs it for longer.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from media.ws.dialects.choosing import DIALECTS
from media.ws.dialects.dialect import Dialect
from media.ws.host import Handshake
from media.ws.messages import parse
from media.ws.options import ConnectionOptions
from media.ws.protocol import MediaStreamConnection
from media.ws.reject import WsReject
from strep.errors import WireError
from tests.ws.dialects.documents import CONVERSATIONS, reader
from tests.ws.fakes import STREAM_ID, FakeHost, connected, dtmf, mark, media, start, stop

REASONS = {"NOT_JSON", "BAD_FIELD", "BINARY"}
assert {reject.name for reject in WsReject} >= REASONS

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=20)
    | st.integers(0, 1 << 66).map(str)
    | st.sampled_from(["inbound", "outbound", "PCMU", "PCMA", STREAM_ID, STREAM_ID.upper(), "////", "8000"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
EVENTS = ["connected", "start", "media", "dtmf", "mark", "error", "stop", "weather"]
FIELDS = ["event", "sequence_number", "stream_id", "version", "occurred_at", "payload", *EVENTS]
BODY_FIELDS = [
    "track", "chunk", "timestamp", "payload", "digit", "name", "code", "title", "media_format", "encoding",
    "sample_rate", "channels", "from", "to", "tags", "custom_parameters", "tracks",
]  # fmt: skip
BODIES = st.dictionaries(st.sampled_from(BODY_FIELDS), VALUES, max_size=5) | VALUES
COUNTERS = st.none() | st.integers(0, 12) | st.integers(0, (1 << 63) - 1)


@st.composite
def invented(draw: st.DrawFn) -> str:
    """Return a frame with the right names and any values."""
    frame: dict[str, Any] = draw(st.dictionaries(st.sampled_from(FIELDS), BODIES, max_size=4))
    event = draw(st.sampled_from(EVENTS))
    frame["event"] = draw(st.just(event) | VALUES)
    frame.setdefault(event, draw(BODIES))
    return json.dumps(frame, ensure_ascii=draw(st.booleans()))


@st.composite
def proper(draw: st.DrawFn) -> str:
    """Return a frame as a carrier sends it, numbers in any order."""
    return draw(
        st.sampled_from([connected(), start(), start(STREAM_ID.upper()), start("other"), stop()])
        | st.builds(dtmf, st.sampled_from("059*#"), st.integers(0, 20))
        | st.builds(mark, st.text(max_size=5), st.integers(0, 20))
        | st.builds(
            media,
            COUNTERS,
            COUNTERS,
            payload=st.binary(max_size=200),
            track=st.sampled_from(["inbound", "outbound", "both", None]),
            timestamp=COUNTERS,
        )
    )


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Return a proper frame with a few bytes cut out, changed or added."""
    raw = bytearray(draw(proper()).encode())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(
            st.binary(max_size=3) | st.sampled_from([b"{", b'"', b"\\", b"9" * 30])
        )
    return raw.decode(errors=draw(st.sampled_from(["replace", "ignore", "surrogateescape"])))


TEXTS = proper() | mutated() | invented() | st.text(max_size=60)
MESSAGES = st.one_of(proper(), proper(), TEXTS, st.binary(max_size=60))


@given(TEXTS | st.binary(max_size=200) | mutated().map(lambda text: text.encode(errors="surrogateescape")))
def test_parser(message: str | bytes) -> None:
    try:
        parse(message)
    except WireError as error:
        assert error.reason in REASONS  # noqa: PT017


DOCUMENTED = [message for messages in CONVERSATIONS.values() for message in messages]
FRAGMENTS = [b"{", b'"', b"\\", b"9" * 30, b"null", b"[]", b"streamSid", b"stream_id", b"call_uuid", b"content-type"]


@st.composite
def documented(draw: st.DrawFn) -> str | bytes:
    """Return a message of any dialect's document, often with pieces cut out, changed or added."""
    message = draw(st.sampled_from(DOCUMENTED))
    raw = bytearray(message.encode() if isinstance(message, str) else message)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 12))] = draw(st.binary(max_size=3) | st.sampled_from(FRAGMENTS))
    is_text = isinstance(message, str) != draw(st.sampled_from([False] * 9 + [True]))
    return raw.decode(errors=draw(st.sampled_from(["replace", "surrogateescape"]))) if is_text else bytes(raw)


@given(documented(), st.sampled_from(DIALECTS))
def test_parsers_of_all_dialects(message: str | bytes, dialect: Dialect) -> None:
    parse_one = reader(dialect)
    for _ in range(2):
        try:
            parse_one(message)
        except WireError as error:
            assert error.reason in REASONS  # noqa: PT017


@given(st.lists(documented(), max_size=40), st.sampled_from(["/", *(dialect.path for dialect in DIALECTS)]))
def test_connection_of_any_dialect(messages: list[str | bytes], path: str) -> None:
    converse(messages, Handshake(path=path), ConnectionOptions())


@given(st.lists(MESSAGES, max_size=40), st.booleans(), st.integers(1, 50))
def test_connection(messages: list[str | bytes], starts_well: bool, max_malformed: int) -> None:
    script = [connected(), start(), *messages] if starts_well else messages
    converse(script, Handshake(), ConnectionOptions(max_malformed=max_malformed))


def converse(script: list[str | bytes], handshake: Handshake, options: ConnectionOptions) -> None:
    host = FakeHost()
    connection = MediaStreamConnection(host, 0, handshake, options)
    for now_ns, message in enumerate(script):
        close = connection.receive(message, now_ns)
        snapshot = connection.snapshot()
        assert snapshot.received == now_ns + 1
        assert snapshot.accepted + sum(snapshot.rejected.values()) == snapshot.received
        assert all(count > 0 for count in snapshot.rejected.values())
        if close is not None:
            assert 1000 <= close.code <= 1011
            assert len(close.reason.encode()) <= 123
    connection.poll(connection.deadline())
    connection.closed(len(script))
    calls = Counter(host.calls)
    assert calls["started"] == calls["stopped"] + calls["detached"]
    assert not host.calls or host.calls[0] == "started"
    assert WsReject.HOST_FAILED not in connection.snapshot().rejected
    for handle in host.streams.values():
        for _, placement, payload in handle.media:
            assert payload
            assert 0 <= placement.sequence_number < 1 << 16
            assert 0 <= placement.timestamp < 1 << 32
