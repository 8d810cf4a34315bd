"""Counters that begin anew, and the bounds of what is kept of chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.ws.chunks import ChunkSequencer, Placement
from media.ws.numbering import CounterMode, NumberSource
from strep.header import Direction
from tests.ws.streams import IN, OUT, Tape, arrivals, assert_true_positions, play, relative, track, two_tracks

LENGTHS = st.lists(st.integers(1, 400), min_size=1, max_size=80)
UNITS = st.sampled_from([0, 1, 8])


class TestRestart:
    """A new counting is a new generation, whose positions are sums of durations from its first chunk on."""

    @given(st.data(), LENGTHS, LENGTHS, UNITS, st.booleans())
    def test_positions_in_each_generation(
        self, data: st.DataObject, before: list[int], after: list[int], unit: int, is_reconnect: bool
    ) -> None:
        sequencer = ChunkSequencer()
        first = 1 if is_reconnect else 20_000  # without a start frame only a jump tells
        for generation, lengths in enumerate((before, after)):
            sent = track(lengths, first_chunk=first, unit_samples=unit)
            received = [sent[0], *data.draw(arrivals(sent[1:], window=30))]
            if is_reconnect:
                sequencer.resume(1)
            tape = Tape()
            for frame in received:
                placement = frame.place(sequencer)
                assert placement.generation == generation
                tape.take(placement)
            assert_true_positions(tape, received)
            assert tape.lost == 0
            first = 1
        assert sequencer.snapshot().restarts == 1

    def test_each_track_for_itself(self) -> None:
        sequencer = ChunkSequencer()
        play(two_tracks([IN, OUT] * 20, is_shared=False), sequencer)
        sequencer.resume(1)
        assert sequencer.place(IN, 1, 2, None, 160).generation == 1
        assert sequencer.place(OUT, 21, 42, None, 160).generation == 0

    @pytest.mark.parametrize("is_shared", [False, True])
    def test_the_earlier_socket_goes_on(self, is_shared: bool) -> None:
        sequencer = ChunkSequencer()
        first = sequencer.resume(1)
        sent = two_tracks([IN, OUT] * 20, is_shared=is_shared)
        old = {d: [s.place(sequencer) for s in sent[:30] if s.direction is d] for d in Direction}
        second = sequencer.resume(1)
        found: dict[tuple[Direction, int], list[int]] = {}
        for new, late in zip(sent, sent[30:], strict=False):
            for frame, session in ((new, second), (late, first)):
                p = sequencer.place(frame.direction, frame.chunk, frame.sequence_number, None, 160, session)
                assert p.generation == session - first
                found.setdefault((frame.direction, p.generation), []).append(p.timestamp)
        for direction in Direction:
            late_starts = found[direction, 0]
            assert late_starts == [old[direction][-1].timestamp + 160 * (i + 1) for i in range(len(late_starts))]
            assert relative(found[direction, 1]) == [160 * i for i in range(len(found[direction, 1]))]

    @pytest.mark.parametrize("chunk", [5_000, 4_950])
    def test_overtaken_by_the_new_counting_on_one_socket(self, chunk: int) -> None:
        sequencer = ChunkSequencer()
        sent = track([160] * 100, first_chunk=4_901)
        for frame in sent:
            if frame.chunk != chunk or chunk == 5_000:
                frame.place(sequencer)
        assert sequencer.place(IN, 1, None, None, 160).generation == 1
        late = sequencer.place(IN, chunk, None, None, 160)
        assert late == Placement(chunk, 160 * (chunk - 4_901), 0, 0)
        assert sequencer.place(IN, 2, None, None, 160).generation == 1


class TestBounds:
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(Direction),
                st.none() | st.integers(0, 300) | st.integers(0, (1 << 63) - 1),
                st.none() | st.integers(0, 300) | st.integers(0, (1 << 63) - 1),
                st.none() | st.integers(0, 3000) | st.integers(0, (1 << 63) - 1),
                st.integers(1, 240_000),
            ),
            max_size=60,
        ),
        st.lists(st.integers(0, 59), max_size=3),
    )
    def test_anything_gets_a_placement(
        self, frames: list[tuple[Direction, int | None, int | None, int | None, int]], resumes: list[int]
    ) -> None:
        sequencer, sessions, newest = ChunkSequencer(), [0], dict.fromkeys(Direction, 0)
        for i, frame in enumerate(frames):
            if i in resumes:
                sessions.append(sequencer.resume(frame[2]))
                sequencer.skip(frame[3])
            placement = sequencer.place(*frame, session=sessions[i % len(sessions)])
            generation = newest[frame[0]]
            assert generation - 1 <= placement.generation <= generation + 1
            newest[frame[0]] = max(generation, placement.generation)
            assert 0 <= placement.sequence_number < 1 << 16
            assert 0 <= placement.timestamp < 1 << 32
        sequencer.snapshot()

    @pytest.mark.parametrize("direction", Direction)
    def test_the_largest_counters(self, direction: Direction) -> None:
        sequencer = ChunkSequencer()
        largest = (1 << 63) - 1
        for chunk, sequence_number in [(largest, largest), (None, None), (None, 0), (0, None), (largest, 1)]:
            sequencer.place(IN, chunk, sequence_number, largest, 160)
            sequencer.place(direction, chunk, sequence_number, 0, 160)

    def test_snapshot(self) -> None:
        sequencer = ChunkSequencer()
        play(two_tracks([IN, OUT, IN], is_shared=False), sequencer)
        snapshot = sequencer.snapshot()
        assert snapshot.source is NumberSource.CHUNK
        assert snapshot.counter_mode is CounterMode.PER_TRACK
        assert (snapshot.restarts, snapshot.misattributed) == (0, 0)
