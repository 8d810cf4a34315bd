"""Workers and recognizers that hang, die, fail, or speak when they are not asked."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from media.transcribing.contract import Result
from media.transcribing.messages import Done, Finish, Give, Order, Polls, Ready, Refused, Setup
from media.transcribing.recognizers import Recognizers
from media.transcribing.streams import Ended, Missing, Transcribed
from strep.clock import NS_PER_MS
from tests.transcribing.pool_world import PIECE, FakeLink, World, one_stream, result
from tests.transcribing.scripted import ScriptedEngine


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
