"""The WebSocket's door and who talks back: sockets that come and go, and a listener that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from media.doors.stream import StreamDoor
from media.sinks.contract import CallInfo
from media.ws.chunks import Placement
from media.ws.closing import Close
from media.ws.host import StreamStart
from strep.clock import NS_PER_SECOND
from strep.header import Direction
from tests.media.world import World, start


@dataclass
class FakeWire:
    is_open: bool = True
    buffered_bytes: int = 0
    closes: list[Close] = field(default_factory=list)

    def send(self, message: str | bytes) -> None:
        raise AssertionError("nothing is sent here")

    def close(self, close: Close) -> None:
        self.is_open = False
        self.closes.append(close)


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.attached: list[tuple[str, Any]] = []
        self.detached: list[str] = []
        self.hang_ups: list[Callable[[], None]] = []
        self.fails = False

    def stream_attached(self, info: CallInfo, start: StreamStart, hang_up: Callable[[], None]) -> None:
        self.attached.append((info.call_id, start.wire))
        self.hang_ups.append(hang_up)
        if self.fails:
            raise ValueError("a bug in it")

    def stream_event(self, info: CallInfo, event: dict[str, Any]) -> bool:
        return True

    def stream_detached(self, info: CallInfo) -> None:
        self.detached.append(info.call_id)


class ListenedWorld(World):
    """A world whose streams are listened to."""

    def __init__(self) -> None:
        super().__init__()
        self.listener = Listener()
        grace_ns = 5 * NS_PER_SECOND
        self.stream = StreamDoor(
            self.engine, reconnect_grace_ns=grace_ns, wake=self.count_wake, listener=self.listener
        )

    def dial(self) -> tuple[Any, FakeWire]:
        """Begin or continue the stream s1 on a socket of its own."""
        wire = FakeWire()
        return self.stream.stream_started(replace(start(), wire=wire), self.clock.now_ns()), wire

    def lose(self, handle: Any, wire: FakeWire) -> None:
        wire.is_open = False
        self.stream.stream_detached(handle, self.clock.now_ns())


def test_a_listener_that_fails_costs_no_recording(caplog: pytest.LogCaptureFixture) -> None:
    world = ListenedWorld()
    world.listener.fails = True
    handle, _ = world.dial()
    assert "call s1: there is no way back" in caplog.text
    world.stream.stream_stopped(handle, world.clock.now_ns())
    assert [report.reason for _, report in world.ear.ended] == ["stop"]


class TestSockets:
    def test_the_newest_is_the_way_back_while_it_is_open(self) -> None:
        world = ListenedWorld()
        handle, first = world.dial()
        _, second = world.dial()
        world.lose(handle, first)
        assert world.listener.attached == [("s1", first), ("s1", second)]
        assert world.listener.detached == []

    def test_when_the_newest_is_gone_first_the_way_back_is_the_one_before(self) -> None:
        world = ListenedWorld()
        handle, first = world.dial()
        _, second = world.dial()
        world.lose(handle, second)
        assert world.listener.attached == [("s1", first), ("s1", second), ("s1", first)]
        world.lose(handle, first)
        assert world.listener.detached == ["s1"]
        _, third = world.dial()
        assert world.listener.attached[-1] == ("s1", third)


class TestHangingUp:
    def test_all_sockets_are_closed_and_the_call_has_ended_at_once(self) -> None:
        world = ListenedWorld()
        _, first = world.dial()
        _, second = world.dial()
        world.listener.hang_ups[-1]()
        assert first.closes == second.closes == [Close(1000, "the application hung up")]
        assert [report.reason for _, report in world.ear.ended] == ["hang_up"]

    def test_who_dials_again_within_the_grace_begins_another_call(self) -> None:
        world = ListenedWorld()
        handle, wire = world.dial()
        world.listener.hang_ups[-1]()
        again, _ = world.dial()
        world.lose(handle, wire)
        assert again is not handle
        assert len(world.ear.started) == 2
        world.stream.end_detached(world.clock.advance(6 * NS_PER_SECOND))
        assert len(world.ear.ended) == 1, "the new call has a socket"

    def test_a_call_that_is_over_cannot_hang_up_on_the_next_one(self) -> None:
        """Audio behind an end is a new call on the same socket."""
        world = ListenedWorld()
        handle, wire = world.dial()
        world.engine.end_call(handle.call, "idle")
        world.stream.stream_media(handle, Direction.INBOUND, Placement(0, 0), bytes(160), world.clock.now_ns())
        world.listener.hang_ups[0]()
        assert wire.closes == []
        world.listener.hang_ups[1]()
        assert len(wire.closes) == 1
        assert [report.reason for _, report in world.ear.ended] == ["idle", "hang_up"]
