"""Chunks on the tape: sums of durations whatever the order, silence only where timestamps are proven."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.ws.chunks import ChunkSequencer, Placement
from media.ws.timestamps import AGREEMENTS
from tests.ws.streams import IN, OUT, Sent, Tape, arrivals, assert_true_positions, play, relative, track

LENGTHS = st.lists(st.integers(1, 400), min_size=1, max_size=80)
FIRST = st.sampled_from([0, 1, 2, 500, 65_500, 1 << 20, (1 << 62)])
UNITS = st.sampled_from([0, 1, 8])
PROVEN = AGREEMENTS + 1
"""Chunks in order after which consistent timestamps are believed."""


class TestInOrder:
    def test_sequence_number_is_the_chunk_and_timestamp_the_sum(self) -> None:
        sequencer = ChunkSequencer()
        placements = [frame.place(sequencer) for frame in track([160, 80, 160], first_chunk=65_535)]
        assert placements == [Placement(65_535, 0), Placement(0, 160), Placement(1, 240)]

    def test_timestamp_wraps(self) -> None:
        sequencer = ChunkSequencer()
        long = 1 << 31
        assert [sequencer.place(IN, c, None, None, long).timestamp for c in range(4)] == [0, long, 0, long]

    def test_tracks_have_tapes_of_their_own(self) -> None:
        sequencer = ChunkSequencer()
        assert sequencer.place(IN, 1, 2, None, 160) == Placement(1, 0)
        assert sequencer.place(OUT, 1, 3, None, 240) == Placement(1, 0)
        assert sequencer.place(IN, 2, 4, None, 160) == Placement(2, 160)
        assert sequencer.place(OUT, 2, 5, None, 240) == Placement(2, 240)


class TestMissing:
    def test_a_missing_chunk_is_one_usual_chunk(self) -> None:
        tape = play(track([160] * 3) + track([160] * 3, first_chunk=6, first_sequence_number=7))[IN]
        assert tape.starts == {1: 0, 2: 160, 3: 320, 6: 800, 7: 960, 8: 1120}
        assert tape.lost == 2

    def test_one_odd_chunk_is_no_new_habit(self) -> None:
        sent = track([160, 160, 40, 160, 160])
        tape = play([*sent[:3], sent[4]])[IN]
        assert tape.starts == {1: 0, 2: 160, 3: 320, 5: 520}

    def test_two_equal_ones_are(self) -> None:
        tape = play([frame for frame in track([160, 160, 240, 240, 240, 240]) if frame.chunk != 5])[IN]
        assert tape.starts[6] == 160 * 2 + 240 * 3

    def test_late_and_longer_than_thought(self) -> None:
        first, second, third, fourth = track([160, 240, 160, 160])
        sequencer = ChunkSequencer()
        assert first.place(sequencer) == Placement(1, 0)
        assert third.place(sequencer) == Placement(3, 320)
        assert second.place(sequencer) == Placement(2, 160, shift_samples=80)
        assert third.place(sequencer) == Placement(3, 400), "a duplicate is where the first one is now"
        assert fourth.place(sequencer) == Placement(4, 560)

    def test_overtaken_at_the_very_beginning(self) -> None:
        first, second, third = track([200, 160, 160])
        tape = play([third, first, second])[IN]
        assert relative([tape.starts[n] for n in (1, 2, 3)]) == [0, 200, 360]


class TestAnyOrder:
    @given(st.data(), LENGTHS, FIRST, UNITS, st.integers(0, 45))
    def test_positions_are_sums_of_durations(
        self, data: st.DataObject, lengths: list[int], first: int, unit: int, window: int
    ) -> None:
        sent = track(lengths, first_chunk=first, unit_samples=unit)
        received = data.draw(arrivals(sent, window=window))
        tape = play(received)[IN]
        assert tape.lost == 0
        assert_true_positions(tape, received)

    @given(st.data(), st.integers(1, 80), FIRST, st.integers(0, 45))
    def test_loss_of_usual_chunks_keeps_the_time(
        self, data: st.DataObject, count: int, first: int, window: int
    ) -> None:
        sent = track([160] * count, first_chunk=first)
        received = data.draw(arrivals(sent, window=window, in_order=1, loss=True))
        tape = play(received)[IN]
        assert_true_positions(tape, received)
        span = max(f.start_samples for f in received) // 160 + 1
        assert tape.lost == span - len(received)

    @given(st.data(), LENGTHS, UNITS)
    def test_duplicates_get_the_same_placement(self, data: st.DataObject, lengths: list[int], unit: int) -> None:
        received = data.draw(arrivals(track(lengths, unit_samples=unit), window=30))
        sequencer, tape = ChunkSequencer(), Tape()
        seen: list[Sent] = []
        for frame in received:
            tape.take(frame.place(sequencer))
            seen.append(frame)
            again = data.draw(st.sampled_from(seen[-40:])).place(sequencer)
            assert again.shift_samples == 0
            assert again.timestamp == tape.starts[tape.number_of(again)] & 0xFFFFFFFF
        assert_true_positions(tape, received)


class TestSilence:
    """DTX and hold: the next chunk, a timestamp further on."""

    SILENCES = st.lists(st.sampled_from([0, 0, 0, 160, 320, 8_000, 480_000]), min_size=40, max_size=40)

    @given(SILENCES, st.sampled_from([1, 8]), st.sampled_from([0, 5, 1 << 40]))
    def test_is_told_by_proven_timestamps(self, silences: list[int], unit: int, first: int) -> None:
        silences[:PROVEN] = [0] * PROVEN
        sent = track([160] * 40, silences=silences, unit_samples=unit, first_timestamp=first)
        tape = play(sent)[IN]
        assert_true_positions(tape, sent)
        assert tape.lost == 0

    @given(st.data(), SILENCES, st.sampled_from([1, 8]))
    def test_survives_disorder_and_loss(self, data: st.DataObject, silences: list[int], unit: int) -> None:
        silences[:PROVEN] = [0] * PROVEN
        sent = track([160] * 40, silences=silences, unit_samples=unit)
        received = data.draw(arrivals(sent, window=8, in_order=PROVEN, loss=True))
        assert_true_positions(play(received)[IN], received)

    @given(SILENCES)
    def test_is_not_told_without_timestamps(self, silences: list[int]) -> None:
        sent = track([160] * 40, silences=silences)
        assert relative(list(play(sent)[IN].starts.values())) == [160 * i for i in range(40)]

    @pytest.mark.parametrize("position", range(1, PROVEN))
    def test_is_not_told_before_timestamps_are_proven(self, position: int) -> None:
        silences = [0] * PROVEN
        silences[position] = 1600
        sent = track([160] * PROVEN, silences=silences, unit_samples=8)
        assert list(play(sent)[IN].starts.values()) == [160 * i for i in range(PROVEN)]

    @pytest.mark.parametrize("position", range(1, PROVEN))
    def test_is_made_up_for_as_soon_as_they_are(self, position: int) -> None:
        silences = [0] * 3 * PROVEN
        silences[position] = 1600
        sent = track([160] * 3 * PROVEN, silences=silences, unit_samples=8)
        starts = list(play(sent)[IN].starts.values())
        assert starts[2 * PROVEN :] == [frame.start_samples for frame in sent[2 * PROVEN :]]

    @given(st.lists(st.none() | st.integers(0, (1 << 63) - 1), min_size=1, max_size=60))
    def test_timestamps_without_sense_are_ignored(self, timestamps: list[int | None]) -> None:
        sequencer = ChunkSequencer()
        placements = [sequencer.place(IN, i, i, t, 160) for i, t in enumerate(timestamps)]
        assert [p.timestamp for p in placements] == [160 * i for i in range(len(timestamps))]

    def test_the_example_of_the_documents_proves_nothing(self) -> None:
        sequencer = ChunkSequencer()
        sequencer.place(IN, 2, 4, 5, 792)
        assert sequencer.snapshot().timestamp_units == ("", "")

    def test_distrust_places_by_sum_and_trust_comes_back(self) -> None:
        sent = track([160] * PROVEN, unit_samples=8)
        restarted = track(
            [160] * (PROVEN + 1), first_chunk=PROVEN + 1, first_sequence_number=PROVEN + 2, unit_samples=8
        )
        sequencer = ChunkSequencer()
        tape = play(sent, sequencer)[IN]
        assert sequencer.snapshot().timestamp_units == ("ms", "")
        for frame in restarted[:2]:
            tape.take(frame.place(sequencer))
        assert sequencer.snapshot().timestamp_units == ("", "")
        assert sequencer.snapshot().trust_lost == (1, 0)
        for frame in restarted[2:]:
            tape.take(frame.place(sequencer))
        assert sequencer.snapshot().timestamp_units == ("ms", "")
        assert list(tape.starts.values()) == [160 * i for i in range(len(tape.starts))]

    def test_a_hole_is_as_long_as_the_timestamps_say(self) -> None:
        silences = [0] * (PROVEN + 2)
        silences[-1] = 8_000
        sent = track([160] * (PROVEN + 2), silences=silences, unit_samples=8)
        del sent[-2]
        assert max(play(sent)[IN].starts.values()) == 160 * (PROVEN + 1) + 8_000

    def test_a_hole_of_negative_length_is_a_contradiction(self) -> None:
        sent = track([160] * PROVEN, unit_samples=8)
        sequencer = ChunkSequencer()
        play(sent, sequencer)
        placement = sequencer.place(IN, PROVEN + 3, None, 0, 160)
        assert placement.timestamp == 160 * (PROVEN + 2)
        assert sequencer.snapshot().trust_lost == (1, 0)

    def test_a_late_chunk_among_missing_ones_is_placed_by_its_timestamp(self) -> None:
        sent = track([160] * (PROVEN + 4), unit_samples=8)
        received = [*sent[:PROVEN], sent[-1], sent[PROVEN + 1]]
        assert_true_positions(play(received)[IN], received)

    def test_a_late_chunk_that_tells_of_years_is_placed_as_if_it_told_nothing(self) -> None:
        sequencer = ChunkSequencer()
        sent = track([160] * (PROVEN + 4), unit_samples=8)
        for frame in sent[:PROVEN] + sent[PROVEN + 3 :]:
            frame.place(sequencer)
        late = sequencer.place(IN, PROVEN + 3, PROVEN + 4, 2**60 - 10_000, 160)
        assert late.timestamp == 160 * (PROVEN + 2)
        assert late.shift_samples == 0


def test_whoever_relies_on_what_was_expected_leaves_before_another_does() -> None:
    """Else both would take the same chunks for theirs."""
    sequencer, left = ChunkSequencer(), list[str]()
    session = sequencer.resume(1)
    for frame in track([160] * 3):
        frame.place(sequencer)
    sequencer.leave = lambda: left.append("the first")
    assert sequencer.expect(IN, 160, session, has_timestamp=False) is not None
    assert left == ["the first"]
