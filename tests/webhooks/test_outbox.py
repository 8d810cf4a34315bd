from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.webhooks.outbox import Delivery, Outbox, Outcome, RetryPolicy, outcome_of
from strep.clock import NEVER_NS, NS_PER_SECOND
from tests.searching import brief

A, B = "https://a/", "https://b/"
S = NS_PER_SECOND
POLICY = RetryPolicy(first_ns=S, longest_ns=60 * S, max_faults=5, max_age_ns=3600 * S, max_in_flight=4)


def deliveries(count: int, *, url: str = A, call_id: str = "c", first: int = 0, born_ns: int = 0) -> list[Delivery]:
    return [Delivery(url, call_id, first + number, born_ns, 100) for number in range(count)]


def outbox(policy: RetryPolicy = POLICY) -> Outbox:
    return Outbox(policy, Random(1))


def keys(due: list[Delivery]) -> list[int]:
    return [delivery.key for delivery in due]


class TestOrder:
    def test_a_call_has_one_on_its_way(self) -> None:
        box = outbox()
        box.receive(deliveries(3), 0)
        [first] = box.poll(0)
        assert box.poll(0) == []
        assert box.deadline() == NEVER_NS
        assert box.settle(first, Outcome.TAKEN, 1)
        assert keys(box.poll(1)) == [1]

    def test_calls_do_not_wait_for_one_another(self) -> None:
        box = outbox()
        box.receive(deliveries(2, call_id="slow") + deliveries(2, call_id="quick", first=10), 0)
        _slow, quick = box.poll(0)
        box.settle(quick, Outcome.TAKEN, 1)
        assert keys(box.poll(1)) == [11]

    def test_receivers_do_not_wait_for_one_another(self) -> None:
        box = outbox()
        slow = [delivery for n in range(9) for delivery in deliveries(1, call_id=str(n))]
        box.receive(slow, 0)
        assert len(box.poll(0)) == POLICY.max_in_flight
        box.receive(deliveries(1, url=B, first=50), 1)
        assert keys(box.poll(1)) == [50]

    def test_one_that_failed_goes_before_the_next_of_its_call(self) -> None:
        box = outbox()
        box.receive(deliveries(2), 0)
        [first] = box.poll(0)
        assert not box.settle(first, Outcome.FAILED, 0)
        assert box.poll(0) == []
        due_ns = box.deadline()
        assert S // 2 <= due_ns <= S
        assert box.poll(due_ns) == [first]
        assert first.attempt == 2


class TestTryingAgain:
    def test_back_off_doubles_up_to_the_longest_with_half_of_it_random(self) -> None:
        box, now_ns = outbox(RetryPolicy(S, 8 * S, max_faults=9)), 0
        box.receive(deliveries(1), 0)
        for expected_s in (1, 2, 4, 8, 8, 8):
            [delivery] = box.poll(now_ns)
            box.settle(delivery, Outcome.FAILED, now_ns)
            assert expected_s * S / 2 <= box.deadline() - now_ns <= expected_s * S
            now_ns = box.deadline()

    def test_jitter_keeps_calls_that_failed_together_apart(self) -> None:
        box = outbox(RetryPolicy(max_in_flight=50))
        box.receive([delivery for n in range(50) for delivery in deliveries(1, call_id=str(n))], 0)
        for delivery in box.poll(0):
            box.settle(delivery, Outcome.FAILED, 0)
        times = {ns for ns in range(0, 2 * S, S // 100) for _ in box.poll(ns)}
        assert len(times) > 20

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.BUSY])
    def test_wrong_answers_are_counted_and_too_many_end_it(self, outcome: Outcome) -> None:
        box, now_ns, overs = outbox(), 0, []
        box.receive(deliveries(2), 0)
        for _ in range(POLICY.max_faults):
            now_ns = max(box.deadline(), now_ns)
            [delivery] = box.poll(now_ns)
            overs.append(box.settle(delivery, outcome, now_ns))
        assert overs == [False] * 4 + [True]
        assert (box.given_up, len(box)) == (1, 1)
        assert keys(box.poll(max(box.deadline(), now_ns))) == [1]

    def test_what_is_refused_is_over_and_the_next_has_its_turn(self) -> None:
        box = outbox()
        box.receive(deliveries(2), 0)
        [first] = box.poll(0)
        assert box.settle(first, Outcome.REFUSED, 0)
        assert keys(box.poll(0)) == [1]
        assert (box.refused, box.given_up) == (1, 0)


class TestAReceiverThatIsAway:
    def away(self, calls: int = 4) -> Outbox:
        box = outbox()
        box.receive([delivery for n in range(calls) for delivery in deliveries(1, call_id=str(n), first=n)], 0)
        for delivery in box.poll(0):
            box.settle(delivery, Outcome.UNREACHABLE, 0)
        return box

    def test_it_is_held_once_for_all_that_were_on_their_way(self) -> None:
        assert S // 2 <= self.away().deadline() <= S

    def test_one_at_a_time_tries_and_all_go_out_with_the_first_answer(self) -> None:
        box = self.away(9)
        now_ns = box.deadline()
        [probe] = box.poll(now_ns)
        assert box.deadline() == NEVER_NS, "nothing else before it is known how that went"
        box.settle(probe, Outcome.FAILED, now_ns)
        assert len(box.poll(now_ns)) == POLICY.max_in_flight

    def test_it_costs_deliveries_nothing_but_age(self) -> None:
        box, tries = self.away(), 0
        while box.deadline() < 3000 * S:
            now_ns = box.deadline()
            [probe] = box.poll(now_ns)
            assert (probe.attempt, probe.faults) == (1, 0)
            assert not box.settle(probe, Outcome.UNREACHABLE, now_ns)
            tries += 1
        assert tries > 10 * POLICY.max_faults
        assert box.snapshot(3000 * S)["held"] == 1

    def test_another_receiver_is_not_held(self) -> None:
        box = self.away()
        box.receive(deliveries(1, url=B, first=50), 1)
        assert keys(box.poll(1)) == [50]

    def test_one_that_is_busy_is_left_alone_as_long_as_it_says(self) -> None:
        box = outbox()
        box.receive(deliveries(1), 0)
        [delivery] = box.poll(0)
        box.settle(delivery, Outcome.BUSY, 0, retry_after_ns=30 * S)
        assert box.deadline() == 30 * S

    @pytest.mark.parametrize("outcome", [Outcome.TAKEN, Outcome.REFUSED, Outcome.FAILED])
    def test_also_when_what_was_on_its_way_before_is_answered_then(self, outcome: Outcome) -> None:
        box = outbox()
        box.receive(deliveries(1) + deliveries(3, call_id="other", first=10), 0)
        refused, earlier = box.poll(0)
        box.settle(refused, Outcome.BUSY, S, retry_after_ns=30 * S)
        box.settle(earlier, outcome, 2 * S)
        assert box.deadline() == 31 * S
        [probe] = box.poll(31 * S)
        box.settle(probe, outcome, 32 * S)
        assert len(box.poll(32 * S)) == 1, "it has answered since"

    def test_but_no_longer_than_the_longest_back_off(self) -> None:
        box = outbox()
        box.receive(deliveries(1), 0)
        [delivery] = box.poll(0)
        box.settle(delivery, Outcome.BUSY, 0, retry_after_ns=10**6 * S)
        assert box.deadline() == POLICY.longest_ns

    def test_an_event_that_always_makes_it_busy_does_not_keep_the_others_from_it(self) -> None:
        """A proxy answers 503 for a server that died of one event."""
        box, now_ns, taken = outbox(), 0, list[int]()
        box.receive(deliveries(1, call_id="poison") + deliveries(3, call_id="other", first=10), 0)
        while len(taken) < 3:
            now_ns = max(now_ns, box.deadline())
            for delivery in box.poll(now_ns):
                if delivery.call_id == "poison":
                    box.settle(delivery, Outcome.BUSY, now_ns)
                else:
                    box.settle(delivery, Outcome.TAKEN, now_ns)
                    taken.append(delivery.key)
            assert now_ns < 10 * S
        assert taken == [10, 11, 12]


class TestBounds:
    def test_what_is_too_old_is_given_up(self) -> None:
        box = outbox()
        box.receive(deliveries(2) + deliveries(1, call_id="d", first=10, born_ns=S), 0)
        assert box.expire(3600 * S) == []
        assert keys(box.expire(3600 * S + 1)) == [0, 1]
        assert (box.given_up, len(box)) == (2, 1)

    def test_the_oldest_are_dropped_and_not_what_is_on_its_way(self) -> None:
        box = outbox()
        box.receive(deliveries(5), 0)
        [flying] = box.poll(0)
        assert keys(box.drop_oldest(250)) == [1, 2, 3]
        assert (box.dropped, box.waiting_bytes) == (3, 200)
        box.settle(flying, Outcome.TAKEN, 0)
        assert keys(box.poll(0)) == [4]

    def test_a_call_whose_deliveries_are_all_gone_begins_anew(self) -> None:
        box = outbox()
        box.receive(deliveries(2), 0)
        box.drop_oldest(0)
        assert box.poll(0) == []
        box.receive(deliveries(1, first=7), 1)
        assert keys(box.poll(1)) == [7]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.TAKEN),
        (204, Outcome.TAKEN),
        (301, Outcome.FAILED),
        (307, Outcome.FAILED),
        (400, Outcome.REFUSED),
        (401, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (408, Outcome.FAILED),
        (425, Outcome.FAILED),
        (429, Outcome.BUSY),
        (500, Outcome.FAILED),
        (502, Outcome.FAILED),
        (503, Outcome.BUSY),
        (101, Outcome.FAILED),
        (999, Outcome.FAILED),
    ],
)
def test_what_a_status_means(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


@brief(100)
@given(st.data())
def test_everything_ends_in_one_way_and_calls_keep_their_order(data: st.DataObject) -> None:
    """Whatever receivers do: nothing is lost, sent twice at a time, or sent before what its call had earlier."""
    box, now_ns, made, flying = outbox(), 0, 0, list[Delivery]()
    alive: dict[tuple[str, str], list[int]] = defaultdict(list)

    def end(gone: Delivery) -> None:
        alive[gone.url, gone.call_id].remove(gone.key)

    for _ in range(data.draw(st.integers(1, 40))):
        step = data.draw(st.sampled_from(["receive", "poll", "settle", "drop", "expire"]))
        if step == "receive":
            url, call_id = data.draw(st.sampled_from([A, B])), data.draw(st.sampled_from("xyz"))
            count = data.draw(st.integers(1, 3))
            alive[url, call_id] += range(made, made + count)
            box.receive(deliveries(count, url=url, call_id=call_id, first=made, born_ns=now_ns), now_ns)
            made += count
        elif step == "poll":
            now_ns = max(now_ns, min(box.deadline(), now_ns + 3600 * S))
            for delivery in box.poll(now_ns):
                assert delivery.key == alive[delivery.url, delivery.call_id][0]
                assert delivery not in flying
                flying.append(delivery)
        elif step == "settle" and flying:
            delivery = flying.pop(data.draw(st.integers(0, len(flying) - 1)))
            if box.settle(delivery, data.draw(st.sampled_from(Outcome)), now_ns, data.draw(st.integers(0, 9 * S))):
                end(delivery)
        else:
            most = data.draw(st.integers(0, 500))
            for delivery in box.drop_oldest(most) if step == "drop" else box.expire(now_ns):
                assert delivery not in flying
                end(delivery)
    waiting = sum(map(len, alive.values()))
    assert len(box) == waiting
    assert box.waiting_bytes == 100 * waiting
    assert made == box.delivered + box.refused + box.given_up + box.dropped + waiting
    assert box.in_flight == len(flying)
    assert flying or not waiting or box.deadline() < NEVER_NS, "what waits has its turn"
