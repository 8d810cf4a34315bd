"""SignalWire's stream and tap, and TryVox's stream, as their documents and listeners show them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from media.carrier.dialects import DIALECTS
from media.carrier.dialects.contract import Clear, Digit, FrameWriter, Mark, Media, StreamIdentity, Violation
from media.carrier.dialects.signalwire import reader
from media.carrier.options import SimulationOptions, Transport, WebSocketOptions
from media.codecs import Encoding
from strep.errors import ConfigurationError

IDENTITY = StreamIdentity("3b9c0000-3c5d-4e0e-9c39-2f9a6b1d7c10", "v3:x", "0d1b", "a1f0", 3)
NAME = IDENTITY.stream_id


def writer(dialect: str, codec: str = "PCMU", rate_hz: int = 8000, **options: Any) -> FrameWriter:
    return DIALECTS[dialect].writer(IDENTITY, codec, rate_hz, WebSocketOptions(dialect=dialect, **options))


def parse(text: Any) -> Any:
    assert isinstance(text, str)
    return json.loads(text)


class TestStream:
    def test_connected_and_start(self) -> None:
        frames = writer("signalwire")
        assert parse(frames.connected()) == {"event": "connected", "protocol": "Call", "version": "0.2.0"}
        assert parse(frames.write("start", 1)) == {
            "event": "start",
            "sequenceNumber": "1",
            "start": {
                "streamSid": NAME,
                "accountSid": "a1f0",
                "callSid": "0d1b",
                "tracks": ["inbound"],
                "customParameters": {"call": "3"},
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        }

    def test_wide(self) -> None:
        form = parse(writer("signalwire", "L16", 24_000).write("start", 1))["start"]["mediaFormat"]
        assert form == {"encoding": "audio/x-L16", "sampleRate": 24_000, "channels": 1}

    def test_media_dtmf_mark_stop(self) -> None:
        frames = writer("signalwire")
        assert parse(frames.media(2, "inbound", 1, 0, "////")) == {
            "event": "media",
            "sequenceNumber": "2",
            "media": {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "////"},
        }
        key = parse(frames.write("dtmf", 31, "5", 0))
        assert key["dtmf"] == {"digit": "5", "duration": 160}
        assert key["streamSid"] == NAME
        assert parse(frames.write("mark", 9, "m")) == {"event": "mark", "streamSid": NAME, "mark": {"name": "m"}}
        assert parse(frames.write("stop", 99)) == {"event": "stop", "sequenceNumber": "99"}

    def test_a_mark_takes_no_number(self) -> None:
        assert not writer("signalwire").frames["mark"].is_numbered

    def test_bearer(self) -> None:
        assert DIALECTS["signalwire"].headers("tok") == {"Authorization": "Bearer tok"}

    @pytest.mark.parametrize(
        ("fields", "command"),
        [
            ({"event": "media", "streamSid": NAME, "media": {"payload": "//8="}}, Media(b"\xff\xff")),
            ({"event": "mark", "streamSid": NAME, "mark": {"name": "m"}}, Mark("m")),
            ({"event": "clear", "streamSid": NAME}, Clear()),
            ({"event": "dtmf", "streamSid": NAME, "dtmf": {"digit": "7"}}, Digit("7")),
        ],
    )
    def test_commands(self, fields: dict[str, Any], command: Any) -> None:
        assert reader(IDENTITY, takes_audio=True)(json.dumps(fields)) == command

    @pytest.mark.parametrize("fields", [{"event": "clear"}, {"event": "clear", "streamSid": "other"}, {"event": "x"}])
    def test_violations(self, fields: dict[str, Any]) -> None:
        assert isinstance(reader(IDENTITY, takes_audio=True)(json.dumps(fields)), Violation)


class TestTap:
    def test_a_header_and_then_audio(self) -> None:
        frames = writer("signalwire-tap")
        assert parse(frames.connected()) == {"content-type": "audio/mulaw;rate=8000"}
        assert frames.media(2, "inbound", 1, 0, b"\xff\x00") == b"\xff\x00"
        assert not frames.frames

    def test_has_one_track_and_no_way_back(self) -> None:
        options = WebSocketOptions(dialect="signalwire-tap")
        assert options.streamed_tracks == ("inbound",)
        assert not options.takes_audio
        with pytest.raises(ConfigurationError, match="choose one"):
            WebSocketOptions(dialect="signalwire-tap", tracks=("inbound", "outbound"))


class TestTryVox:
    def test_flat_frames(self) -> None:
        frames = writer("tryvox")
        assert frames.connected() is None
        assert parse(frames.write("start", 1)) == {
            "event": "start",
            "stream_id": NAME,
            "call_uuid": "0d1b",
            "account_id": "a1f0",
            "from": "+15550000003",
            "to": "+15550100",
            "custom_parameters": {"call": "3"},
        }
        assert parse(frames.media(2, "outbound", 1, 20, "////")) == {
            "event": "media",
            "stream_id": NAME,
            "track": "outbound",
            "payload": "////",
            "timestamp": 20,
        }

    def test_takes_nothing(self) -> None:
        assert isinstance(DIALECTS["tryvox"].reader(IDENTITY, takes_audio=False)('{"event":"clear"}'), Violation)


@pytest.mark.parametrize(("dialect", "encoding"), [("twilio", "G722"), ("tryvox", "L16"), ("signalwire-tap", "OPUS")])
def test_a_codec_that_a_carrier_does_not_stream(dialect: str, encoding: str) -> None:
    rate_hz = 16_000
    with pytest.raises(ConfigurationError, match=f"{dialect} streams no {encoding}"):
        SimulationOptions(
            transport=Transport.WEBSOCKET,
            codec=Encoding(encoding, rate_hz),
            websocket=WebSocketOptions(dialect=dialect),
        )
