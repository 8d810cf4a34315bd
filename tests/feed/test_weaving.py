"""Messages into a stream, beside a model that has the whole timeline in an array."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.feed.weaving import LAG_MS, MOST_SAMPLES, Weaver
from media.feed.wire import Flag, PcmMessage, SampleFormat
from strep.header import Direction

BOTH = (Direction.INBOUND, Direction.OUTBOUND)
LAG = 8 * LAG_MS


def message(track: Direction, position: int, samples: NDArray[Any], flags: Flag = Flag.NONE) -> PcmMessage:
    form = {"i": SampleFormat.INT16, "f": SampleFormat.FLOAT32, "u": SampleFormat.MULAW}[samples.dtype.kind]
    return PcmMessage("call", track, 8000, form, position, 0, 0, samples.tobytes(), flags=flags)


def noise(position: int, length: int, track: Direction) -> NDArray[np.int16]:
    return np.random.default_rng((position, track)).integers(1, 30_000, length).astype(np.int16)


def woven(weaver: Weaver, messages: list[PcmMessage]) -> NDArray[np.int16]:
    written = [piece for one in messages for piece in weaver.take(one)] + list(weaver.finish())
    return np.frombuffer(b"".join(written), np.int16).reshape(-1, len(weaver.tracks))


steps = st.lists(
    st.tuples(st.sampled_from(BOTH), st.integers(1, 400), st.sampled_from([0, 0, 0, 37, 900])),
    min_size=1,
    max_size=40,
)


@given(st.integers(0, 10**6), steps)
def test_every_sample_is_in_its_place(origin: int, walk: list[tuple[Direction, int, int]]) -> None:
    """Two tracks of pieces and holes, in the order in which they begin, as they come from a call."""
    ends, pieces = dict.fromkeys(BOTH, origin), list[PcmMessage]()
    for track, length, hole in walk:
        start = ends[track] + (hole if pieces else 0)
        pieces.append(message(track, start, noise(start, length, track)))
        ends[track] = start + length
    pieces.sort(key=lambda piece: piece.end_samples)
    first = pieces[0].position_samples
    length = max(ends.values()) - first
    expected = np.zeros((max(length, 0), 2), np.int16)
    for piece in pieces:
        early = max(first - piece.position_samples, 0)
        at = piece.position_samples + early - first
        expected[at : at + piece.samples - early, piece.track] = piece.pcm()[early:]
    weaver = Weaver(BOTH)
    assert np.array_equal(woven(weaver, pieces), expected)
    assert weaver.written_samples == len(expected)
    assert weaver.missing_samples == (expected == 0).sum()


class TestWaiting:
    """One track for the other."""

    def test_both_come_out_together(self) -> None:
        weaver = Weaver(BOTH)
        assert list(weaver.take(message(BOTH[0], 0, noise(0, 800, BOTH[0])))) == []
        [block] = weaver.take(message(BOTH[1], 0, noise(0, 400, BOTH[1])))
        assert len(block) == 400 * 2 * 2

    def test_not_for_ever(self) -> None:
        weaver = Weaver(BOTH)
        written = 0
        for number in range(20):
            written += sum(map(len, weaver.take(message(BOTH[0], 800 * number, noise(0, 800, BOTH[0]))))) // 4
        assert written == 16_000 - LAG
        late = message(BOTH[1], 0, noise(0, 800, BOTH[1]))
        assert list(weaver.take(late)) == []
        assert weaver.dropped_samples == 800

    def test_not_for_one_that_has_ended(self) -> None:
        weaver = Weaver(BOTH)
        end = message(BOTH[1], 0, np.zeros(0, np.int16), Flag.END)
        assert list(weaver.take(end)) == []
        assert sum(map(len, weaver.take(message(BOTH[0], 0, noise(0, 800, BOTH[0]))))) == 800 * 4


def test_a_patch_in_time_and_one_too_late() -> None:
    weaver, track = Weaver(BOTH), BOTH[0]
    patch = noise(5, 160, track)
    hole = noise(0, 800, track)
    hole[160:320] = 0
    heard = woven(
        weaver,
        [
            message(track, 0, hole),
            message(track, 160, patch, Flag.LATE),
            message(track, 800, noise(1, 8000, track)),
            message(track, 160, patch + 1, Flag.LATE),
        ],
    )
    assert np.array_equal(heard[160:320, 0], patch)
    assert weaver.dropped_samples == 160


def test_one_track_is_mono_and_waits_for_nothing() -> None:
    weaver = Weaver(BOTH[1:])
    [block] = weaver.take(message(BOTH[1], 77, noise(0, 800, BOTH[1])))
    assert np.array_equal(np.frombuffer(block, np.int16), noise(0, 800, BOTH[1]))
    assert list(weaver.finish()) == []


def test_silence_of_mu_law_is_not_zero() -> None:
    weaver = Weaver(BOTH)
    codes = np.full(160, 3, np.uint8)
    assert list(weaver.take(message(BOTH[0], 0, codes))) == []
    assert b"".join(weaver.finish()) == b"\x03\xff" * 160


def test_a_pause_of_an_hour_is_written_piece_by_piece() -> None:
    weaver, hour = Weaver(BOTH[:1]), 8000 * 3600
    lengths = [len(block) // 2 for block in weaver.take(message(BOTH[0], 0, noise(0, 800, BOTH[0])))]
    lengths += [len(block) // 2 for block in weaver.take(message(BOTH[0], hour, noise(0, 800, BOTH[0])))]
    assert sum(lengths) == hour + 800
    assert max(lengths) <= MOST_SAMPLES


def test_a_pause_of_days_is_not_believed() -> None:
    weaver = Weaver(BOTH[:1])
    assert list(weaver.take(message(BOTH[0], 0, noise(0, 800, BOTH[0]))))
    with pytest.raises(ValueError, match="24 hours"):
        weaver.take(message(BOTH[0], 1 << 40, noise(0, 800, BOTH[0])))


def test_what_does_not_belong() -> None:
    weaver = Weaver(BOTH[:1])
    first = message(BOTH[0], 0, noise(0, 10, BOTH[0]))
    assert list(weaver.take(first))
    for other in (replace(first, track=BOTH[1]), replace(first, format=SampleFormat.MULAW)):
        with pytest.raises(ValueError, match="among others"):
            weaver.take(other)
