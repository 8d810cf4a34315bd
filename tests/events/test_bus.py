"""The stream of events: numbered, in order, for all subscribers, from any thread; and no subscriber is another's."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from media.events.background import Background
from media.events.bus import EventBus, Told
from media.events.calls import CallBegan, CarrierError, MarkReturned, StreamReconnected, event_of_carrier
from media.events.kinds import DigitPressed, Event, Source, SpeechStarted
from media.events.merging import DigitMerger
from media.pauses.spans import Pause
from media.sinks.contract import CallInfo
from strep.clock import ManualClock
from tests.media.world import World, audio
from tests.sinks.rows import call_info


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(Event):
    NAME: ClassVar[str] = "counted"

    number: int


def test_what_is_told() -> None:
    told: list[Told] = []
    bus, call = EventBus(ManualClock()), call_info(call_id="leg")
    bus.subscribe(told.append)
    bus.publish(call, CallBegan(door="strep", identity={"from": "+1"}))
    bus.publish(call, DigitPressed(track="inbound", position_samples=800, digit="5", source="ws"))
    first, second = (one.to_json() for one in told)
    assert first.pop("event_id") != second.pop("event_id")
    common = {"call_id": "leg", "occurred_at": "2023-11-14T22:13:20.000000Z"}
    assert first == {"event": "call_started", "sequence": 1, **common, "door": "strep", "identity": {"from": "+1"}}
    digit = {"track": "inbound", "position_ms": 100, "digit": "5", "source": "ws"}
    assert second == {"event": "dtmf", "sequence": 2, **common, **digit}
    assert next(iter(json.loads(json.dumps(second)))) == "event"
    assert bus.published == {"call_started": 1, "dtmf": 1}


def test_threads_and_subscribers_see_one_order() -> None:
    """Numbers without a gap per call, the same for both subscribers, whoever publishes."""
    bus, calls = EventBus(ManualClock()), [call_info(0), call_info(1)]
    first, second = list[Told](), list[Told]()
    bus.subscribe(first.append)
    bus.subscribe(second.append)

    def publish() -> None:
        for number in range(300):
            bus.publish(calls[number % 2], Counted(number=number))

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first == second
    for call in calls:
        assert [one.sequence for one in first if one.call is call] == list(range(1, 601))


def test_one_subscriber_does_not_cost_the_next(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Told] = []
    bus = EventBus(ManualClock())

    def fail(told: Told) -> None:
        raise RuntimeError("broken")

    bus.subscribe(fail)
    leave = bus.subscribe(told.append)
    assert bus.publish(call_info(), Counted(number=1)) is told[0]
    assert "broken" in caplog.text
    leave()
    bus.publish(call_info(), Counted(number=2))
    assert len(told) == 1


def test_a_key_is_told_once() -> None:
    bus, call = EventBus(ManualClock()), call_info()
    assert bus.publish(call, DigitPressed(position_samples=800, digit="5", source="ws"))
    assert bus.publish(call, DigitPressed(position_samples=900, digit="5", source="inband")) is None
    assert bus.publish(call_info(), DigitPressed(position_samples=900, digit="5", source="inband")), "another call"
    assert bus.published == {"dtmf": 2}


def test_background_keeps_order_and_its_bound() -> None:
    taken: list[list[int]] = []

    def take(batch: list[Told]) -> None:
        taken.append([told.sequence for told in batch])
        if len(taken) == 1:
            raise OSError("disk full")

    background = Background("test", take, ManualClock(), max_waiting=3)
    bus, call = EventBus(ManualClock()), call_info()
    bus.subscribe(background.put)
    for number in range(5):
        bus.publish(call, Counted(number=number))
    assert background.snapshot() == {"waiting": 3, "dropped": 2, "failed": 0}
    assert (background.step(), background.step()) == (3, 0)
    assert background.snapshot() == {"waiting": 0, "dropped": 2, "failed": 3}
    bus.publish(call, Counted(number=9))
    assert background.stop(1.0), "never started: it does what is left itself"
    assert taken == [[3, 4, 5], [6]]


def test_background_ends_with_all_taken() -> None:
    taken: list[Told] = []
    background = Background("test", taken.extend, ManualClock())
    background.start()
    bus, call = EventBus(ManualClock()), call_info()
    bus.subscribe(background.put)
    for number in range(1000):
        bus.publish(call, Counted(number=number))
    assert background.stop(60.0)
    assert [told.sequence for told in taken] == list(range(1, 1001))


def test_what_a_carrier_says() -> None:
    def said(**document: object) -> Event | None:
        return event_of_carrier(document, "inbound", 8000)

    at: dict[str, Any] = {"track": "inbound", "position_samples": 8000}
    assert said(event="mark", name="m", position_samples=8000) == MarkReturned(**at, name="m")
    error = said(event="error", code=100005, title="Rate limit")
    assert error == CarrierError(track="inbound", code=100005, title="Rate limit")
    assert said(event="reconnected", after_ns=5) == StreamReconnected(track="inbound")
    assert said(event="frame_too_long", samples=9) is None
    digit = said(event="dtmf", digit="1", source="rfc4733", duration_ms=100, position_samples=8000)
    assert isinstance(digit, DigitPressed)
    assert (digit.position_samples, digit.duration_samples) == (7200, 800), "told at its end"


def test_the_engine_tells_of_calls() -> None:
    told: list[Told] = []
    world = World()
    world.bus.subscribe(told.append)
    for number in range(10):
        world.send_rtp(audio(number))
        world.tick()
    world.engine.end_all("shutdown")
    assert [one.event.NAME for one in told] == ["call_started", "call_ended"]
    assert told[1].to_json()["duration_ms"] == 200


class TestPrivate:
    """What is pressed while recording is paused is for those who act on it, and for nobody who writes it down."""

    def test_a_digit_is_withheld(self) -> None:
        told: list[Told] = []
        bus = EventBus(ManualClock())
        bus.subscribe(told.append)
        call = CallInfo(0, "c", "ws", 0)
        call.pauses.append(Pause(1000, (900, 1000), "silence", 0, 2000, 1))
        places = [(880, 0), (880, 40), (1999, 0), (2000, 0), (None, 0)]
        for position, duration in places:
            digit = DigitPressed(
                track="inbound", position_samples=position, digit="7", source="inband", duration_samples=duration
            )
            bus.publish(call, digit)
            call.told.digits = DigitMerger(8000)
        assert [getattr(one.event, "digit", None) for one in told] == list("7??7?")
        assert [one.to_json()["digit"] for one in told] == list("7??7?")
        assert [one.to_json(in_full=True)["digit"] for one in told] == list("77777")
        assert "'7'" not in repr(told[1])

    @pytest.mark.parametrize("source", ["ws", "rfc4733"])
    def test_a_frame_may_be_of_a_key_that_was_pressed_a_second_before(self, source: Source) -> None:
        """The application had it by its tones, and has resumed."""
        bus, call = EventBus(ManualClock()), CallInfo(0, "c", "ws", 0)
        call.pauses.append(Pause(1000, (1000, 1000), "silence", 0, 20_000, 1))
        told = [
            bus.publish(call, DigitPressed(track="inbound", position_samples=place, digit=digit, source=source))
            for place, digit in ((999, "1"), (20_100, "2"), (27_999, "3"), (28_000, "4"))
        ]
        assert [one and one.to_json()["digit"] for one in told] == ["1", "?", "?", "4"]

    def test_while_the_call_is_paused_place_does_not_count(self) -> None:
        bus, call = EventBus(ManualClock()), CallInfo(0, "c", "ws", 0)
        call.pauses.append(Pause(1000, (1000, 1000), "silence", 0))
        for position in (None, 10):
            told = bus.publish(call, DigitPressed(position_samples=position, digit="7", source="ws"))
            call.told.digits = DigitMerger(8000)
            assert told is not None
            assert told.to_json()["digit"] == "?"
        speech = bus.publish(call, SpeechStarted(position_samples=1100, silence_samples=5))
        assert speech is not None
        assert speech.event is speech.in_full
