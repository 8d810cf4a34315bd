"""The pool's rules, with workers that are lists and a clock that the test moves."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from media.sinks.contract import CallInfo
from media.transcribing.contract import Result, Word
from media.transcribing.limits import Limits
from media.transcribing.messages import Close, Done, Finish, Give, Order, Polls, Ready, Refused, Reply, Said, Setup
from media.transcribing.plugins import EngineChoice
from media.transcribing.pool import Pool
from media.transcribing.recognizers import Recognizers
from media.transcribing.streams import Ended, Missing, Outcome, Stream, Transcribed
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from tests.sinks.rows import call_info
from tests.transcribing.scripted import ScriptedEngine

LIMITS = Limits(workers=2, backlog_s=3, ahead_s=1, load_s=60, hang_s=5, close_s=4, strikes=2, backoff_s=0.5)
PIECE = 800


class FakeLink:
    """A worker: what it was told, and what it is to say."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.says: list[Reply] = []
        self.ended: str | None = None
        self.is_killed = self.is_dismissed = False
        self.buried_s: float | None = None

    def send(self, order: Order) -> None:
        assert not self.is_killed
        self.orders.append(order)

    def receive(self) -> list[Reply]:
        said, self.says = self.says, []
        return said

    def end(self) -> str | None:
        return self.ended

    def dismiss(self) -> None:
        self.is_dismissed = True

    def bury(self, timeout_s: float) -> None:
        assert self.is_dismissed
        self.buried_s = timeout_s

    def kill(self) -> None:
        self.is_killed = True

    def given(self) -> list[Give | Finish]:
        return [order for order in self.orders if isinstance(order, Give | Finish)]


class World:
    def __init__(self, limits: Limits = LIMITS) -> None:
        self.clock = ManualClock(1000 * NS_PER_SECOND)
        self.links: list[FakeLink] = []
        self.pool = Pool(EngineChoice("fake"), self.start, limits, self.clock)
        self.numbers = itertools.count(1)
        self.told: list[Outcome] = []
        self.no_process = False
        self.make_link = FakeLink

    def start(self) -> FakeLink:
        if self.no_process:
            raise OSError(12, "Cannot allocate memory")
        self.links.append(self.make_link())
        return self.links[-1]

    def stream(self, call: CallInfo | None = None, track: str = "inbound", wants_partials: bool = True) -> Stream:
        number = next(self.numbers)
        stream = Stream(number, call or call_info(number), track, "fake", wants_partials)
        self.pool.add(stream)
        return stream

    def speak(self, stream: Stream, position: int, pieces: int = 1, pause: bool = False) -> list[Outcome]:
        told: list[Outcome] = []
        for piece in range(pieces):
            told += self.pool.put(stream, position + piece * PIECE, np.zeros(PIECE, np.int16), self.clock.now_ns())
        if pause:
            told += self.pool.put(stream, position + pieces * PIECE, None, self.clock.now_ns())
        return told

    def poll(self, seconds: float = 0.0) -> list[Outcome]:
        self.clock.advance(round(seconds * NS_PER_SECOND))
        told = self.pool.poll(self.clock.now_ns())
        self.told += told
        return told

    def ready(self, link: FakeLink, rate_hz: int = 16_000) -> None:
        link.says.append(Ready(rate_hz))

    def answer(
        self, link: FakeLink, *, count: int | None = None, say: Callable[[Finish], list[Result]] = lambda _: []
    ) -> None:
        """Let a worker do what it was told last and has not done."""
        done = getattr(link, "done", 0)
        orders = link.given()[done:][:count]
        link.done = done + len(orders)  # type: ignore[attr-defined]
        for order in orders:
            results = say(order) if isinstance(order, Finish) else []
            link.says.append(Done(order.item, order.stream, results))


def result(text: str, *spans: tuple[int, int], is_final: bool = True) -> Result:
    return Result(text, is_final, [Word(word, *span) for word, span in zip(text.split(), spans, strict=True)])


def one_stream() -> tuple[World, Stream, FakeLink]:
    """Return a stream whose worker is ready."""
    world = World()
    stream = world.stream()
    world.poll()
    [link] = world.links
    world.ready(link)
    world.poll()
    return world, stream, link


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


class TestTrouble:
    @pytest.mark.parametrize("how", ["hung", "was killed by signal 11"])
    def test_a_worker_is_replaced_and_its_streams_go_on(self, how: str) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 4)
        world.poll()
        world.answer(link, count=2)
        world.poll()
        if how == "hung":
            assert world.poll(4.9) == []
            told = world.poll(0.1)
        else:
            link.ended = how
            told = world.poll()
        assert told == [Missing(stream, 0, 4 * PIECE, f"the engine {how}")]
        assert link.is_killed
        again = world.links[1]
        world.ready(again)
        world.speak(stream, 4 * PIECE, 1, pause=True)
        world.poll()
        world.answer(again, say=lambda _: [result("on", (0, 1600))])
        [said] = world.poll()
        assert isinstance(said, Transcribed)
        assert said.start_samples == 4 * PIECE

    @pytest.mark.parametrize("how", ["hung", "died"])
    def test_another_stream_loses_nothing(self, how: str) -> None:
        world, bad, link = one_stream()
        good = world.stream(bad.call, "outbound")
        world.speak(good, 0, 4, pause=True)
        world.poll()
        world.answer(link, say=lambda _: [result("one two", (0, 3200), (3200, 5600))])
        world.poll()
        world.speak(good, 20_000, 2)
        world.poll()
        world.answer(link)
        world.poll()
        world.speak(bad, 20_000, 1)
        world.speak(good, 20_000 + 2 * PIECE, 1, pause=True)
        world.poll()
        if how == "died":
            link.ended = "ended with 1"
        told = world.poll(5)
        assert {outcome.stream.track for outcome in told} == {"inbound"}
        again = world.links[1]
        assert world.pool.deadline() > world.clock.now_ns()
        world.ready(again)
        world.poll()
        mine = [order for order in again.given() if order.stream == good.number]
        assert [type(order) for order in mine] == [Give, Give, Give, Finish]
        world.answer(again, say=lambda _: [result("three", (800, 4800))])
        [said] = [outcome for outcome in world.poll() if isinstance(outcome, Transcribed)]
        assert (said.stream, said.start_samples, said.end_samples) == (good, 20_400, 20_000 + 3 * PIECE)

    @pytest.mark.parametrize("is_over", [False, True])
    def test_who_is_asked_when_a_worker_dies_is_to_blame(self, is_over: bool) -> None:
        world, good, link = one_stream()
        bad = world.stream(good.call, "outbound")
        world.speak(bad, 0, 1, pause=True)
        world.poll()
        link.says += [Done(order.item, order.stream, [], settled=False) for order in link.given()]
        world.poll()
        world.speak(good, 0, 1)
        world.poll()
        link.says += [Polls(bad.recognizer), *[Polls(0)] * is_over]
        link.ended = "was killed by signal 11"
        [missing] = world.poll()
        assert missing.stream is (good if is_over else bad)
        assert (good.strikes, bad.strikes) == ((1, 0) if is_over else (0, 1))
        assert good.waiting_samples == (0 if is_over else PIECE)

    def test_one_that_hangs_when_it_is_asked_is_replaced(self) -> None:
        world, stream, link = one_stream()
        link.says.append(Polls(stream.recognizer))
        world.poll()
        for seconds, strikes in ((4.9, 0), (0.1, 1)):
            world.poll(seconds)
            assert (link.is_killed, stream.strikes) == (strikes == 1, strikes)

    def test_what_was_final_is_not_said_again(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 6)
        world.poll()
        for order in link.given()[:5]:
            link.says.append(Done(order.item, order.stream, []))
        last = link.given()[5]
        link.says.append(Done(last.item, last.stream, [result("done", (0, 2 * 2 * PIECE + 800))]))
        world.poll()
        link.ended = "ended with 1"
        world.poll()
        world.ready(world.links[1])
        world.poll()
        assert [len(order.pcm) // 2 for order in world.links[1].given() if isinstance(order, Give)] == [
            PIECE - 400,
            *[PIECE] * 3,
        ]
        assert stream.places is not None
        assert stream.places.begin_of(0) == 2 * PIECE + 400

    def test_a_worker_that_answers_slowly_is_not_hung(self) -> None:
        world, stream, link = one_stream()
        world.speak(stream, 0, 10)
        for _ in range(10):
            world.poll(4.9)
            world.answer(link, count=1)
        assert not link.is_killed

    def test_one_that_has_nothing_to_do_is_not_hung(self) -> None:
        world, _, link = one_stream()
        world.poll(1000)
        assert not link.is_killed

    def test_one_that_does_not_load_is(self) -> None:
        world = World()
        world.stream()
        world.poll()
        world.poll(60)
        assert world.links[0].is_killed
        assert world.pool.counters.hung == 1

    def test_replaced_later_and_later(self) -> None:
        world = World()
        world.stream()
        began = []
        for _ in range(200):
            before = len(world.links)
            world.poll(0.1)
            if len(world.links) > before:
                began.append(world.clock.now_ns() // (100 * NS_PER_MS))
                world.links[-1].says.append(Refused("no model"))
        gaps = [b - a for a, b in itertools.pairwise(began)]
        assert gaps[0] <= 1
        assert gaps[1:4] == pytest.approx([5, 15, 35], abs=2)
        assert world.pool.counters.refused == len(began)

    def test_no_process_is_to_be_had(self) -> None:
        world = World()
        world.no_process = True
        stream = world.stream()
        world.speak(stream, 0)
        world.poll()
        world.poll(0.1)
        world.no_process = False
        world.poll(30)
        assert len(world.links) == 1

    def test_a_stream_that_kills_workers_is_given_up_and_the_other_goes_on(self) -> None:
        world, bad, _ = one_stream()
        good = world.stream(bad.call, "outbound")
        for _ in range(2):
            link = world.links[-1]
            world.ready(link)
            world.speak(bad, 0, 1)
            world.poll(60)
            link.ended = "was killed by signal 11"
            world.poll(60)
        assert bad.is_given_up
        reasons = [outcome.reason for outcome in world.told if isinstance(outcome, Missing)]
        assert any(reason.startswith("given up, for with this 2 workers in a row failed") for reason in reasons)
        link = world.links[-1]
        world.ready(link)
        world.speak(bad, 80_000, 5, pause=True)
        world.speak(good, 80_000, 2, pause=True)
        world.poll()
        assert {order.stream for order in link.given()} == {good.number}
        world.answer(link, say=lambda _: [Result("still here", True)])
        assert [said.text for said in world.poll() if isinstance(said, Transcribed)] == ["still here"]

    def test_a_recognizer_that_fails_is_replaced_later_and_later_in_the_same_worker(self) -> None:
        world, stream, link = one_stream()
        for round_ in range(3):
            world.speak(stream, round_ * 8000, 1)
            world.poll(3)
            order = link.given()[-1]
            link.says.append(Done(order.item, order.stream, [], error="oh"))
            assert world.poll() == [Missing(stream, round_ * 8000, round_ * 8000 + PIECE, "the engine failed: oh")]
        count = len(link.given())
        world.speak(stream, 80_000, 1)
        world.poll(1.4)
        assert len(link.given()) == count
        world.poll(0.2)
        assert len(link.given()) == count + 1
        assert not link.is_killed

    def test_what_was_in_flight_when_a_recognizer_failed_shifts_no_word(self) -> None:
        world = World()
        recognizers = Recognizers(ScriptedEngine(fail="1000"))

        class Obedient(FakeLink):
            def send(self, order: Order) -> None:
                super().send(order)
                done = Ready(0) if isinstance(order, Setup) else recognizers.obey(order)
                self.says += [done] if done is not None else []

        world.make_link = Obedient
        stream = world.stream()
        world.poll()
        world.poll()
        for position, loud in ((0, 2000), (PIECE, 0), (2 * PIECE, 0)):
            world.pool.put(stream, position, np.full(PIECE, loud, np.int16), world.clock.now_ns())
        world.poll()
        assert stream.unanswered == 3
        assert world.poll() == [Missing(stream, 0, 3 * PIECE, "the engine failed: it is too loud")]
        assert stream.unanswered == 0
        world.speak(stream, 80_000, 2, pause=True)
        world.poll(5)
        [final] = [said for said in world.poll() if isinstance(said, Transcribed) and said.is_final]
        assert (final.text, final.start_samples, final.end_samples) == ("1600 samples", 80_000, 80_000 + 2 * PIECE)
        world.pool.close(stream, world.clock.now_ns())
        assert world.poll() == [Ended(stream)]
        assert recognizers._listeners == {}

    def test_a_worker_that_speaks_of_what_it_was_not_asked(self) -> None:
        world, _, link = one_stream()
        link.says.append(Done(77, 1, []))
        world.poll()
        assert link.is_killed


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
