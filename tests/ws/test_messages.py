"""Frames: examples of the documents, both directions; hostile values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from media.ws.messages import (
    CarrierFrame,
    Connected,
    Dtmf,
    DtmfBody,
    Error,
    ErrorBody,
    Mark,
    MarkBody,
    Media,
    MediaBody,
    MediaFormat,
    Start,
    StartBody,
    Stop,
    UnknownEvent,
    is_usable_stream_id,
    normalise_stream_id,
    parse,
    serialize,
)
from tests.ws.reasons import reason

STREAM = "32de0dea-53cb-4b21-89a4-9e1819c043bc"
MAX = (1 << 63) - 1

# The examples of "Streaming start" as printed, with a payload that is whole.
DOCUMENTED: dict[str, tuple[str, CarrierFrame]] = {
    "connected": ('{"event": "connected", "version": "1.0.0"}', Connected(version="1.0.0")),
    "start": (
        """{"event": "start", "sequence_number": "1", "start": {"user_id": "3e6f995f-85f7-4705-9741-53b116d28237",
        "call_control_id": "v3:MdI91X4l", "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
        "media_format": {"encoding": "audio/x-mulaw", "sample_rate": 8000, "channels": 1}},
        "stream_id": "32de0dea-53cb-4b21-89a4-9e1819c043bc"}""",
        Start(
            StartBody(
                MediaFormat("audio/x-mulaw", 8000, 1),
                user_id="3e6f995f-85f7-4705-9741-53b116d28237",
                call_control_id="v3:MdI91X4l",
                client_state="aGF2ZSBhIG5pY2UgZGF5ID1d",
            ),
            STREAM,
            1,
        ),
    ),
    "media": (
        """{"event": "media", "sequence_number": "4", "media": {"track": "inbound", "chunk": "2",
        "timestamp": "5", "payload": "no+JhoaJjpzSHxAK"}, "stream_id": "32de0dea-53cb-4b21-89a4-9e1819c043bc"}""",
        Media(MediaBody(bytes.fromhex("9e8f898686898e9cd21f100a"), "inbound", 2, 5), STREAM, 4),
    ),
    "dtmf": (
        """{"event":"dtmf","sequence_number":"90","stream_id":"32de0dea-53cb-4b21-89a4-9e1819c043bc",
        "occurred_at":"2026-02-03T10:11:12.345678Z","dtmf":{"digit":"5"}}""",
        Dtmf(DtmfBody("5"), "2026-02-03T10:11:12.345678Z", STREAM, 90),
    ),
    "mark": (
        """{"event":"mark","sequence_number":"120","stream_id":"32de0dea-53cb-4b21-89a4-9e1819c043bc",
        "mark":{"name":"greeting-1"}}""",
        Mark(MarkBody("greeting-1"), STREAM, 120),
    ),
    "error of 2022": (
        """{"stream_id": "32de0dea-53cb-4b21-89a4-9e1819c043bc", "event": "error", "sequence_number": "6",
        "error": {"title": "rate_limit_reached", "code": "100005", "detail": "Too many requests"}}""",
        Error(ErrorBody("100005", "rate_limit_reached", "Too many requests"), None, STREAM, 6),
    ),
    "error of 2026": (
        """{"event":"error","stream_id":"32de0dea-53cb-4b21-89a4-9e1819c043bc",
        "payload":{"code":100004,"title":"invalid_media","detail":"bad base64"}}""",
        Error(None, ErrorBody(100004, "invalid_media", "bad base64"), STREAM),
    ),
    "stop": (
        """{"event": "stop", "sequence_number": "5", "stop": {"user_id": "3e6f995f",
        "call_control_id": "v2:T02l"}, "stream_id": "32de0dea-53cb-4b21-89a4-9e1819c043bc"}""",
        Stop({"user_id": "3e6f995f", "call_control_id": "v2:T02l"}, STREAM, 5),
    ),
}


class TestDocumentedFrames:
    @pytest.mark.parametrize("name", DOCUMENTED)
    def test_both_directions(self, name: str) -> None:
        text, frame = DOCUMENTED[name]
        assert parse(text) == frame
        assert parse(text.encode()) == frame
        assert json.loads(serialize(frame)) == json.loads(text)

    def test_both_errors_say_the_same(self) -> None:
        old = Error(error=ErrorBody("100005", "a", "b")).body
        new = Error(payload=ErrorBody(100005, "a", "b")).body
        assert old == new == ErrorBody(100005, "a", "b")

    @pytest.mark.parametrize("code", ["", "E5", "1" * 30, "١"])
    def test_other_error_codes_stay_text(self, code: str) -> None:
        assert Error(error=ErrorBody(code)).body.code == code

    def test_error_without_a_body(self) -> None:
        frame = parse('{"event":"error"}')
        assert isinstance(frame, Error)
        assert frame.body == ErrorBody()

    @pytest.mark.parametrize(
        "fields",
        [
            {"connected": {"x-telnyx-streaming-auth-token": "tok"}},
            {"x-telnyx-streaming-auth-token": "tok"},
        ],
    )
    def test_token_in_either_place(self, fields: dict[str, Any]) -> None:
        frame = parse(json.dumps({"event": "connected"} | fields))
        assert isinstance(frame, Connected)
        assert frame.auth_token == "tok"


class TestTolerance:
    def test_unknown_fields_are_ignored(self) -> None:
        extended = '{"x":[1,{"y":2}],"event":"media","media":{"payload":"//8=","z":{}},"w":null}'
        assert parse(extended) == Media(MediaBody(b"\xff\xff"))

    def test_unknown_events_are_told(self) -> None:
        assert parse('{"event":"weather","sequence_number":"7","media":5}') == UnknownEvent("weather", 7)

    @pytest.mark.parametrize("number", ['"x"', "-1", "[]", "1.5", "null", '"' + "9" * 19 + '"'])
    def test_unknown_events_with_odd_numbers(self, number: str) -> None:
        assert parse(f'{{"event":"weather","sequence_number":{number}}}') == UnknownEvent("weather")

    @pytest.mark.parametrize(
        ("value", "number"),
        [
            ('"4"', 4), ("4", 4), ("0", 0), ('"0"', 0), (str(MAX), MAX), (f'"{MAX}"', MAX), ("null", None),
            ("4.0", 4), ("-0", 0), ('"\\u0034"', 4),
        ],
    )  # fmt: skip
    def test_counters_as_strings_or_numbers(self, value: str, number: int | None) -> None:
        body = f'{{"chunk":{value},"timestamp":{value},"payload":""}}'
        text = f'{{"event":"media","sequence_number":{value},"media":{body}}}'
        assert parse(text) == Media(MediaBody(b"", None, number, number), None, number)

    def test_slashes_may_be_escaped(self) -> None:
        assert parse('{"event":"media","media":{"payload":"\\/\\/8="}}') == Media(MediaBody(b"\xff\xff"))

    def test_what_describes_the_call_is_not_judged(self) -> None:
        body = {
            "from": 15550100,
            "to": {"sip": "x"},
            "tags": "desk",
            "user_id": [],
            "media_format": {"encoding": "PCMU"},
        }
        frame = parse(json.dumps({"event": "start", "start": body}))
        assert isinstance(frame, Start)
        assert (frame.start.from_, frame.start.to, frame.start.tags) == (15550100, {"sip": "x"}, "desk")

    @pytest.mark.parametrize("body", ["null", "5", '"bye"', "[1]", '{"reason":"hangup"}'])
    def test_a_stop_stops_whatever_it_says(self, body: str) -> None:
        assert isinstance(parse(f'{{"event":"stop","stop":{body}}}'), Stop)


BAD_COUNTERS = [
    "-1", '"-1"', str(MAX + 1), f'"{MAX + 1}"', "9" * 5000, '"' + "9" * 5000 + '"', "4.5", '"4.5"', "1e400", '"nan"',
    '"inf"', '""', '" 4"', '"4 "', '"0x10"', '"+4"', '"04"', '"1_000"', '"٤"', "true", '"true"', "[]", "{}",
]  # fmt: skip
BAD_BASE64 = ["/", "//8", "_-8=", "====", "a", "AAAA=", "AA=A", "AA==\\n", " AAAA", "é", "\\u0000", "AA==AA=="]
NOT_JSON = [
    "", " ", "{", "nonsense", '{"event":"stop"} x', '{"event":"stop",}', "\ufeff{}", '{"event":"stop","stop":NaN}',
    '{"event":"stop","x":' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"event":"stop","stop":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
    '{"event":"stop","stop":' + "[" * 100_000,
    '{"event":"stop","stop":"\ud800"}', '{"event":"stop","stop":"\\ud800"}',
]  # fmt: skip
NOT_A_FRAME = [
    "[]", "null", "5", '"stop"', "{}", '{"event":5}', '{"event":null}', '{"event":"media"}', "[" * 100_000,
    '{"event":"media","media":null}', '{"event":"media","media":{}}', '{"event":"media","media":{"payload":null}}',
    '{"event":"media","media":{"payload":5}}', '{"event":"start"}', '{"event":"start","start":[]}',
    '{"event":"start","start":{"media_format":[]}}', '{"event":"dtmf","dtmf":{}}',
    '{"event":"mark","mark":{"name":1}}', '{"event":"stop","stream_id":5}', '{"event":"error","error":"x"}',
]  # fmt: skip


class TestHostileValues:
    @pytest.mark.parametrize("field", ["chunk", "timestamp"])
    @pytest.mark.parametrize("value", BAD_COUNTERS)
    def test_counters(self, field: str, value: str) -> None:
        assert reason(f'{{"event":"media","media":{{"{field}":{value},"payload":"AAAA"}}}}') == "BAD_FIELD"

    @pytest.mark.parametrize("value", BAD_COUNTERS)
    def test_sequence_numbers(self, value: str) -> None:
        assert reason(f'{{"event":"stop","sequence_number":{value}}}') == "BAD_FIELD"

    @pytest.mark.parametrize("payload", BAD_BASE64)
    def test_base64(self, payload: str) -> None:
        assert reason(f'{{"event":"media","media":{{"payload":"{payload}"}}}}') == "BAD_FIELD"

    @pytest.mark.parametrize("message", NOT_JSON, ids=range(len(NOT_JSON)))
    def test_not_json(self, message: str) -> None:
        assert reason(message) == "NOT_JSON"
        if "\ud800" not in message:
            assert reason(message.encode()) == "NOT_JSON"

    @pytest.mark.parametrize("message", NOT_A_FRAME, ids=range(len(NOT_A_FRAME)))
    def test_not_a_frame(self, message: str) -> None:
        assert reason(message) == "BAD_FIELD"

    @pytest.mark.parametrize("message", [b"\xff", b"\x80\x00\x01\x02", b'{"event":"stop","stop":"\xff\xfe"}'])
    def test_not_utf8(self, message: bytes) -> None:
        assert reason(message) == "NOT_JSON"

    def test_nan_is_no_json(self) -> None:
        assert reason('{"event":"media","media":{"chunk":NaN,"payload":"AAAA"}}') == "NOT_JSON"

    def test_rubbish_behind_a_frame(self) -> None:
        for text, _ in DOCUMENTED.values():
            assert reason(text + "}") == "NOT_JSON"

    def test_every_beginning_of_a_frame(self) -> None:
        for text, _ in DOCUMENTED.values():
            whole = text.encode()
            for length in range(len(whole)):
                assert reason(whole[:length]) == "NOT_JSON"


class TestStreamIds:
    def test_uuids_compare_without_case(self) -> None:
        assert normalise_stream_id(STREAM.upper()) == normalise_stream_id(STREAM) == STREAM

    def test_other_names_keep_their_case(self) -> None:
        assert normalise_stream_id("MZabcDEF") == "MZabcDEF"

    @pytest.mark.parametrize("name", [STREAM, "MZ0123", "a", "a.b:c_d-e", "x" * 128])
    def test_usable(self, name: str) -> None:
        assert is_usable_stream_id(name)

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../x", "a/b", "a\\b", "a b", "a\n", "ä", "\0", "x" * 129, ".hidden"]
    )
    def test_not_usable_as_a_file_name(self, name: str) -> None:
        assert not is_usable_stream_id(name)
