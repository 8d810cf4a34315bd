"""A tap: a header in any form or none, then bytes."""

from __future__ import annotations

import pytest

from media.codecs import PCMU, Encoding
from media.ws.dialects.signalwire_tap import SIGNALWIRE_TAP
from media.ws.host import Handshake
from media.ws.messages import Media, MediaBody, Start, StartWithMedia, UnknownEvent
from media.ws.options import ConnectionOptions
from media.ws.protocol import MediaStreamConnection
from media.ws.reject import WsReject
from media.ws.states import State
from strep.errors import WireError
from strep.header import Direction
from tests.ws.dialects.documents import reader
from tests.ws.fakes import FakeHost

HEADERS = [
    '{"content-type": "audio/mulaw;rate=8000"}',
    '{"format": "audio/mulaw;rate=8000"}',
    '{"content-type": "audio/mulaw"}',
    '"audio/mulaw;rate=8000"',
    "audio/mulaw;rate=8000",
    "audio/x-mulaw; rate=8000",
    "AUDIO/PCMU",
]


def tap(host: FakeHost, **options: str) -> MediaStreamConnection:
    handshake = Handshake(path="/signalwire-tap", connection_id="7")
    return MediaStreamConnection(host, 0, handshake, ConnectionOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("header", HEADERS)
def test_headers(header: str) -> None:
    host = FakeHost()
    connection = tap(host)
    for message in (header, b"\xff" * 160, b"\xfe" * 80, b"\xfd" * 160):
        assert connection.receive(message, 0) is None
    assert connection.snapshot().accepted == 4
    assert (host.starts[0].stream_id, host.starts[0].encoding) == ("tap-7", PCMU)
    assert [placement.timestamp for _, placement, _ in host.streams["tap-7"].media] == [0, 160, 240]


def test_missing_header_is_mu_law() -> None:
    host = FakeHost()
    connection = tap(host, tap_track="outbound")
    connection.receive(b"\xff" * 160, 0)
    connection.receive(b"\xff" * 160, 0)
    assert connection.snapshot().state is State.STREAMING
    assert connection.snapshot().accepted == 2
    assert (host.starts[0].encoding, host.starts[0].tracks) == (PCMU, (Direction.OUTBOUND,))
    assert [direction for direction, _, _ in host.streams["tap-7"].media] == [Direction.OUTBOUND] * 2


def test_a_law_is_not_guessed() -> None:
    host = FakeHost()
    tap(host).receive('{"content-type":"audio/alaw;rate=8000"}', 0)
    assert host.starts[0].encoding == Encoding("PCMA")


@pytest.mark.parametrize("header", ['{"content-type":"audio/opus;rate=7"}', "audio/wav", '{"format":"video/mp4"}'])
def test_other_types_are_refused(header: str) -> None:
    host = FakeHost()
    close = tap(host).receive(header, 0)
    assert close is not None
    assert close.code == 1003
    assert host.calls == []


def test_odd_messages_cost_themselves_only() -> None:
    host = FakeHost()
    connection = tap(host)
    messages: list[str | bytes] = [
        HEADERS[0],
        b"\xff" * 160,
        HEADERS[0],
        '{"a":1}',
        "{",
        "[]",
        "x",
        b"",
        b"\xff" * 160,
    ]
    for message in messages:
        assert connection.receive(message, 0) is None
    assert connection.snapshot().rejected == {
        WsReject.OUT_OF_ORDER: 1, WsReject.UNKNOWN_EVENT: 1, WsReject.NOT_JSON: 2, WsReject.BAD_FIELD: 1,
        WsReject.EMPTY_PAYLOAD: 1,
    }  # fmt: skip
    assert host.calls.count("media") == 2


def test_two_taps_are_two_streams() -> None:
    assert Handshake().connection_id != Handshake().connection_id


def test_parser_alone() -> None:
    parse = reader(SIGNALWIRE_TAP)
    first = parse(b"a")
    assert isinstance(first, StartWithMedia)
    assert first.media == Media(MediaBody(b"a", "inbound"))
    assert parse(b"b") == Media(MediaBody(b"b", "inbound"))
    assert isinstance(parse("audio/mulaw"), Start)
    assert isinstance(parse("{}"), UnknownEvent)
    with pytest.raises(WireError, match="NOT_JSON"):
        parse("audio/" + "x" * 10_000)
