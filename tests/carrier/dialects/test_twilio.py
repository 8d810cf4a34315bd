"""Twilio's frames as its documents show them, and what it does not take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from media.carrier.dialects.contract import Clear, Mark, Media, StreamIdentity, Violation
from media.carrier.dialects.twilio import TWILIO, TwilioWriter, reader
from media.carrier.options import WebSocketOptions

IDENTITY = StreamIdentity(
    "5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10", "v3:x", "7f3a1a10-c9d0-11f0-9b1a-02420a5b6c7d", "0d8a8a44-76a5-4a55", 3
)
SID = "MZ5b0f3f0e3c5d4e0e9c392f9a6b1d7c10"


def parse(text: Any) -> Any:
    assert isinstance(text, str)
    return json.loads(text)


def writer() -> TwilioWriter:
    return TwilioWriter(IDENTITY, "PCMU", 8000, WebSocketOptions(dialect="twilio"))


class TestFrames:
    def test_connected(self) -> None:
        assert parse(writer().connected()) == {"event": "connected", "protocol": "Call", "version": "1.0.0"}

    def test_start(self) -> None:
        assert parse(writer().start(1)) == {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": SID,
            "start": {
                "streamSid": SID,
                "accountSid": "AC0d8a8a4476a54a55",
                "callSid": "CA7f3a1a10c9d011f09b1a02420a5b6c7d",
                "tracks": ["inbound"],
                "customParameters": {"call": "3"},
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        }

    def test_media(self) -> None:
        assert parse(writer().media(3, "inbound", 1, 20, "////")) == {
            "event": "media",
            "sequenceNumber": "3",
            "media": {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "////"},
            "streamSid": SID,
        }

    def test_dtmf_mark_stop(self) -> None:
        assert parse(writer().dtmf(5, "1", 0))["dtmf"] == {"track": "inbound_track", "digit": "1"}
        assert parse(writer().mark(4, "m"))["mark"] == {"name": "m"}
        assert set(parse(writer().stop(5))["stop"]) == {"accountSid", "callSid"}


class TestReading:
    read = staticmethod(reader(IDENTITY, takes_audio=True))

    @pytest.mark.parametrize(
        ("fields", "command"),
        [
            ({"event": "media", "streamSid": SID, "media": {"payload": "//8="}}, Media(b"\xff\xff")),
            ({"event": "mark", "streamSid": SID, "mark": {"name": "m"}}, Mark("m")),
            ({"event": "clear", "streamSid": SID}, Clear()),
        ],
    )
    def test_commands(self, fields: dict[str, Any], command: Any) -> None:
        assert self.read(json.dumps(fields)) == command

    @pytest.mark.parametrize(
        "fields",
        [
            {"event": "clear"},
            {"event": "clear", "streamSid": SID.lower()},
            {"event": "clear", "streamSid": SID, "extra": 1},
            {"event": "clear", "stream_sid": SID},
            {"event": "media", "streamSid": SID, "media": {"payload": "////", "track": "outbound"}},
            {"event": "media", "streamSid": SID, "media": {"payload": "%%%%"}},
            {"event": "dtmf", "streamSid": SID, "dtmf": {"digit": "1"}},
            {"event": "stop", "streamSid": SID},
            {},
        ],
    )
    def test_invalid_message(self, fields: dict[str, Any]) -> None:
        violation = self.read(json.dumps(fields))
        assert isinstance(violation, Violation)
        assert violation.code == 31951

    def test_malformed_message(self) -> None:
        violation = self.read(json.dumps({"event": "clear", "streamSid": SID}).encode())
        assert isinstance(violation, Violation)
        assert violation.code == 31950

    def test_a_stream_of_both_tracks_takes_nothing(self) -> None:
        options = WebSocketOptions(dialect="twilio", tracks=("inbound", "outbound"))
        assert not options.takes_audio
        violation = reader(IDENTITY, takes_audio=False)(json.dumps({"event": "clear", "streamSid": SID}))
        assert isinstance(violation, Violation)
        assert violation.code == 31924

    def test_the_name_on_the_wire(self) -> None:
        assert TWILIO.stream_name(IDENTITY.stream_id) == SID
