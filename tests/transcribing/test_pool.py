"""The pool's rules, with workers that are lists and a clock that the test moves."""

from __future__ import annotations

import numpy as np
import pytest

from media.transcribing.contract import Result
from media.transcribing.messages import Close, Done, Finish, Give, Said, Setup
from media.transcribing.streams import Ended, Missing, Transcribed
from strep.clock import NS_PER_SECOND
from tests.sinks.rows import call_info
from tests.transcribing.pool_world import PIECE, World, one_stream, result


class TestAssignment:
    def test_workers_start_when_there_are_streams_and_both_sides_of_a_call_meet(self) -> None:
        world = World()
        assert world.poll() == []
        assert world.links == []
        call = call_info(9)
        streams = [world.stream(call), world.stream(call, "outbound"), world.stream(), world.stream()]
        world.poll()
        assert len(world.links) == 2
        assert [stream.slot for stream in streams] == [0, 0, 1, 1]

    def test_the_engine_is_named_first_and_speech_waits_until_it_is_loaded(self) -> None:
        world = World()
        stream = world.stream()
        world.speak(stream, 0)
        world.poll()
        [link] = world.links
        assert link.orders == [Setup("fake", {})]
        world.ready(link)
        world.poll()
        assert [order.item for order in link.given()] == [1]

    def test_all_can_be_started_beforehand(self) -> None:
        world = World()
        world.pool.warm()
        world.poll()
        assert len(world.links) == 2
        world.links[0].ended = "ended with 1"
        world.poll()
        world.poll(60)
        assert len(world.links) == 2, "what fails without a call is tried again with one"


class TestBacklog:
    def test_a_worker_has_a_second_ahead_and_streams_take_turns(self) -> None:
        world, stream, link = one_stream()
        call = stream.call
        other = world.stream(call, "outbound")
        world.speak(stream, 0, 20)
        world.speak(other, 0, 20)
        world.poll()
        given = link.given()
        assert len(given) == 10
        assert [order.stream for order in given[:4]] == [stream.number, other.number] * 2
        world.answer(link, count=4)
        world.poll()
        assert len(link.given()) == 14
        snapshot = world.pool.snapshot(world.clock.now_ns())
        assert snapshot["backlog_seconds"] == pytest.approx(2.6)

    def test_its_age_is_that_of_the_oldest_without_an_answer(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 5)
        world.poll(1.5)
        assert world.pool.snapshot(world.clock.now_ns())["backlog_age_seconds"] == 1.5
        world.answer(link)
        world.poll(1)
        assert world.pool.snapshot(world.clock.now_ns())["backlog_age_seconds"] == 0

    def test_what_is_too_old_is_dropped_and_told_as_one(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 10)
        world.poll()
        assert world.speak(stream, 8000, 37) == []
        assert stream.waiting_samples == 3 * 8000
        world.answer(link)
        assert world.poll() == [Missing(stream, 8000, 8000 + 7 * PIECE, "the engine is too slow")]
        assert world.pool.counters.missing_seconds == pytest.approx(0.7)
        first = link.given()[10]
        assert isinstance(first, Give)
        world.answer(link, count=1)
        world.poll()
        assert stream.places is not None
        assert stream.places.begin_of(2 * 8000) == 8000 + 7 * PIECE

    def test_what_a_worker_had_is_not_dropped_for_the_next(self) -> None:
        world, bad, link = one_stream()
        good = world.stream(bad.call, "outbound")
        world.speak(bad, 0, 1)
        world.speak(good, 0, 9)
        world.poll()
        link.ended = "ended with 1"
        world.poll()
        assert world.speak(good, 9 * PIECE, 30) == []
        assert good.waiting_samples == 39 * PIECE
        world.speak(good, 39 * PIECE, 2)
        assert good.waiting_samples == 39 * PIECE
        world.ready(world.links[1])
        world.poll(1)
        world.answer(world.links[1])
        world.poll()
        world.answer(world.links[1])
        world.poll()
        world.speak(good, 41 * PIECE, 30)
        assert good.waiting_samples == 30 * PIECE, "the allowance is used up"

    def test_a_pause_is_not_dropped(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 40, pause=True)
        for _ in range(9):
            world.poll()
            world.answer(link)
        assert isinstance(link.given()[-1], Finish)


class TestResults:
    def test_words_lie_where_they_were_spoken(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 4000, 2, pause=True)
        world.poll()
        world.answer(link, say=lambda _: [result("a b", (0, 1600), (1600, 3200))])
        [first] = world.poll()
        assert isinstance(first, Transcribed)
        assert (first.start_samples, first.end_samples, first.text, first.is_final) == (4000, 5600, "a b", True)
        world.speak(stream, 20_000, 2, pause=True)
        world.poll()
        world.answer(link, say=lambda _: [result("c", (3300, 6400))])
        [second] = world.poll()
        assert isinstance(second, Transcribed)
        [word] = second.words
        assert (word.start_samples, word.end_samples) == (20_050, 21_600)

    def test_without_words_it_is_all_that_was_given(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 4000, 2, pause=True)
        world.poll()
        world.answer(link, say=lambda _: [Result("something", True)])
        [said] = world.poll()
        assert isinstance(said, Transcribed)
        assert (said.start_samples, said.end_samples, said.words) == (4000, 5600, ())

    def test_partial_results_are_told_once_and_where_they_are_wanted(self) -> None:
        for wanted in (True, False):
            world, _, link = one_stream()
            stream = world.stream(wants_partials=wanted)
            world.poll()
            link = world.links[-1]
            world.ready(link)
            world.poll()
            world.speak(stream, 0, 3)
            world.poll()
            for order in link.given():
                link.says.append(Done(order.item, order.stream, [Result("so", False)]))
            assert [said.text for said in world.poll() if isinstance(said, Transcribed)] == ["so"] * wanted

    def test_a_stream_that_is_pending_says_from_where(self) -> None:
        world, stream, link = one_stream()

        def open_from() -> int | None:
            return stream.first_open_samples

        assert open_from() is None
        world.speak(stream, 4000, 2, pause=True)
        assert open_from() == 4000
        world.poll()
        assert open_from() == 4000
        world.answer(link)
        world.poll()
        assert open_from() is None

    def test_what_comes_by_itself(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 2, pause=True)
        world.poll()
        for order in link.given():
            link.says.append(Done(order.item, order.stream, [], settled=False))
        world.pool.close(stream, world.clock.now_ns())
        assert world.poll(1) == []
        link.says.append(Said(stream.number, [Result("late", True)], settled=True))
        said, end = world.poll(1)
        assert isinstance(said, Transcribed)
        assert end == Ended(stream)
        link.says.append(Said(stream.number, [Result("too late", True)]))
        assert world.poll() == []

    def test_what_is_said_later_settles_what_was_before_the_pause_and_no_more(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 2, pause=True)
        world.speak(stream, 8000, 2)
        world.poll()
        link.says += [Done(order.item, order.stream, [], settled=False) for order in link.given()]
        world.poll()
        assert stream.first_open_samples == 0
        link.says.append(Said(stream.number, [Result("one", True)], settled=True))
        world.poll()
        assert stream.first_open_samples == 8000
        link.ended = "ended with 1"
        world.speak(stream, 8000 + 2 * PIECE, 1, pause=True)
        world.poll()
        world.ready(world.links[1])
        world.poll()
        assert [type(order) for order in world.links[1].given()] == [Give, Give, Give, Finish]

    def test_a_pause_that_is_answered_late_keeps_nothing_behind_it_from_being_settled(self) -> None:
        world, stream, link = one_stream()
        for position in (0, 8000):
            world.speak(stream, position, 2, pause=True)
        world.poll()
        link.says += [Done(order.item, order.stream, [], settled=False) for order in link.given()]
        link.says.append(Said(stream.number, [result("one", (0, 4 * PIECE))], settled=False))
        world.poll()
        assert stream.first_open_samples == 8000
        link.says.append(Said(stream.number, [result("two", (4 * PIECE, 7 * PIECE))], settled=False))
        world.poll()
        assert stream.first_open_samples == 8000 + 3 * PIECE // 2
        link.says.append(Said(stream.number, [result("three", (7 * PIECE, 8 * PIECE))], settled=False))
        world.poll()
        assert stream.first_open_samples is None


class TestEnd:
    def test_the_last_result_is_waited_for(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 2, pause=True)
        world.poll()
        world.pool.close(stream, world.clock.now_ns())
        assert world.poll(3.9) == []
        world.answer(link, say=lambda _: [Result("bye", True)])
        said, end = world.poll()
        assert isinstance(said, Transcribed)
        assert end == Ended(stream)
        assert link.orders[-1] == Close(stream.number)
        assert world.pool.put(stream, 9000, np.zeros(5, np.int16), 0) == []

    def test_but_not_for_ever(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 12, pause=True)
        world.poll()
        world.pool.close(stream, world.clock.now_ns())
        assert world.pool.deadline() == world.clock.now_ns() + 4 * NS_PER_SECOND
        told = world.poll(4)
        assert told == [Missing(stream, 0, 12 * PIECE, "the engine did not finish in time"), Ended(stream)]
        world.answer(link, say=lambda _: [Result("bye", True)])
        assert world.poll() == []
        assert not world.pool.is_busy

    def test_nothing_was_said(self) -> None:
        world, stream, _ = one_stream()
        world.pool.close(stream, world.clock.now_ns())
        assert world.poll() == [Ended(stream)]

    def test_stop_lets_workers_go(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 1)
        world.poll()
        assert world.pool.stop() == [Missing(stream, 0, PIECE, "the server ended"), Ended(stream)]
        assert world.pool.dismiss() == [link]
        assert link.is_dismissed
