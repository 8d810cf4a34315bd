"""What is told about payloads without decoding them; libopus is asked whether it is true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from media.codecs import STATIC_PAYLOAD_TYPES, Encoding, decoder_for, encoding_of_payload_type
from media.codecs.opus_packet import LONGEST_SAMPLES, samples_at_48_khz
from media.codecs.pyav import context, frame_of
from strep.errors import WireError
from tests.codecs.speech import speech

PCMU, PCMA, G722 = Encoding("PCMU"), Encoding("PCMA"), Encoding("G722", 16000)
L16, OPUS = Encoding("L16", 24000), Encoding("OPUS", 16000)


@pytest.mark.parametrize(
    ("encoding", "clock_hz", "bytes_per_second", "frame_samples", "can_be_joined"),
    [
        (PCMU, 8000, 8000, 160, True),
        (PCMA, 8000, 8000, 160, True),
        (G722, 8000, 8000, 320, True),
        (L16, 24000, 48000, 480, True),
        (Encoding("L16", 11025), 11025, 22050, 220, True),
        (OPUS, 48000, None, 320, False),
    ],
)
def test_clocks(
    encoding: Encoding, clock_hz: int, bytes_per_second: int, frame_samples: int, can_be_joined: bool
) -> None:
    assert encoding.rtp_clock_hz == clock_hz
    assert encoding.bytes_per_second == bytes_per_second
    assert encoding.frame_samples == frame_samples
    assert encoding.can_be_joined is can_be_joined


@pytest.mark.parametrize(
    ("name", "rate_hz", "says"),
    [
        ("AMR-WB", 16000, "'AMR-WB' is not served; there are PCMU, PCMA, G722, L16, OPUS"),
        ("pcmu", 8000, "not served"),
        ("PCMU", 16000, "PCMU has no rate of 16000 Hz; it has 8000"),
        ("G722", 8000, "it has 16000"),
        ("L16", 96000, "it has 8000 to 48000"),
        ("OPUS", 44100, "it has 8000 or 16000 or 24000 or 48000"),
    ],
)
def test_what_there_is_not(name: str, rate_hz: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Encoding(name, rate_hz)


def test_static_payload_types() -> None:
    """RFC 3551 table 4: what is not audio, not assigned, or has two channels, is not a mono encoding of ours."""
    found = {number: encoding_of_payload_type(number) for number in range(128)}
    assert {number: encoding for number, encoding in found.items() if encoding is not None} == {
        0: PCMU,
        8: PCMA,
        9: G722,
        11: Encoding("L16", 44100),
    }
    for number, encoding in found.items():
        if encoding is not None:
            assert encoding.rtp_clock_hz == STATIC_PAYLOAD_TYPES[number].clock_hz


@pytest.mark.parametrize("milliseconds", ["2.5", "5", "10", "20", "40", "60", "80", "100", "120"])
@pytest.mark.parametrize("rate_hz", [8000, 24000, 48000])
def test_length_of_an_opus_packet(milliseconds: str, rate_hz: int) -> None:
    """Every duration that libopus makes, in the modes that it picks by itself (SILK, hybrid, CELT)."""
    length = int(float(milliseconds) * rate_hz / 1000)
    encoder = context("libopus", "w", rate_hz, "a test", frame_duration=milliseconds, application="audio")
    encoder.bit_rate = 20_000
    encoding = Encoding("OPUS", rate_hz)
    decoder = decoder_for(encoding)
    pcm = speech(rate_hz)
    for begin in range(0, 8 * length, length):
        [packet] = encoder.encode(frame_of(pcm[begin : begin + length], rate_hz))
        payload = bytes(packet)
        assert encoding.samples_of(payload) == length
        assert decoder.decode(payload).shape == (length,)


@pytest.mark.parametrize(
    ("packet", "says"),
    [
        (b"", "a byte at least"),
        (b"\x03", "two bytes at least"),
        (b"\x03\x00", "0 frames"),
        (b"\x1b\x03" + bytes(9), "3 frames, 180 ms"),
        (b"\x01\x00\x00\x00", "not of equal size"),
    ],
)
def test_no_opus_packet(packet: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says) as raised:
        OPUS.samples_of(packet)
    assert raised.value.reason == "PAYLOAD"


def test_the_longest_opus_packet() -> None:
    assert samples_at_48_khz(b"\x1b\x02" + bytes(9)) == LONGEST_SAMPLES


@pytest.mark.parametrize(("encoding", "samples"), [(PCMU, 6), (PCMA, 6), (G722, 12), (L16, 3)])
def test_length_of_other_payloads(encoding: Encoding, samples: int) -> None:
    assert encoding.samples_of(bytes(6)) == samples
    assert encoding.samples_of(memoryview(bytes(6))) == samples
    assert len(decoder_for(encoding).decode(memoryview(bytes(6)))) == samples


def test_half_a_sample() -> None:
    for use in (L16.samples_of, decoder_for(L16).decode):
        function: Any = use
        with pytest.raises(WireError, match="middle of a sample"):
            function(b"abc")


def test_what_is_not_opus_is_refused_or_decoded_but_nothing_else() -> None:
    decoder = decoder_for(OPUS)
    random = np.random.default_rng(11)
    outcomes = set()
    for _ in range(400):
        payload = random.bytes(int(random.integers(0, 60)))
        try:
            assert len(decoder.decode(payload)) == OPUS.samples_of(payload)
            outcomes.add("decoded")
        except WireError:
            outcomes.add("refused")
    assert outcomes == {"decoded", "refused"}
