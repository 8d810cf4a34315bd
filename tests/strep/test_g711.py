"""G.711 against the closed form of ITU-T G.711, written here a second time from the Recommendation."""

from __future__ import annotations

import numpy as np
import pytest

from strep.g711 import Codec, decode, decode_table, encode, transcode_table

ALL_CODES = np.arange(256, dtype=np.uint8)


def mu_law(code: int) -> int:
    """Table 2a/2b: inverted bits, sign, 3 bits of segment, 4 bits of interval; 14-bit values scaled to 16."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 1) + 33 << (code >> 4 & 7)) - 33
    return -4 * magnitude if code & 0x80 else 4 * magnitude


def a_law(code: int) -> int:
    """Table 1a/1b: even bits inverted; 13-bit values scaled to 16."""
    code ^= 0x55
    segment, interval = code >> 4 & 7, code & 0x0F
    magnitude = (interval << 1) + 1 if segment == 0 else (interval << 1) + 33 << segment - 1
    return 8 * magnitude if code & 0x80 else -8 * magnitude


@pytest.mark.parametrize(("codec", "closed_form"), [(Codec.PCMU, mu_law), (Codec.PCMA, a_law)])
def test_decoding_is_the_closed_form(codec: Codec, closed_form: type[int]) -> None:
    assert decode(ALL_CODES, codec).tolist() == [closed_form(code) for code in range(256)]


@pytest.mark.parametrize("codec", Codec)
def test_a_code_survives_decoding_and_encoding(codec: Codec) -> None:
    again = encode(decode(ALL_CODES, codec), codec)
    # The one exception is mu-law's negative zero, which has no sample of its own.
    changed = ALL_CODES[again != ALL_CODES].tolist()
    assert changed == ([0x7F] if codec is Codec.PCMU else [])


@pytest.mark.parametrize("codec", Codec)
def test_silence_is_the_quietest_code(codec: Codec) -> None:
    assert decode_table(codec)[codec.silence] == min(abs(decode_table(codec).astype(int)))


@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (160,), (3, 160), (3, 5), (0, 160)])
@pytest.mark.parametrize("codec", Codec)
def test_any_shape(codec: Codec, shape: tuple[int, ...]) -> None:
    codes = np.resize(ALL_CODES, shape)
    assert np.array_equal(decode(codes, codec), decode_table(codec)[codes])
    strided = np.resize(ALL_CODES, (4, 400))[:, 3:163]
    assert np.array_equal(decode(strided, codec), decode_table(codec)[strided])


@pytest.mark.parametrize(("source", "target"), [(Codec.PCMU, Codec.PCMA), (Codec.PCMA, Codec.PCMU)])
def test_transcoding_goes_by_the_sample(source: Codec, target: Codec) -> None:
    assert np.array_equal(transcode_table(source, target), encode(decode(ALL_CODES, source), target))
