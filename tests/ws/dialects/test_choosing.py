"""A connection's dialect: by path, by its first frames, and for good."""

from __future__ import annotations

import json

import pytest

from media.ws.dialects.choosing import DIALECTS, Choice, dialect_of_path
from media.ws.dialects.dialect import Dialect
from media.ws.dialects.signalwire import SIGNALWIRE
from media.ws.dialects.signalwire_tap import SIGNALWIRE_TAP
from media.ws.dialects.telnyx import TELNYX
from media.ws.dialects.tryvox import TRYVOX
from media.ws.dialects.twilio import TWILIO
from media.ws.host import Handshake
from media.ws.protocol import MediaStreamConnection
from media.ws.reject import WsReject
from strep.errors import WireError
from tests.ws.dialects.documents import CONVERSATIONS
from tests.ws.fakes import FakeHost, connected, media, start


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_path_names_its_dialect(dialect: Dialect) -> None:
    for path in (dialect.path, dialect.path + "/", dialect.path.upper() + "?token=1"):
        assert dialect_of_path(path) is dialect


@pytest.mark.parametrize("path", ["", "/", "/media", "/telnyx2", "/x/twilio", "?/twilio"])
def test_other_paths_name_none(path: str) -> None:
    assert dialect_of_path(path) is None


def body(**fields: object) -> str:
    return json.dumps({"event": "start", **fields})


@pytest.mark.parametrize(
    ("message", "dialect"),
    [
        (connected(), TELNYX),
        (connected(protocol="Call"), TELNYX),
        (connected(protocol="Call", version="0.2.0"), SIGNALWIRE),
        (start(), TELNYX),
        (body(start={}, call_uuid="c"), TELNYX),
        (body(call_uuid="c", stream_id="s"), TRYVOX),
        (body(start={"streamSid": "MZ1"}), TWILIO),
        (body(start={"callSid": "ca1"}, streamSid="s"), TWILIO),
        (body(start={"callSid": "0d1b"}, streamSid="s"), SIGNALWIRE),
        (body(start=[], streamSid=5), SIGNALWIRE),
        ('{"content-type":"audio/mulaw;rate=8000"}', SIGNALWIRE_TAP),
        ('{"format":"audio/mulaw"}', SIGNALWIRE_TAP),
        ('"audio/mulaw"', SIGNALWIRE_TAP),
        ("audio/mulaw;rate=8000", SIGNALWIRE_TAP),
        ('{"event":"media","payload":"////"}', TRYVOX),
        (media(1), TELNYX),
        ("{}", TELNYX), ("[]", TELNYX), ("audio", TELNYX), ("{", TELNYX), ('"pcmu"', TELNYX), (b"\xff", TELNYX),
    ],
)  # fmt: skip
def test_the_first_frame_tells(message: str | bytes, dialect: Dialect) -> None:
    choice = Choice("/", "tap-1", "inbound")
    try:
        choice.parse_binary(message) if isinstance(message, bytes) else choice.parse(message)
    except WireError:
        assert dialect in (TELNYX, SIGNALWIRE)
    assert choice.dialect is dialect


@pytest.mark.parametrize("first", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("second", DIALECTS, ids=lambda dialect: dialect.name)
def test_once_started_it_is_fixed(first: Dialect, second: Dialect) -> None:
    host = FakeHost()
    connection = MediaStreamConnection(host, 0, Handshake(path="/"))
    for message in [*CONVERSATIONS[first][:2], *CONVERSATIONS[second]]:
        connection.receive(message, 0)
    assert [told.dialect for told in host.starts] == [first]


def test_a_named_path_understands_nothing_else() -> None:
    host = FakeHost()
    connection = MediaStreamConnection(host, 0, Handshake(path="/twilio"))
    for message in [*CONVERSATIONS[SIGNALWIRE_TAP], CONVERSATIONS[TELNYX][1]]:
        close = connection.receive(message, 0)
    assert host.calls == []
    assert close is not None
    assert connection.snapshot().rejected == {WsReject.BINARY: 1, WsReject.BAD_FIELD: 2}
