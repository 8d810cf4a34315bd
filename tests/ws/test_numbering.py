"""Numbers of chunks: who counts, what restarts, what is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.ws.numbering import STANDSTILL, ChunkNumbering, CounterMode, NumberSource
from media.ws.owners import MAX_DROPOUT, MAX_MISORDER
from strep.header import Direction
from tests.ws.streams import IN, OUT, Sent, arrivals, track, two_tracks

ALTERNATING = [IN, OUT] * 40
HEAD = 6
"""Frames in order at the beginning, in which the counters are recognised."""
FIRST = st.sampled_from([0, 1, 300, 65_530, 1 << 40])


def numbers(sent: list[Sent], numbering: ChunkNumbering) -> dict[Direction, list[int]]:
    result: dict[Direction, list[int]] = {direction: [] for direction in Direction}
    for frame in sent:
        number = numbering.number(frame.direction, frame.chunk, frame.sequence_number)
        result[frame.direction].append(number)
    return result


def mode(numbering: ChunkNumbering) -> CounterMode:
    return numbering.mode


def lost(of_track: list[int]) -> int:
    return max(of_track) - min(of_track) + 1 - len(set(of_track))


def truly_lost(sent: list[Sent], received: list[Sent], direction: Direction) -> int:
    all_of = [f for f in sent if f.direction is direction]
    got = [f for f in received if f.direction is direction]
    return all_of.index(max(got, key=all_of.index)) - all_of.index(min(got, key=all_of.index)) + 1 - len(got)


class TestPerTrack:
    @given(st.data(), st.lists(st.sampled_from(Direction), min_size=8, max_size=80), FIRST)
    def test_loss_and_order(self, data: st.DataObject, owners: list[Direction], first: int) -> None:
        owners[:HEAD] = ALTERNATING[:HEAD]
        sent = two_tracks(owners, is_shared=False, first_chunk=first)
        received = data.draw(arrivals(sent, window=20, in_order=HEAD, loss=True))
        numbering = ChunkNumbering()
        found = numbers(received, numbering)
        assert mode(numbering) is CounterMode.PER_TRACK
        for direction in Direction:
            chunks = [f.chunk or 0 for f in received if f.direction is direction]
            assert [number - found[direction][0] for number in found[direction]] == [c - chunks[0] for c in chunks]
            assert found[direction][0] == chunks[0] % (1 << 16)
            assert lost(found[direction]) == truly_lost(sent, received, direction)

    def test_counters_far_apart(self) -> None:
        numbering = ChunkNumbering()
        inbound = track([160] * 500, first_chunk=1)
        outbound = track([160] * 3, first_chunk=1, first_sequence_number=502, direction=OUT)
        numbers(inbound, numbering)
        assert mode(numbering) is CounterMode.UNDECIDED
        assert numbers(outbound, numbering)[OUT] == [1, 2, 3]
        assert mode(numbering) is CounterMode.PER_TRACK
        assert numbering.number(IN, 501, 505) == 501

    def test_a_number_of_both_after_it_seemed_shared(self) -> None:
        numbering = ChunkNumbering()
        numbers(two_tracks([IN, OUT, IN, OUT], is_shared=True), numbering)
        assert mode(numbering) is CounterMode.SHARED
        numbering.number(IN, 4, 6)
        assert mode(numbering) is CounterMode.PER_TRACK


class TestShared:
    @given(st.data(), FIRST, st.booleans())
    def test_loss_and_order_of_alternating_tracks(
        self, data: st.DataObject, first: int, with_sequence_numbers: bool
    ) -> None:
        sent = two_tracks(ALTERNATING, is_shared=True, first_chunk=first)
        if not with_sequence_numbers:
            sent = [Sent(f.direction, f.chunk, None, f.samples, f.start_samples) for f in sent]
        received = data.draw(arrivals(sent, window=20, in_order=HEAD, loss=True))
        numbering = ChunkNumbering()
        found = numbers(received, numbering)
        assert mode(numbering) is CounterMode.SHARED
        assert numbering.misattributed == 0
        for direction in Direction:
            assert lost(found[direction]) == truly_lost(sent, received, direction)
            order = [f.chunk or 0 for f in received if f.direction is direction]
            assert sorted(range(len(order)), key=order.__getitem__) == sorted(
                range(len(order)), key=found[direction].__getitem__
            )

    @given(st.lists(st.sampled_from(Direction), min_size=8, max_size=200), FIRST)
    def test_the_other_track_is_never_loss(self, owners: list[Direction], first: int) -> None:
        owners[:HEAD] = ALTERNATING[:HEAD]
        found = numbers(two_tracks(owners, is_shared=True, first_chunk=first), ChunkNumbering())
        for direction in Direction:
            steps = {b - a for a, b in pairwise(found[direction])}
            assert steps <= {1}

    def test_a_track_on_hold_for_long(self) -> None:
        owners = [IN, OUT, IN, OUT] + [OUT] * 5_000 + [IN]
        found = numbers(two_tracks(owners, is_shared=True), ChunkNumbering())
        assert lost(found[IN]) == lost(found[OUT]) == 0

    def test_the_second_track_comes_later(self) -> None:
        numbering = ChunkNumbering()
        owners = [IN] * 300 + [OUT, IN, OUT, IN, OUT, IN]
        found = numbers(two_tracks(owners, is_shared=True), numbering)
        assert mode(numbering) is CounterMode.SHARED
        assert lost(found[IN]) == lost(found[OUT]) == 0

    def test_frames_that_are_no_media_are_discounted(self) -> None:
        numbering = ChunkNumbering()
        numbering.number(IN, 1, 2)
        numbering.skip(3)
        numbering.number(OUT, 2, 4)
        numbering.skip(5)
        assert numbering.number(IN, 3, 6) == 2
        assert mode(numbering) is CounterMode.SHARED

    def test_all_of_one_burst_lost(self) -> None:
        sent = two_tracks([IN, OUT] * 1_000, is_shared=True)
        received = sent[:10] + sent[-10:]
        found = numbers(received, ChunkNumbering())
        assert [lost(found[direction]) for direction in Direction] == [990, 990]

    def test_late_where_the_other_was_expected(self) -> None:
        owners = [IN, OUT, IN, OUT, IN, IN, IN]
        sent = two_tracks(owners, is_shared=True)
        numbering = ChunkNumbering()
        found = numbers([*sent[:5], sent[6], sent[5]], numbering)
        assert numbering.misattributed == 1
        assert found[IN][-1] in found[IN][:-1], "it shares a number, the timeline drops it as a duplicate"

    def test_earlier_than_its_track_began(self) -> None:
        numbering = ChunkNumbering()
        sent = two_tracks([IN, IN, OUT, IN, OUT, IN, OUT], is_shared=True)
        found = numbers([sent[0], sent[1], sent[4], sent[3], sent[5], sent[2], sent[6]], numbering)
        assert mode(numbering) is CounterMode.SHARED
        assert found[OUT] == [5, 4, 6]

    def test_restart_of_both(self) -> None:
        numbering = ChunkNumbering()
        found = numbers(two_tracks([IN, OUT] * 200, is_shared=True), numbering)
        again = numbers(two_tracks([IN, OUT] * 5, is_shared=True), numbering)
        for direction in Direction:
            assert again[direction][0] - found[direction][-1] > MAX_DROPOUT
            assert lost(again[direction]) == 0
        assert numbering.restarts == 2


class TestRestart:
    @pytest.mark.parametrize("chunk", [1 + MAX_DROPOUT + 200, 200 - MAX_MISORDER, 1, 1 << 50, 65_736])
    def test_jump(self, chunk: int) -> None:
        numbering = ChunkNumbering()
        numbers(track([160] * 200), numbering)
        number = numbering.number(IN, chunk, None)
        assert MAX_DROPOUT < number - 200 < (1 << 16) - MAX_MISORDER
        assert numbering.number(IN, chunk + 1, None) == number + 1
        assert numbering.number(IN, chunk - 1, None) == number - 1
        assert numbering.restarts == 1

    def test_stays_equal_to_the_chunk_where_it_can(self) -> None:
        numbering = ChunkNumbering()
        numbers(track([160], first_chunk=30_000), numbering)
        assert numbering.number(IN, 1, None) & 0xFFFF == 1

    @pytest.mark.parametrize("step", [MAX_DROPOUT, 2])
    def test_loss_is_no_restart(self, step: int) -> None:
        numbering = ChunkNumbering()
        assert numbering.number(IN, 10, 2) == 10
        assert numbering.number(IN, 10 + step, 3) == 10 + step
        assert numbering.restarts == 0

    @pytest.mark.parametrize("source_is_shared", [False, True])
    def test_after_a_reconnect_a_step_back_is(self, source_is_shared: bool) -> None:
        numbering = ChunkNumbering()
        numbering.resume(1)
        found = numbers(two_tracks([IN, OUT] * 10, is_shared=source_is_shared), numbering)
        numbering.resume(1)
        again = numbers(two_tracks([IN, OUT] * 10, is_shared=source_is_shared), numbering)
        assert min(again[IN]) > max(found[IN])
        assert min(again[OUT]) > max(found[OUT])
        assert lost(again[IN]) == lost(again[OUT]) == 0
        assert numbering.restarts == 2

    def test_after_a_reconnect_that_goes_on_it_is_not(self) -> None:
        numbering = ChunkNumbering()
        numbering.resume(1)
        sent = track([160] * 20)
        numbers(sent, numbering)
        numbering.resume(22)
        assert numbering.number(IN, 20, 23) == 20
        assert numbering.number(IN, 21, 24) == 21
        assert numbering.restarts == 0

    def test_without_sequence_numbers_too(self) -> None:
        numbering = ChunkNumbering()
        for _ in range(2):
            numbering.resume(None)
            for chunk in (1, 2, 4, 3):
                numbering.number(IN, chunk, None)
        assert numbering.restarts == 1

    def test_an_early_second_track_is_not_taken_for_one(self) -> None:
        numbering = ChunkNumbering()
        numbers(track([160] * 20), numbering)
        numbering.resume(1)
        numbers(track([160] * 20), numbering)
        assert numbering.number(OUT, 1, 22) == 1
        assert mode(numbering) is CounterMode.PER_TRACK
        assert numbering.restarts == 1


class TestFallback:
    def test_to_sequence_numbers(self) -> None:
        numbering = ChunkNumbering()
        found: dict[Direction, list[int]] = {IN: [], OUT: []}
        for sequence_number, direction in [(2, IN), (3, OUT), (4, IN), (5, OUT), (7, OUT)]:
            found[direction].append(numbering.number(direction, None, sequence_number))
        numbering.skip(8)
        for sequence_number, direction in [(9, IN), (12, OUT), (13, IN)]:
            found[direction].append(numbering.number(direction, None, sequence_number))
        assert numbering.source is NumberSource.SEQUENCE_NUMBER
        assert mode(numbering) is CounterMode.SHARED
        assert lost(found[OUT]) == 1, "10"
        assert lost(found[IN]) == 2, "6 and 11"

    @given(st.data())
    def test_to_sequence_numbers_with_disorder(self, data: st.DataObject) -> None:
        sent = [
            Sent(f.direction, None, f.sequence_number, 160, f.start_samples)
            for f in two_tracks(ALTERNATING, is_shared=True)
        ]
        received = data.draw(arrivals(sent, window=20, in_order=2, loss=True))
        found = numbers(received, ChunkNumbering())
        for direction in Direction:
            assert lost(found[direction]) == truly_lost(sent, received, direction)

    def test_to_arrival(self) -> None:
        numbering = ChunkNumbering()
        assert [numbering.number(d, None, None) for d in (IN, OUT, IN, IN, OUT)] == [1, 1, 2, 3, 2]
        assert numbering.source is NumberSource.ARRIVAL

    def test_one_frame_without_a_chunk_follows_the_last(self) -> None:
        numbering = ChunkNumbering()
        assert [numbering.number(IN, c, None) for c in (5, 6, None, 8, 9)] == [5, 6, 7, 8, 9]

    def test_one_frame_without_a_chunk_on_a_shared_counter(self) -> None:
        numbering = ChunkNumbering()
        numbers(two_tracks([IN, OUT] * 3, is_shared=True), numbering)
        assert numbering.number(IN, None, 8) == 4
        assert numbering.number(OUT, 8, 9) == 5

    @pytest.mark.parametrize(
        ("sequence_numbers", "source"),
        [(range(2, 40), NumberSource.SEQUENCE_NUMBER), ([None] * 38, NumberSource.ARRIVAL)],
    )
    def test_a_chunk_that_stands_still_is_no_counter(
        self, sequence_numbers: list[int | None], source: NumberSource
    ) -> None:
        numbering = ChunkNumbering()
        found = [numbering.number(IN, 0, sequence_number) for sequence_number in sequence_numbers]
        assert numbering.source is source
        assert len(set(found)) == len(found) - STANDSTILL + 1
        assert lost(found[STANDSTILL:]) == 0

    def test_repeated_frames_do_not_stand_still(self) -> None:
        numbering = ChunkNumbering()
        for _ in range(3 * STANDSTILL):
            assert numbering.number(IN, 1, 2) == 1
        assert numbering.source is NumberSource.CHUNK
