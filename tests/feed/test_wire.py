"""The format of a message of PCM: there and back, byte by byte, and nothing but `WireError` for what is none."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.feed.wire import (
    ALIGNMENT_BYTES,
    FIELDS,
    HEADER,
    MAX_CALL_ID_BYTES,
    Flag,
    PcmMessage,
    SampleFormat,
    parse,
    serialize,
)
from strep.errors import WireError
from strep.g711 import Codec, encode
from strep.header import Direction

TONE = (8000 * np.sin(np.arange(160) * 0.3)).astype("<i2")
MESSAGE = PcmMessage(
    "5b0f3f0e-b",
    Direction.OUTBOUND,
    16_000,
    SampleFormat.INT16,
    position_samples=-160,
    sequence_number=7,
    origin_wall_ns=1_700_000_000_000_000_001,
    payload=TONE.tobytes(),
    lost_samples=80,
    flags=Flag.LOST | Flag.GAP,
)

messages = st.builds(
    PcmMessage,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=200),
    st.sampled_from(Direction),
    st.integers(1, 2**32 - 1),
    st.just(SampleFormat.MULAW),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=100),
    st.just(0),
    st.integers(0, 255).map(Flag),
)


class TestThereAndBack:
    @given(messages)
    def test_every_message(self, message: PcmMessage) -> None:
        data = serialize(message)
        found = parse(data)
        assert replace(found, payload=bytes(found.payload)) == message
        assert found.end_samples - found.position_samples == len(message.payload)

    @given(messages)
    def test_samples_begin_at_a_multiple_of_eight(self, message: PcmMessage) -> None:
        data = serialize(message)
        assert (len(data) - len(message.payload)) % ALIGNMENT_BYTES == 0

    @pytest.mark.parametrize(
        ("form", "payload"),
        [
            (SampleFormat.INT16, TONE.tobytes()),
            (SampleFormat.FLOAT32, (TONE / 32768).astype("<f4").tobytes()),
        ],
    )
    def test_int16_of_any_format(self, form: SampleFormat, payload: bytes) -> None:
        found = parse(serialize(replace(MESSAGE, format=form, payload=payload)))
        assert found.samples == 160
        assert np.array_equal(found.pcm(), TONE)

    def test_int16_of_mu_law(self) -> None:
        codes = encode(TONE, Codec.PCMU)
        found = parse(serialize(replace(MESSAGE, format=SampleFormat.MULAW, payload=codes.tobytes())))
        assert np.array_equal(encode(found.pcm(), Codec.PCMU), codes)

    def test_a_float_out_of_range_is_clipped(self) -> None:
        payload = np.array([1.0, -1.0, 3.0, -3.0], "<f4").tobytes()
        loud = replace(MESSAGE, format=SampleFormat.FLOAT32, payload=payload, lost_samples=0)
        assert loud.pcm().tolist() == [32767, -32768, 32767, -32768]

    @pytest.mark.parametrize("call_id", ["", "x" * (MAX_CALL_ID_BYTES + 1)])
    def test_a_call_id_that_cannot_be_sent(self, call_id: str) -> None:
        with pytest.raises(ValueError, match="call id"):
            serialize(replace(MESSAGE, call_id=call_id))


def test_layout_byte_by_byte() -> None:
    data = serialize(MESSAGE)
    assert data[:12] == b"SPCM" + bytes([1, 1, 1, 5]) + (64).to_bytes(2, "little") + (10).to_bytes(2, "little")
    assert struct.unpack_from("<IQqqII", data, 12) == (16_000, 7, -160, 1_700_000_000_000_000_001, 160, 80)
    assert data[48:64] == b"5b0f3f0e-b" + bytes(6)
    assert data[64:] == TONE.tobytes()


def test_every_field_is_where_it_falls_by_itself() -> None:
    """No compiler's padding between them: a C structure of the same fields is the same."""
    assert struct.calcsize("<" + "".join(code for _, code, _ in FIELDS)) == HEADER.size == 48
    at = 0
    for _, code, _ in FIELDS:
        size = struct.calcsize("<" + code)
        assert code == "4s" or at % size == 0
        at += size


class TestWhatIsNone:
    """The peer's mistake is a `WireError` with its reason."""

    @pytest.mark.parametrize(
        ("at", "value", "reason"),
        [
            (0, b"RIFF", "NOT_PCM"),
            (4, b"\2", "VERSION"),
            (5, b"\0", "FIELD"),
            (5, b"\4", "FIELD"),
            (5, b"\2", "LENGTH"),
            (6, b"\2", "FIELD"),
            (8, b"\x38\0", "HEADER_LENGTH"),
            (8, b"\x41\0", "HEADER_LENGTH"),
            (8, b"\xf8\xff", "TRUNCATED"),
            (10, b"\0\0", "CALL_ID"),
            (10, b"\xff\xff", "CALL_ID"),
            (12, bytes(4), "FIELD"),
            (40, b"\xa1", "LENGTH"),
            (44, b"\xa1", "FIELD"),
            (48, b"\xff", "FIELD"),
        ],
    )
    def test_field(self, at: int, value: bytes, reason: str) -> None:
        data = bytearray(serialize(MESSAGE))
        data[at : at + len(value)] = value
        with pytest.raises(WireError) as caught:
            parse(bytes(data))
        assert caught.value.reason == reason

    def test_cut_anywhere(self) -> None:
        data = serialize(MESSAGE)
        for length in range(len(data)):
            with pytest.raises(WireError):
                parse(data[:length])

    def test_rubbish_behind(self) -> None:
        with pytest.raises(WireError, match="LENGTH"):
            parse(serialize(MESSAGE) + b"\0")

    @given(st.binary(max_size=120), st.integers(0, 120))
    def test_anything(self, noise: bytes, kept: int) -> None:
        try:
            found = parse(serialize(MESSAGE)[:kept] + noise)
        except WireError:
            return
        assert found.samples * found.format.sample_bytes == len(found.payload)


class TestLaterVersions:
    """What a reader of today skips."""

    def test_a_longer_header(self) -> None:
        data = serialize(MESSAGE)
        longer = data[:8] + (72).to_bytes(2, "little") + data[10:64] + b"newfield" + data[64:]
        found = parse(longer)
        assert found.call_id == MESSAGE.call_id
        assert np.array_equal(found.pcm(), TONE)

    def test_an_unknown_flag(self) -> None:
        data = bytearray(serialize(MESSAGE))
        data[7] |= 0x80
        assert Flag.GAP in parse(bytes(data)).flags
