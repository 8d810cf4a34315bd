"""Positions and samples beside an oracle: the whole track, from the origin on, resampled in one go."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.feed.conversion import Line, Piece
from media.feed.wire import Flag, SampleFormat
from media.talk.contract import Pcm
from media.talk.resampler import Resampler
from strep.g711 import Codec, decode, encode

RATES = [(8000, 16_000), (8000, 24_000), (16_000, 8000), (24_000, 16_000), (48_000, 16_000), (22_050, 8000)]
every_pair = pytest.mark.parametrize(("from_hz", "to_hz"), RATES)


def noise(samples: int, seed: int = 0) -> Pcm:
    return np.random.default_rng(seed).integers(-20_000, 20_000, samples).astype(np.int16)


def in_one_go(position: int, pcm: Pcm, from_hz: int, to_hz: int) -> tuple[int, Pcm]:
    """Return the first place of the output at or behind `position`, and the audio from there on.

    The oracle has silence from a whole second before on; the filter of every place is then where it belongs.
    """
    origin = position // from_hz * from_hz
    resampler = Resampler(from_hz, to_hz)
    lead = position - origin
    whole = np.concatenate((resampler.process(np.concatenate((np.zeros(lead, np.int16), pcm))), resampler.flush()))
    first = math.ceil(position * to_hz / from_hz)
    return first, whole[first - origin // from_hz * to_hz :]


def joined(pieces: list[Piece]) -> tuple[int, Pcm]:
    """Return where pieces begin, and what they are; they follow one another."""
    at = pieces[0].position_samples
    for piece in pieces:
        assert piece.position_samples == at
        at += len(piece.pcm)
    return pieces[0].position_samples, np.concatenate([piece.pcm for piece in pieces])


@every_pair
@settings(max_examples=30)
@given(st.integers(-3000, 100_000), st.lists(st.integers(1, 2500), min_size=1, max_size=8))
def test_a_track_that_begins_anywhere(from_hz: int, to_hz: int, position: int, lengths: list[int]) -> None:
    pcm, line, told, at = noise(sum(lengths)), Line(from_hz, to_hz), [], 0
    for length in lengths:
        told += line.take(Piece(position + at, pcm[at : at + length]))
        at += length
    told += line.finish()
    expected_at, expected = in_one_go(position, pcm, from_hz, to_hz)
    if not told:
        assert not len(expected)
        return
    found_at, found = joined(told)
    assert found_at == expected_at
    assert np.array_equal(found, expected)
    assert line.end_samples == found_at + len(found)
    assert [piece.flags for piece in told] == [Flag.GAP] + [Flag.NONE] * (len(told) - 1)


@every_pair
@settings(max_examples=30)
@given(st.integers(0, 5000), st.integers(500, 3000), st.integers(1, 100_000))
def test_a_gap_begins_anew(from_hz: int, to_hz: int, position: int, length: int, gap: int) -> None:
    one, other, line = noise(length), noise(length, 1), Line(from_hz, to_hz)
    before = line.take(Piece(position, one))
    behind = line.take(Piece(position + length + gap, other)) + line.finish()
    start = next(number for number, piece in enumerate(behind) if Flag.GAP in piece.flags)
    for pieces, (at, pcm) in (
        (before + behind[:start], in_one_go(position, one, from_hz, to_hz)),
        (behind[start:], in_one_go(position + length + gap, other, from_hz, to_hz)),
    ):
        found_at, found = joined(pieces)
        assert found_at == at
        assert np.array_equal(found, pcm)


@every_pair
def test_ten_minutes_end_where_they_should(from_hz: int, to_hz: int) -> None:
    """A click every second, in blocks of 100 ms: each comes out in its place, to the sample, and nothing creeps."""
    block, line, told = from_hz // 10, Line(from_hz, to_hz), []
    click = np.zeros(block, np.int16)
    click[block // 2] = 20_000
    for number in range(6000):
        pcm = click if number % 10 == 0 else np.zeros(block, np.int16)
        told += line.take(Piece(number * block, pcm))
    told += line.finish()
    start, pcm = joined(told)
    assert (start, len(pcm)) == (0, 600 * to_hz)
    peaks = np.abs(pcm.reshape(600, to_hz)).argmax(1)
    assert set(peaks.tolist()) == {round((block // 2) * to_hz / from_hz)}


def test_natively_nothing_is_touched() -> None:
    line, pcm = Line(8000, 8000), noise(800)
    codes = encode(pcm, Codec.PCMU)
    [piece] = line.take(Piece(-3, pcm, codes=codes))
    assert (piece.position_samples, piece.flags) == (-3, Flag.GAP)
    assert piece.pcm is pcm
    assert piece.codes is codes
    [piece] = line.take(Piece(797, pcm))
    assert piece.flags is Flag.NONE
    assert line.finish() == []


class TestLost:
    """How much of a message is silence that nobody sent."""

    def test_natively(self) -> None:
        line = Line(8000, 8000)
        [piece] = line.take(Piece(800, noise(800)), [(800, 960), (1440, 1600)])
        assert piece.lost_samples == 320
        assert piece.flags == Flag.LOST | Flag.GAP
        [piece] = line.take(Piece(1600, noise(800)))
        assert (piece.lost_samples, piece.flags) == (0, Flag.NONE)

    def test_at_another_rate_it_is_told_with_the_samples_that_it_is_about(self) -> None:
        line = Line(8000, 16_000)
        first = line.take(Piece(0, noise(800)), [(720, 800)])
        second = line.take(Piece(800, noise(800))) + line.finish()
        held_back = 1600 - len(first[0].pcm)
        assert held_back > 0
        assert first[0].lost_samples == 160 - held_back
        assert [piece.lost_samples for piece in second] == [held_back, 0]


class TestLate:
    """Patches."""

    def test_natively_it_is_told_with_its_place(self) -> None:
        line = Line(8000, 8000)
        line.take(Piece(0, noise(800)))
        [patch] = line.patch(Piece(160, noise(160, 5)))
        assert (patch.position_samples, patch.flags) == (160, Flag.LATE)
        [piece] = line.take(Piece(800, noise(800)))
        assert piece.flags is Flag.NONE, "what follows is not disturbed"

    def test_at_another_rate_it_is_not_told(self) -> None:
        assert Line(8000, 16_000).patch(Piece(160, noise(160))) == []


class TestFormats:
    """The bytes of the samples."""

    def test_int16_and_float32(self) -> None:
        piece = Piece(0, noise(160))
        assert np.array_equal(np.frombuffer(piece.payload(SampleFormat.INT16), "<i2"), piece.pcm)
        floats = np.frombuffer(piece.payload(SampleFormat.FLOAT32), "<f4")
        assert np.array_equal(floats * 32768, piece.pcm)

    def test_mu_law_is_what_the_carrier_sent(self) -> None:
        """The two zeros of mu-law are one in PCM: they survive only where nothing was decoded."""
        codes = np.arange(256, dtype=np.uint8)
        piece = Piece(0, decode(codes, Codec.PCMU), codes=codes)
        assert piece.payload(SampleFormat.MULAW) == codes.tobytes()

    def test_mu_law_of_anything_else(self) -> None:
        piece = Piece(0, noise(160))
        assert piece.payload(SampleFormat.MULAW) == encode(piece.pcm, Codec.PCMU).tobytes()
