"""Events, as server-sent events and over a WebSocket."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from media.events.bus import Told
from media.events.kinds import SpeechStarted
from media.http import events
from media.http.events import MAX_WAITING, EventQueue
from tests.http.door import Hall, hall, until
from tests.sinks.rows import call_info

pytestmark = pytest.mark.realtime

CALL, OTHER = call_info(0), call_info(1)
SPEECH = SpeechStarted(track="inbound", position_samples=800, silence_samples=80)


def publish(found: Hall, count: int = 1) -> list[dict[str, Any]]:
    told = [found.world.bus.publish(call, SPEECH) for _ in range(count) for call in (CALL, OTHER)]
    return [one.to_json() for one in told if one is not None]


async def test_server_sent() -> None:
    async with hall() as found:
        host, port = found.netloc.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /v1/events?calls=call-0 HTTP/1.1\r\nHost: {found.netloc}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Type: text/event-stream\r\n" in head
        await reader.readuntil(b": still here\n\n")
        mine, _ = publish(found)
        await reader.readuntil(b"event: speech_started\ndata: ")
        assert json.loads(await reader.readuntil(b"\n\n")) == mine
        writer.close()


async def test_who_does_not_read_is_gone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(events, "WRITE_TIMEOUT_S", 0.05)
    async with hall() as found:
        host, port = found.netloc.split(":")
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            deaf.sendall(f"GET /v1/events HTTP/1.1\r\nHost: {found.netloc}\r\n\r\n".encode())
            await until(lambda: found.door.snapshot()["readers"] == 1)
            await until(lambda: found.door.snapshot()["readers"] == 0, lambda: publish(found, 500))
    assert not caplog.records


async def test_over_a_websocket() -> None:
    async with hall() as found, found.connect("/v1/events?events=speech_started,dtmf") as connection:
        await until(lambda: found.door.snapshot()["readers"] == 1)
        published = publish(found, 3)
        assert [json.loads(await connection.recv()) for _ in published] == published
    assert found.world.bus._subscribers == ()


async def test_the_server_stops() -> None:
    async with hall() as found:
        connection = await found.connect("/v1/events")
    await connection.wait_closed()
    assert connection.close_code == 1001


class TestQueue:
    def told(self, number: int, kind: str = "") -> Told:
        return Told(str(number), number, 0, CALL, SPEECH)

    def test_the_oldest_make_room_and_are_counted(self) -> None:
        queue = EventQueue("*", frozenset(), lambda: None)
        for number in range(MAX_WAITING + 3):
            queue.put(self.told(number))
        waiting, dropped = queue.take()
        assert ([one.to_json()["sequence"] for one in waiting[:2]], len(waiting), dropped) == ([3, 4], MAX_WAITING, 3)
        assert queue.take() == ([], 0)

    @pytest.mark.parametrize(
        ("calls", "kinds", "is_wanted"),
        [("*", (), True), ("call-?", ("speech_started",), True), ("call-1", (), False), ("*", ("dtmf",), False)],
    )
    def test_what_is_wanted(self, calls: str, kinds: tuple[str, ...], is_wanted: bool) -> None:
        rings: list[None] = []
        queue = EventQueue(calls, frozenset(kinds), lambda: rings.append(None))
        queue.put(self.told(1))
        assert (len(queue.take()[0]), len(rings)) == (is_wanted, is_wanted)
