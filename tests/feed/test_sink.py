"""`FeedSink` from blocks to messages: what a reader gets is what it asked for, and that once, whoever else asks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from media.feed.subscription import CallBegan, CallOver, Calls, Limits, Subscription, WhenSlow
from media.feed.wire import Flag, PcmMessage, SampleFormat, parse
from strep.clock import NS_PER_SECOND
from strep.g711 import Codec, decode
from strep.header import Direction
from tests.feed.room import Room
from tests.sinks.rows import WALL_NS, Row, batch_of, spoken


def messages(subscription: Subscription) -> list[PcmMessage]:
    return [parse(item) for item in subscription.take(1 << 30).items if isinstance(item, bytes)]


def audio(found: list[PcmMessage], call_id: str, track: Direction) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Return the audio of one track; its messages follow one another in position and number."""
    mine = [message for message in found if (message.call_id, message.track) == (call_id, track)]
    assert [message.sequence_number for message in mine] == list(range(len(mine)))
    for before, message in itertools.pairwise(mine):
        assert message.position_samples == before.end_samples
    return np.concatenate([message.pcm() for message in mine])


class TestWhatIsAsked:
    """And nothing else."""

    def test_all_calls_both_tracks(self) -> None:
        room = Room()
        reader = room.subscribe()
        room.start(0, 1)
        room.talk(0, 1, blocks=5)
        found = messages(reader)
        assert {message.call_id for message in found} == {"call-0", "call-1"}
        assert {message.origin_wall_ns for message in found} == {WALL_NS}
        for channel in Direction:
            assert np.array_equal(audio(found, "call-0", channel), spoken(channel, 5))

    def test_one_track_of_calls_by_pattern(self) -> None:
        room = Room()
        room.start(0, 1, 2)
        reader = room.subscribe("calls=call-[12]&track=outbound")
        room.talk(0, 1, 2)
        found = {(message.call_id, message.track) for message in messages(reader)}
        assert found == {("call-1", Direction.OUTBOUND), ("call-2", Direction.OUTBOUND)}

    @pytest.mark.parametrize("form", ["int16", "float32", "mulaw"])
    def test_formats_say_the_same(self, form: str) -> None:
        room = Room()
        reader = room.subscribe(f"format={form}")
        room.start(0)
        room.talk(0, blocks=3)
        assert np.array_equal(audio(messages(reader), "call-0", Direction.INBOUND), spoken(0, 3))

    def test_rates_by_position(self) -> None:
        room = Room()
        native, wide = room.subscribe(), room.subscribe("rate=16000")
        room.start(0)
        room.talk(0, blocks=4)
        room.end(0)
        one, other = messages(native), messages(wide)
        assert len(audio(other, "call-0", Direction.INBOUND)) == 2 * len(audio(one, "call-0", Direction.INBOUND))
        assert {message.sample_rate_hz for message in other} == {16_000}
        assert [m.position_samples for m in one if Flag.END in m.flags] == [3200, 3200]
        assert [m.position_samples for m in other if Flag.END in m.flags] == [6400, 6400]

    def test_a_law_becomes_mu_law(self) -> None:
        room = Room()
        reader = room.subscribe("format=mulaw")
        room.start(0)
        row = Row(0, 0, 0, codec=Codec.PCMA)
        room.feed.receive(batch_of(row))
        [message] = messages(reader)
        difference = message.pcm().astype(int) - decode(row.encoded, Codec.PCMA)
        assert np.abs(difference).max() <= 512, "half a step of mu-law at most"

    def test_what_is_lost_is_told(self) -> None:
        room = Room()
        reader = room.subscribe()
        room.start(0)
        batch = batch_of(Row(0, 0, 0), Row(0, 1, 0))
        batch.lost = np.array([[1, 160, 320]])
        room.feed.receive(batch)
        assert [(m.lost_samples, Flag.LOST in m.flags) for m in messages(reader)] == [(0, False), (160, True)]

    def test_a_patch_has_its_place_and_a_number(self) -> None:
        room = Room()
        reader = room.subscribe("track=inbound")
        room.start(0)
        room.talk(0)
        room.feed.receive(batch_of(Row(0, 0, 0, first=160, last=320, seed=9), late=True))
        room.talk(0)
        found = [(m.sequence_number, m.position_samples, m.samples, m.flags) for m in messages(reader)]
        assert found == [(0, 0, 800, Flag.GAP), (1, 160, 160, Flag.LATE), (2, 800, 800, Flag.NONE)]


class TestComingAndGoing:
    """Readers and calls."""

    def test_in_the_middle_of_a_call(self) -> None:
        room = Room()
        room.start(0)
        room.talk(0, blocks=3)
        reader = room.subscribe("rate=24000&track=inbound")
        room.talk(0, blocks=2)
        first = messages(reader)[0]
        assert (first.sequence_number, first.position_samples, first.flags) == (0, 7200, Flag.GAP)

    def test_a_call_is_announced_before_it_is_heard_and_seen_off_behind(self) -> None:
        room = Room()
        reader = room.subscribe()
        room.start(0)
        room.talk(0)
        room.end(0)
        began, *between, over = reader.take(1 << 30).items
        assert isinstance(began, CallBegan)
        assert isinstance(over, CallOver)
        assert over.report.length_samples == 800
        assert all(isinstance(item, bytes) for item in between)
        assert not reader.why_over

    def test_one_call_ends_its_subscription(self) -> None:
        room = Room()
        room.start(0, 1)
        reader = room.subscribe("calls=call-0", Calls.ONE)
        room.talk(0, 1)
        room.end(0)
        room.start(0)
        room.talk(0, 1)
        assert reader.why_over == "ended"
        assert {message.position_samples for message in messages(reader)} == {0, 800}
        assert room.feed.snapshot()["subscriptions"] == 0

    def test_a_call_that_is_not_there(self) -> None:
        room = Room()
        reader = room.subscribe("calls=call-7", Calls.ONE)
        room.talk()
        assert reader.why_over == "no_call"

    def test_the_next_call(self) -> None:
        room = Room()
        room.start(0)
        reader = room.subscribe("track=inbound", Calls.NEXT)
        room.talk(0)
        room.start(1, 2)
        room.talk(0, 1, 2)
        assert {message.call_id for message in messages(reader)} == {"call-1"}
        room.end(2)
        room.talk(1)
        assert len(messages(reader)) == 1
        room.end(1)
        assert reader.why_over == "ended"

    def test_whoever_leaves_gets_nothing_more_and_costs_nothing(self) -> None:
        room = Room()
        reader, other = room.subscribe(), room.subscribe("rate=16000&calls=call-1")
        room.start(0, 1)
        room.talk(0, 1)
        room.feed.unsubscribe(reader)
        written = room.feed.messages
        room.talk(0, 1)
        assert room.feed.messages == written + 2
        room.feed.unsubscribe(other)
        room.talk(0, 1)
        assert room.feed.messages == written + 2
        assert (reader.why_over, room.feed.snapshot()["subscriptions"]) == ("unsubscribed", 0)

    def test_the_server_stops(self) -> None:
        room = Room()
        reader = room.subscribe()
        room.feed.close()
        assert reader.why_over == "closed"


class TestSharing:
    """What is wanted alike is made once."""

    def test_two_readers_get_the_same_objects(self) -> None:
        room = Room()
        one, other = room.subscribe("rate=16000"), room.subscribe("rate=16000&calls=call-0")
        room.start(0)
        room.talk(0, blocks=3)
        assert room.feed.messages == 6
        pairs = zip(one.take(1 << 30).items, other.take(1 << 30).items, strict=True)
        assert all(mine is yours for mine, yours in pairs if isinstance(mine, bytes))

    def test_a_rate_is_resampled_once_for_all_formats(self) -> None:
        room = Room()
        readers = [
            room.subscribe(f"rate=16000&track=inbound&format={form}") for form in ("int16", "float32", "mulaw")
        ]
        room.start(0)
        room.talk(0, blocks=2)
        fed = room.feed._calls[0]
        assert len(fed.reels) == 1
        found = [messages(reader) for reader in readers]
        assert [m.format for [m, *_] in found] == list(SampleFormat)
        assert np.array_equal(found[0][1].pcm(), found[1][1].pcm())

    def test_a_newcomer_joins_in(self) -> None:
        """Numbers go on: they are of the track, not of the reader."""
        room = Room()
        room.subscribe("track=inbound")
        room.start(0)
        room.talk(0, blocks=3)
        newcomer = room.subscribe("track=inbound")
        room.talk(0)
        assert [message.sequence_number for message in messages(newcomer)] == [3]


class TestTheSlow:
    """They lose by rule, and nobody else notices."""

    def test_cut_off(self) -> None:
        room = Room()
        slow = room.subscribe(limits=Limits(queue_bytes=10_000))
        quick = room.subscribe()
        room.start(0)
        room.talk(0, blocks=50)
        assert slow.why_over == "slow"
        assert np.array_equal(audio(messages(quick), "call-0", Direction.INBOUND), spoken(0, 50))
        assert room.feed.snapshot() == {
            "subscriptions": 1, "waiting_bytes": 0, "messages": 100, "cut_off": 1,
        }  # fmt: skip

    def test_dropping_the_oldest(self) -> None:
        room = Room()
        slow = room.subscribe("track=inbound", limits=Limits(queue_bytes=10_000, when_slow=WhenSlow.DROP_OLDEST))
        room.start(0)
        room.talk(0, blocks=50)
        found = messages(slow)
        assert [message.sequence_number for message in found] == list(range(50 - len(found), 50))
        assert slow.dropped_messages == 50 - len(found)
        assert slow.waiting_bytes == 0

    def test_one_whose_call_has_fallen_silent(self) -> None:
        room = Room()
        slow = room.subscribe(limits=Limits(queue_seconds=2.0))
        room.start(0)
        room.talk(0)
        for _ in range(4):
            room.now_ns += NS_PER_SECOND
            room.feed.receive(batch_of(now_ns=room.now_ns))
        assert slow.why_over == "slow"


def test_news_that_come_after_hours_of_quiet_cut_nobody_off() -> None:
    """The feed has no clock: what comes between two batches is no older than the next one."""
    room = Room()
    reader = room.subscribe(limits=Limits(queue_seconds=5.0))
    for _ in range(2):
        room.now_ns += 3600 * NS_PER_SECOND
        room.start(0)
        room.talk(0)
        room.end(0)
        room.now_ns += NS_PER_SECOND
        room.start(1)
        room.talk(1)
        assert reader.why_over == ""
        room.end(1)
        reader.take(1 << 20)
    room.start(2)
    room.talk(2, blocks=60)
    assert reader.why_over == "slow"
