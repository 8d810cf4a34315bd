"""What the sink writes for the process that publishes."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest

from media.events.bus import EventBus, Told
from media.events.publishing import AudioUnpublished
from media.feed.selection import Selection
from media.nats import sink as sink_module
from media.nats.message import Message
from media.nats.names import EVENT, Place, message_id
from media.nats.outbox import Outbox
from media.nats.pipe import EventTold, read
from media.nats.sink import NatsSink
from media.nats.waiting import Limits
from media.sinks.contract import CallInfo
from strep.clock import ManualClock
from tests.nats.model_stream import ModelStream, drain

GAP = AudioUnpublished(track="inbound", position_samples=0, to="nats", messages=1, duration_samples=1)


def call() -> CallInfo:
    """One that has been made anew from what is known of it began when it did."""
    return CallInfo(-1, "a", "strep", 7_000)


@dataclass
class _Pipe(io.BytesIO):
    def close(self) -> None:
        """Keep what was written."""


def places(processes: list[list[CallInfo]], clock: ManualClock) -> list[Place]:
    """Return the places of events told of these calls, one each, by one process after another."""
    found: list[Place] = []
    for calls in processes:
        told: list[Told] = []
        bus = EventBus(clock)
        bus.subscribe(told.append)
        for one in calls:
            bus.publish(one, GAP)
        sink, pipe = NatsSink(Selection()), _Pipe()
        sink.connect(pipe)
        sink.tell(told)
        pipe.seek(0)
        while isinstance(item := read(pipe), EventTold):
            found.append(Place(item.origin_wall_ns, item.sequence))
        clock.advance(1_000)
    return found


def test_events_of_a_call_made_anew_are_others() -> None:
    """The same call of the same beginning: live, its recording delivered, and that again by the next process."""
    live, delivered, later = call(), call(), call()
    found = places([[live, live, delivered, delivered, live], [later, later]], ManualClock())
    assert len(set(found)) == 7
    assert [place.number for place in found] == [1, 2, 1, 2, 3, 1, 2]
    assert found[0].origin_wall_ns == found[1].origin_wall_ns
    assert found[2].origin_wall_ns == found[3].origin_wall_ns


def test_what_is_forgotten_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "_MAX_SERIES", 1)
    one, other = call(), CallInfo(0, "b", "strep", 7_000)
    assert len(set(places([[one, other, one, other]], ManualClock()))) == 4


@pytest.mark.parametrize("stored", range(6))
def test_none_of_them_is_taken_for_stored(stored: int) -> None:
    """A connection broke when so many were stored and none acknowledged: the rest is sent, and nothing twice."""
    live, delivered = call(), call()
    found = places([[live, live, delivered, delivered, live]], ManualClock())
    ids = [message_id("a", EVENT, place) for place in found]
    stream, outbox = ModelStream(), Outbox(Limits())
    stream.stored = [("e", one) for one in ids[:stored]]
    for one in ids:
        outbox.offer(Message("e", one, b"", is_doubtful=True), 0)
    drain(outbox, stream, 0)
    assert stream.of("e") == ids
    assert outbox.totals.known == stored
