"""A reader's queue: what is put in comes out, in order, or is counted; and it is never longer than it may be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.feed.selection import Selection
from media.feed.subscription import NOTICE_BYTES, OVERHEAD_BYTES, CallBegan, Limits, Subscription, WhenSlow
from strep.clock import NS_PER_SECOND
from tests.sinks.rows import call_info

DROP = Limits(10_000, 5.0, WhenSlow.DROP_OLDEST)
CUT_OFF = Limits(10_000, 5.0, WhenSlow.DISCONNECT)
SIZE = 1000 - OVERHEAD_BYTES


def message(number: int, size: int = SIZE) -> bytes:
    return number.to_bytes(4, "big") + bytes(size - 4)


def numbers(items: Sequence[object]) -> list[int]:
    return [int.from_bytes(item[:4], "big") for item in items if isinstance(item, bytes)]


class Bell:
    """Counts how often it is rung."""

    def __init__(self) -> None:
        self.rings = 0

    def __call__(self) -> None:
        self.rings += 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.integers(4, 3000), max_size=5)),
        st.tuples(st.just("wait"), st.integers(0, 3 * NS_PER_SECOND)),
        st.tuples(st.just("take"), st.integers(1, 8000)),
    ),
    max_size=40,
)


@given(steps)
def test_whoever_drops_gets_the_rest_in_order_within_bounds(walk: list[tuple[str, object]]) -> None:
    subscription, taken = Subscription(Selection(), DROP), list[int]()
    now_ns = number = dropped = 0
    for what, how in walk:
        if what == "put":
            assert isinstance(how, list)
            items = [message(number + i, size) for i, size in enumerate(how)]
            number += len(items)
            subscription.put(items, now_ns)
            assert subscription.waiting_bytes <= DROP.queue_bytes
        elif what == "wait":
            assert isinstance(how, int)
            now_ns += how
        else:
            assert isinstance(how, int)
            found = subscription.take(how)
            assert not found.is_over
            dropped += found.dropped_messages
            taken += numbers(found.items)
    rest = subscription.take(1 << 30)
    taken, dropped = taken + numbers(rest.items), dropped + rest.dropped_messages
    assert taken == sorted(taken)
    assert len(set(taken)) == len(taken)
    assert len(taken) + dropped == number
    assert (subscription.sent_messages, subscription.dropped_messages) == (len(taken), dropped)
    assert subscription.waiting_bytes == 0


class TestTooMuch:
    """In bytes."""

    def test_the_oldest_go(self) -> None:
        subscription = Subscription(Selection(), DROP)
        subscription.put([message(number) for number in range(12)], 0)
        found = subscription.take(1 << 20)
        assert numbers(found.items) == list(range(2, 12))
        assert found.dropped_messages == 2
        subscription.put([message(12)], 0)
        assert subscription.take().dropped_messages == 0, "told once"

    def test_or_the_subscription_does(self) -> None:
        subscription = Subscription(Selection(), CUT_OFF)
        subscription.put([message(number) for number in range(10)], 0)
        assert subscription.waiting_bytes == CUT_OFF.queue_bytes
        subscription.put([message(10)], 0)
        assert subscription.why_over == "slow"
        assert subscription.waiting_bytes == 0
        found = subscription.take()
        assert (found.items, found.dropped_messages, found.is_over) == ([], 11, True)
        subscription.put([message(11)], 0)
        assert subscription.take().items == []

    def test_news_of_calls_outlive_their_audio(self) -> None:
        subscription, began = Subscription(Selection(), DROP), CallBegan(call_info())
        subscription.put([message(0), began, *(message(number) for number in range(1, 10))], 0)
        found = subscription.take(1 << 20)
        assert found.items[0] is began
        assert numbers(found.items) == list(range(2, 10))

    def test_who_does_not_even_take_news_is_cut_off(self) -> None:
        subscription = Subscription(Selection(), DROP)
        for number in range(DROP.queue_bytes // NOTICE_BYTES + 2):
            subscription.put([CallBegan(call_info(number))], 0)
        assert subscription.why_over == "slow"


class TestTooOld:
    """In seconds; nothing need come for that."""

    @pytest.mark.parametrize(("limits", "why"), [(DROP, ""), (CUT_OFF, "slow")])
    def test_what_waits_too_long(self, limits: Limits, why: str) -> None:
        subscription = Subscription(Selection(), limits)
        subscription.put([message(0)], 0)
        subscription.put([message(1)], NS_PER_SECOND)
        subscription.put([], 5 * NS_PER_SECOND)
        assert not subscription.dropped_messages
        subscription.put([], 5 * NS_PER_SECOND + 1)
        assert subscription.why_over == why
        assert numbers(subscription.take().items) == ([] if why else [1])


class TestWaking:
    """Once, when there is something where there was nothing."""

    def test_by_the_first_item(self) -> None:
        bell = Bell()
        subscription = Subscription(Selection(), CUT_OFF, wake=bell)
        subscription.put([], 0)
        assert bell.rings == 0
        subscription.put([message(0)], 0)
        subscription.put([message(1)], 0)
        assert bell.rings == 1
        subscription.take()
        subscription.put([message(2)], 0)
        assert bell.rings == 2

    def test_by_the_end(self) -> None:
        bell = Bell()
        subscription = Subscription(Selection(), CUT_OFF, wake=bell)
        subscription.put([message(0)], 0)
        subscription.end("closed")
        subscription.end("unsubscribed")
        assert (bell.rings, subscription.why_over) == (2, "closed")
        found = subscription.take(1)
        assert (numbers(found.items), found.is_over) == ([0], True)

    def test_by_being_cut_off(self) -> None:
        bell = Bell()
        subscription = Subscription(Selection(), CUT_OFF, wake=bell)
        subscription.put([message(0)], 0)
        subscription.put([], 6 * NS_PER_SECOND)
        assert (bell.rings, subscription.why_over) == (2, "slow")


def test_what_is_taken_at_a_time_is_bounded() -> None:
    subscription = Subscription(Selection(), CUT_OFF)
    subscription.put([message(number) for number in range(8)], 0)
    assert numbers(subscription.take(2500).items) == [0, 1, 2]
    assert numbers(subscription.take(1).items) == [3], "at least one"
