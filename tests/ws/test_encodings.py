from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.ws.closing import MAX_REASON_BYTES
from media.ws.encodings import codec_of
from strep.errors import WireError
from strep.g711 import Codec

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
    "", "L16", "audio/L16", "OPUS", "G722", "AMR-WB", "G711", "basic", "law", "PCM", "pcm_s16le", "audio/",
    "audio/wav", "x", "mulaw2", "PCMU PCMA", "PCMU,PCMA", "audio/x-mulaw;rate=16000",
    "PCMU;rate=", "video/pcmu", "\x00", "PCMÜ",
]  # fmt: skip


@pytest.mark.parametrize("name", MU_LAW)
def test_mu_law_by_any_name(name: str) -> None:
    assert codec_of(name, 8000, 1) is Codec.PCMU


@pytest.mark.parametrize("name", A_LAW)
def test_a_law_by_any_name(name: str) -> None:
    assert codec_of(name, 8000, 1) is Codec.PCMA


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(WireError, match="not served; use PCMU") as caught:
        codec_of(name, 8000, 1)
    assert caught.value.reason == "UNSUPPORTED_ENCODING"


@pytest.mark.parametrize("rate", [None, 0, 16000, 48000, 7999])
def test_other_rates_are_refused(rate: int | None) -> None:
    with pytest.raises(WireError, match="sample_rate"):
        codec_of("PCMU", rate, 1)


def test_rate_may_come_with_the_name() -> None:
    assert codec_of("audio/x-mulaw;rate=8000", None, None) is Codec.PCMU


@pytest.mark.parametrize("channels", [0, 2])
def test_other_channels_are_refused(channels: int) -> None:
    with pytest.raises(WireError, match=f"channels {channels}"):
        codec_of("PCMU", 8000, channels)


@given(st.text(), st.none() | st.integers(0, 2**63), st.none() | st.integers(0, 2**63))
def test_text_fits_a_close_frame(name: str, rate: int | None, channels: int | None) -> None:
    try:
        codec_of(name, rate, channels)
    except WireError as error:
        text = str(error).removeprefix(f"{error.reason}: ")
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= MAX_REASON_BYTES
