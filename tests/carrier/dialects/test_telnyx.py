"""Frames as documented (Telnyx media streaming), and the other spellings on request."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from media.carrier.dialects.contract import Clear, Mark, Media, StreamIdentity, Violation
from media.carrier.dialects.telnyx import INVALID_MEDIA, MALFORMED_FRAME, TELNYX, TOKEN_HEADER, TelnyxWriter, reader
from media.carrier.options import WebSocketOptions

IDENTITY = StreamIdentity("5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10", "v3:x", "7f3a1a10", "0d8a8a44", 3)

read = reader(IDENTITY, takes_audio=True)


def writer(codec: str = "PCMU", sample_rate_hz: int = 8000, **options: Any) -> TelnyxWriter:
    return TelnyxWriter(IDENTITY, codec, sample_rate_hz, WebSocketOptions(**options))


def parse(text: str) -> dict[str, Any]:
    frame = json.loads(text)
    assert isinstance(frame, dict)
    return frame


class TestDocumented:
    def test_connected(self) -> None:
        assert parse(writer().connected()) == {"event": "connected", "version": "1.0.0"}
        token = parse(writer(auth_token="tok-51").connected())["connected"]
        assert token == {TOKEN_HEADER: "tok-51"}

    def test_start(self) -> None:
        frame = parse(writer().start(1))
        assert (frame["event"], frame["sequence_number"]) == ("start", "1")
        assert frame["stream_id"] == IDENTITY.stream_id
        assert frame["start"]["media_format"] == {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
        assert frame["start"]["custom_parameters"] == {"call": "3"}

    def test_media(self) -> None:
        frame = parse(writer().media(4, "inbound", 2, 20, b64encode(bytes(range(160))).decode()))
        payload = frame["media"].pop("payload")
        assert b64decode(payload, validate=True) == bytes(range(160))
        assert frame == {
            "event": "media",
            "sequence_number": "4",
            "stream_id": IDENTITY.stream_id,
            "media": {"track": "inbound", "chunk": "2", "timestamp": "20"},
        }

    def test_dtmf(self) -> None:
        frame = parse(writer().dtmf(9, "#", 1_500_000_000))
        assert frame["dtmf"] == {"digit": "#"}
        assert frame["occurred_at"] == "2026-02-03T10:00:01.500000Z"

    def test_mark_and_stop(self) -> None:
        assert parse(writer().mark(9, "hello"))["mark"] == {"name": "hello"}
        stop = {"user_id": "0d8a8a44", "call_control_id": "v3:x"}
        assert parse(writer().stop(10))["stop"] == stop

    def test_both_error_shapes(self) -> None:
        present = parse(writer().error(0, INVALID_MEDIA, "bad base64"))
        assert present["payload"] == {"code": 100004, "title": "invalid_media", "detail": "bad base64"}
        assert "sequence_number" not in present
        old = parse(writer().old_error(5, INVALID_MEDIA, "bad base64"))
        assert old["error"] == {"code": "100004", "title": "invalid_media", "detail": "bad base64"}
        assert old["sequence_number"] == "5"


class TestSpellings:
    def test_numbers(self) -> None:
        frames = writer(numbers_as_strings=False)
        assert parse(frames.media(4, "outbound", 2, 20, "/w=="))["media"]["chunk"] == 2
        assert parse(frames.media(4, "outbound", 2, 20, "/w=="))["sequence_number"] == 4
        assert parse(frames.start(1))["sequence_number"] == 1

    @pytest.mark.parametrize(
        ("codec", "mime", "name"),
        [
            ("PCMA", False, "PCMA"),
            ("PCMU", True, "audio/x-mulaw"),
            ("PCMA", True, "audio/x-alaw"),
        ],
    )
    def test_encodings(self, codec: str, mime: bool, name: str) -> None:
        start = parse(writer(codec, mime_encoding=mime).start(1))["start"]
        assert start["media_format"]["encoding"] == name

    def test_oddities(self) -> None:
        assert "field_of_the_future" in parse(writer(oddities=True).start(1))["start"]
        assert parse(writer().unknown(3))["event"] == "weather"

    @pytest.mark.parametrize(("codec", "rate_hz"), [("G722", 16_000), ("L16", 16_000), ("OPUS", 48_000)])
    def test_wide_codecs(self, codec: str, rate_hz: int) -> None:
        form = parse(writer(codec, rate_hz).start(1))["start"]["media_format"]
        assert form == {"encoding": codec, "sample_rate": rate_hz, "channels": 1}


class TestHeaders:
    def test_the_raw_token_in_a_header_of_its_own(self) -> None:
        assert TELNYX.headers("tok-51") == {"x-telnyx-streaming-auth-token": "tok-51"}
        assert TELNYX.headers("") == {}


class TestReading:
    """What a server sends (protocols of 2026): three events, no stream_id needed, other fields ignored."""

    @pytest.mark.parametrize(
        ("text", "command"),
        [
            ('{"event":"media","media":{"payload":"//8="}}', Media(b"\xff\xff")),
            ('{"media":{"payload":"//8="},"stream_id":"x","event":"media"}', Media(b"\xff\xff")),
            ('{"event":"mark","mark":{"name":"greeting-1"}}', Mark("greeting-1")),
            ('{"event":"clear"}', Clear()),
        ],
    )
    def test_commands(self, text: str, command: Any) -> None:
        assert read(text) == command

    @pytest.mark.parametrize(
        "message",
        [
            "",
            "no json",
            "[]",
            "{}",
            '{"event":"media"}',
            '{"event":"media","media":{}}',
            '{"event":"mark","mark":7}',
            '{"event":"mark","mark":{"name":7}}',
            '{"event":"stop"}',
            b'{"event":"clear"}',
        ],
    )
    def test_malformed_frame(self, message: str | bytes) -> None:
        violation = read(message)
        assert isinstance(violation, Violation)
        assert violation.code == MALFORMED_FRAME == 100003

    @pytest.mark.parametrize("payload", ['"%%%%"', '"/w"', '"//8=\\n"', "7", "null", "{}"])
    def test_invalid_media(self, payload: str) -> None:
        violation = read(f'{{"event":"media","media":{{"payload":{payload}}}}}')
        assert isinstance(violation, Violation)
        assert violation.code == INVALID_MEDIA == 100004
