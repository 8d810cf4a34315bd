"""The WebSocket's door and who talks back: sockets that come and go, and a listener that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from media.doors.stream import StreamDoor
from media.sinks.contract import CallInfo
from media.ws.closing import Close
from media.ws.host import StreamStart
from strep.clock import NS_PER_SECOND
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
        self.fails = False

    def stream_attached(self, info: CallInfo, start: StreamStart) -> None:
        self.attached.append((info.call_id, start.wire))
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
