"""Every dialect: the documents' examples both ways, what is sent, and the same conversation whoever speaks it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from media.codecs import PCMU
from media.ws.dialects.choosing import DIALECTS
from media.ws.dialects.dialect import Dialect, Playback
from media.ws.dialects.signalwire import SIGNALWIRE
from media.ws.dialects.signalwire_tap import SIGNALWIRE_TAP
from media.ws.dialects.telnyx import TELNYX
from media.ws.dialects.tryvox import TRYVOX
from media.ws.dialects.twilio import TWILIO
from media.ws.host import Handshake
from media.ws.messages import CarrierFrame, Connected, Error, Media, MediaBody, UnknownEvent
from media.ws.protocol import MediaStreamConnection
from strep.errors import WireError
from strep.header import Direction
from tests.ws.dialects.documents import CONVERSATIONS, MZ, OWN_ID, OWN_TRACK, SAYS, SW, TAP_SAYS, reader
from tests.ws.fakes import FakeHost

EXAMPLES = [
    pytest.param(dialect, text, frame, id=f"{dialect.name}-{type(frame).__name__}")
    for dialect, said in SAYS.items()
    for text, frame in said
] + [pytest.param(SIGNALWIRE_TAP, message, frame, id=f"tap-{type(frame).__name__}") for message, frame in TAP_SAYS]


def strings(document: Any) -> Any:
    """Return a JSON document with its integers as strings, for counters may be either."""
    if isinstance(document, dict):
        return {name: strings(value) for name, value in document.items()}
    return str(document) if isinstance(document, int) else document


@pytest.mark.parametrize(("dialect", "text", "frame"), EXAMPLES)
def test_both_directions(dialect: Dialect, text: str | bytes, frame: CarrierFrame) -> None:
    parse = reader(dialect)
    if isinstance(text, bytes):
        parse(TAP_SAYS[0][0])
    assert parse(text) == frame
    if isinstance(text, str):
        assert dialect.parser(OWN_ID, OWN_TRACK).parse(text.encode()) == frame
    written = dialect.serialize(frame)
    if isinstance(text, bytes):
        assert written == text
    else:
        assert json.loads(written) == json.loads(text)
        assert parse(written if isinstance(written, str) else written.decode()) == frame


@pytest.mark.parametrize(("dialect", "text", "frame"), [case for case in EXAMPLES if "tap" not in str(case.id)])
def test_counters_as_strings_or_numbers(dialect: Dialect, text: str, frame: CarrierFrame) -> None:
    assert reader(dialect)(json.dumps(strings(json.loads(text)))) == frame


@pytest.mark.parametrize("dialect", SAYS, ids=lambda dialect: dialect.name)
class TestHostileText:
    def test_unknown_fields_and_events(self, dialect: Dialect) -> None:
        parse = reader(dialect)
        for text, frame in SAYS[dialect]:
            assert parse(json.dumps({"x": [1], **json.loads(text), "y": {"z": None}})) == frame
        assert parse('{"event":"weather"}') == UnknownEvent("weather")

    @pytest.mark.parametrize(
        ("message", "reason"),
        [("{", "NOT_JSON"), (b"\xff", "BINARY"), ('{"event":"media"}', "BAD_FIELD"), ("[]", "BAD_FIELD")],
    )
    def test_refusals(self, dialect: Dialect, message: str | bytes, reason: str) -> None:
        with pytest.raises(WireError) as caught:
            reader(dialect)(message)
        assert caught.value.reason == reason


def test_an_unknown_event_has_used_up_its_number() -> None:
    text = '{"event":"weather","sequenceNumber":"7"}'
    assert reader(TWILIO)(text) == UnknownEvent("weather", 7)


@pytest.mark.parametrize("dialect", [TWILIO, SIGNALWIRE, TRYVOX, SIGNALWIRE_TAP], ids=lambda dialect: dialect.name)
def test_frames_that_it_does_not_have(dialect: Dialect) -> None:
    with pytest.raises(TypeError, match="no Error frame"):
        dialect.serialize(Error())


class TestWhatIsSent:
    """Key by key: Twilio takes no field too many (error 31951)."""

    @pytest.mark.parametrize(
        ("dialect", "about"),
        [(TELNYX, {}), (TWILIO, {"streamSid": MZ}), (SIGNALWIRE, {"streamSid": SW})],
        ids=["telnyx", "twilio", "signalwire"],
    )
    def test_media_mark_clear(self, dialect: Dialect, about: dict[str, str]) -> None:
        stream_id = about.get("streamSid", "any")
        assert dialect.media is not None
        assert dialect.mark is not None
        assert dialect.clear is not None
        payload = bytes(range(256))
        text = base64.b64encode(payload).decode()
        assert json.loads(dialect.media(stream_id, payload)) == {"event": "media", "media": {"payload": text}} | about
        name = 'a "name"\n\u00fc'
        assert json.loads(dialect.mark(stream_id, name)) == {"event": "mark", "mark": {"name": name}} | about
        assert json.loads(dialect.clear(stream_id)) == {"event": "clear"} | about

    def test_a_digit_to_signalwire_only(self) -> None:
        assert SIGNALWIRE.dtmf is not None
        digit = {"event": "dtmf", "streamSid": SW, "dtmf": {"digit": "5"}}
        assert json.loads(SIGNALWIRE.dtmf(SW, "5")) == digit
        assert [dialect.name for dialect in DIALECTS if dialect.dtmf] == ["signalwire"]

    @pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
    def test_nothing_is_sent_where_nothing_is_taken(self, dialect: Dialect) -> None:
        sends = [dialect.media, dialect.mark, dialect.clear, dialect.dtmf]
        assert any(sends) == (dialect.playback is not Playback.NONE)


@pytest.mark.parametrize("is_named", [True, False], ids=["by path", "by frames"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
class TestConversations:
    def test_the_host_is_told_the_same_by_all(self, dialect: Dialect, is_named: bool) -> None:
        host = FakeHost()
        path = f"/{dialect.name}?x=1" if is_named else "/media"
        connection = MediaStreamConnection(host, 0, Handshake("192.0.2.1", path))
        for now_ns, message in enumerate(CONVERSATIONS[dialect]):
            assert connection.receive(message, now_ns) is None
        connection.closed(99)
        assert connection.snapshot().rejected == {}
        (told,) = host.starts
        assert told.dialect is dialect
        assert told.encoding == PCMU
        assert [call for call in host.calls if call != "event"] == [
            "started", "media", "detached" if dialect is SIGNALWIRE_TAP else "stopped",
        ]  # fmt: skip
        ((direction, placement, payload),) = host.streams[told.stream_id].media
        outbound = dialect is TWILIO
        assert direction is (Direction.OUTBOUND if outbound else Direction.INBOUND)
        assert placement.timestamp == 0
        assert payload

    def test_ids_are_the_same_in_any_case(self, dialect: Dialect, is_named: bool) -> None:
        if dialect is SIGNALWIRE_TAP:
            pytest.skip("it has no ids")
        host = FakeHost()
        connection = MediaStreamConnection(host, 0, Handshake(path=f"/{dialect.name}" if is_named else "/"))
        for text, frame in SAYS[dialect]:
            id_ = None if isinstance(frame, Connected) else frame.stream_id
            swapped = text.replace(id_, id_.swapcase()) if id_ and not text.startswith('{"event":"start"') else text
            connection.receive(swapped, 0)
        assert connection.snapshot().rejected == {}
        sent_as = next(frame.stream_id for _, frame in SAYS[dialect] if not isinstance(frame, Connected))
        assert host.starts[0].stream_id_as_sent == sent_as


def test_identity_has_the_carriers_names() -> None:
    host = FakeHost()
    connection = MediaStreamConnection(host, 0)
    for message in CONVERSATIONS[TWILIO]:
        connection.receive(message, 0)
    identity = host.starts[0].identity
    assert identity["stream_id"] == MZ
    assert identity["call_sid"].startswith("CA")
    assert identity["custom_parameters"] == {"FirstName": "Jane"}
    digit = {"event": "dtmf", "sequence_number": 5, "digit": "1", "track": "inbound"}
    assert host.streams[MZ].events[0] == digit


def test_media_of_any_dialect_is_the_same_frame() -> None:
    frame = Media(MediaBody(b"abc", "inbound"), "s-1")
    for dialect in (TELNYX, TWILIO, TRYVOX):
        written = dialect.serialize(frame)
        assert reader(dialect)(written if isinstance(written, str) else written.decode()) == frame
