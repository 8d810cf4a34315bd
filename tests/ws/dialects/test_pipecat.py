"""Pipecat's serializers take what we send, and send what we take; skipped where `make peers` has not put pipecat."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.ws.dialects.dialect import Dialect
from media.ws.dialects.telnyx import TELNYX
from media.ws.dialects.twilio import TWILIO
from media.ws.messages import CarrierFrame, Dtmf, DtmfBody, Media, MediaBody
from strep.g711 import Codec, decode
from tests.ws.dialects.documents import MZ

pytestmark = pytest.mark.peer
PAYLOAD = bytes(range(256))
PEERS = Path(__file__).resolve().parents[3] / ".peers"


def serializers() -> tuple[Any, Any, Any]:
    """Return pipecat's frames module and the serializers for Telnyx and Twilio."""
    if str(PEERS) not in sys.path:
        sys.path.append(str(PEERS))  # behind everything of ours
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = pytest.importorskip("pipecat.frames.frames")
        telnyx = pytest.importorskip("pipecat.serializers.telnyx").TelnyxFrameSerializer
        twilio = pytest.importorskip("pipecat.serializers.twilio").TwilioFrameSerializer
    no_hangup = {"auto_hang_up": False}
    return (
        frames,
        telnyx("s-1", "PCMU", "PCMU", params=telnyx.InputParams(**no_hangup)),
        twilio(MZ, params=twilio.InputParams(**no_hangup)),
    )


async def heard(serializer: Any, frames: Any, message: str | bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        await serializer.setup(frames.StartFrame(audio_in_sample_rate=8000, audio_out_sample_rate=8000))
        return await serializer.deserialize(message)


@pytest.mark.parametrize("dialect", [TELNYX, TWILIO], ids=lambda dialect: dialect.name)
class TestPipecat:
    def test_takes_the_carriers_frames_as_we_write_them(self, dialect: Dialect) -> None:
        frames, telnyx, twilio = serializers()
        serializer = telnyx if dialect is TELNYX else twilio
        said: CarrierFrame = Media(MediaBody(PAYLOAD, "inbound", 1, 0), MZ, 2)
        frame = asyncio.run(heard(serializer, frames, dialect.serialize(said)))
        expected = decode(np.frombuffer(PAYLOAD, np.uint8), Codec.PCMU)
        assert np.array_equal(np.frombuffer(frame.audio, np.int16), expected)
        digit = asyncio.run(heard(serializer, frames, dialect.serialize(Dtmf(DtmfBody("5"), None, MZ, 3))))
        assert digit.button.value == "5"

    def test_sends_what_a_carrier_would_get_from_us(self, dialect: Dialect) -> None:
        frames, telnyx, twilio = serializers()
        serializer = telnyx if dialect is TELNYX else twilio

        async def speak() -> tuple[str, str]:
            await heard(serializer, frames, dialect.serialize(Media(MediaBody(PAYLOAD, "inbound", 1, 0), MZ, 2)))
            pcm = decode(np.frombuffer(PAYLOAD, np.uint8), Codec.PCMU)
            audio = await serializer.serialize(frames.OutputAudioRawFrame(pcm.tobytes(), 8000, 1))
            return audio, await serializer.serialize(frames.InterruptionFrame())

        audio, interruption = asyncio.run(speak())
        payload = base64.b64decode(json.loads(audio)["media"]["payload"])
        assert dialect.media is not None
        assert dialect.clear is not None
        assert _documented(json.loads(audio)) == _documented(json.loads(dialect.media(MZ, payload)))
        assert _documented(json.loads(interruption)) == _documented(json.loads(dialect.clear(MZ)))


def _documented(message: dict[str, Any]) -> dict[str, Any]:
    """Return `message` without the stream_id that Telnyx does not ask for and takes."""
    return {name: value for name, value in message.items() if name != "stream_id"}
