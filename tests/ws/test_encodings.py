from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.codecs import PCMU, Encoding
from media.ws.closing import MAX_REASON_BYTES
from media.ws.encodings import encoding_of
from strep.errors import WireError

MU_LAW = [
    "PCMU", "pcmu", " PCMU ", "audio/x-mulaw", "audio/X-MULAW", "audio/mulaw", "audio/x-ulaw", "audio/PCMU", "mulaw",
    "MuLaw", "mu-law", "ulaw", "u-law", "x-mulaw", "G711U", "g711_ulaw", "G.711u", "g711-mulaw", "pcm_mulaw",
    "audio/basic", "audio/x-mulaw;rate=8000", "audio/PCMU; rate=8000; channels=1", "PCMU;ptime=20",
]  # fmt: skip
A_LAW = [
    "PCMA", "pcma", "audio/x-alaw", "audio/alaw", "audio/PCMA", "alaw", "A-law", "x-alaw", "G711A", "g711_alaw",
    "G.711a", "pcm_alaw", "audio/x-alaw;rate=8000",
]  # fmt: skip
REFUSED = [
    "", "AMR-WB", "G729", "audio/telephone-event", "G711", "basic", "law", "PCM", "audio/",
    "audio/wav", "x", "mulaw2", "PCMU PCMA", "PCMU,PCMA", "audio/x-mulaw;rate=16000",
    "PCMU;rate=", "video/pcmu", "\x00", "PCMÜ",
]  # fmt: skip


@pytest.mark.parametrize("name", MU_LAW)
def test_mu_law_by_any_name(name: str) -> None:
    assert encoding_of(name, 8000, 1) == PCMU


@pytest.mark.parametrize("name", A_LAW)
def test_a_law_by_any_name(name: str) -> None:
    assert encoding_of(name, 8000, 1) == Encoding("PCMA")


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(WireError, match="not served; use PCMU") as caught:
        encoding_of(name, 8000, 1)
    assert caught.value.reason == "UNSUPPORTED_ENCODING"


@pytest.mark.parametrize("rate", [None, 0, 16000, 48000, 7999])
def test_other_rates_are_refused(rate: int | None) -> None:
    with pytest.raises(WireError, match="sample_rate"):
        encoding_of("PCMU", rate, 1)


@pytest.mark.parametrize(
    ("name", "rate", "encoding"),
    [
        ("L16", 16000, Encoding("L16", 16000, big_endian=False)),
        ("audio/x-L16", 24000, Encoding("L16", 24000, big_endian=False)),
        ("audio/L16;rate=44100", None, Encoding("L16", 44100, big_endian=False)),
        ("G722", 8000, Encoding("G722", 16000)),
        ("audio/G722", 16000, Encoding("G722", 16000)),
        ("g.722", None, Encoding("G722", 16000)),
        ("OPUS", 16000, Encoding("OPUS", 16000)),
        ("audio/opus", None, Encoding("OPUS", 48000)),
    ],
)
def test_wide_encodings(name: str, rate: int | None, encoding: Encoding) -> None:
    assert encoding_of(name, rate, 1) == encoding


def test_byte_order_is_a_switch_but_a_name_that_says_it_is_believed() -> None:
    assert encoding_of("L16", 16000, 1, big_endian=True).big_endian
    assert not encoding_of("pcm_s16le", 16000, 1, big_endian=True).big_endian


@pytest.mark.parametrize(
    ("name", "rate"),
    [("L16", None), ("L16", 7999), ("L16", 48001), ("G722", 48000), ("OPUS", 44100), ("L16;rate=8000", 16000)],
)
def test_rates_that_an_encoding_does_not_have(name: str, rate: int | None) -> None:
    with pytest.raises(WireError, match=r"sample_rate .* not served; use PCMU"):
        encoding_of(name, rate, 1)


def test_rate_may_come_with_the_name() -> None:
    assert encoding_of("audio/x-mulaw;rate=8000", None, None) == PCMU


@pytest.mark.parametrize("channels", [0, 2])
def test_other_channels_are_refused(channels: int) -> None:
    with pytest.raises(WireError, match=f"channels {channels}"):
        encoding_of("PCMU", 8000, channels)


@given(st.text(), st.none() | st.integers(0, 2**63), st.none() | st.integers(0, 2**63))
def test_text_fits_a_close_frame(name: str, rate: int | None, channels: int | None) -> None:
    try:
        encoding_of(name, rate, channels)
    except WireError as error:
        text = str(error).removeprefix(f"{error.reason}: ")
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= MAX_REASON_BYTES
