from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from media import Server, ServerConfig
from media.config import Endpoint
from media.events import callback
from media.events.bus import EventBus, Told
from media.events.callback import EventCallback, OnEvent
from media.events.calls import MarkReturned
from media.sinks.contract import CallInfo
from strep.clock import ManualClock
from tests.talk.live_calls import stream

CALL = CallInfo(0, "c1", "ws", 0)


async def told_of(on_event: OnEvent, names: str, publish_in_thread: bool = False) -> EventCallback:
    """Publish marks, before and after the start, and return the callback when it has closed."""
    clock = ManualClock()
    bus = EventBus(clock)
    made = EventCallback(on_event, bus, clock)
    bus.publish(CALL, MarkReturned(name="early"))
    await made.start()
    for name in names:
        publish = threading.Thread(target=bus.publish, args=(CALL, MarkReturned(name=name)))
        publish.start()
        publish.join()
    await made.close()
    return made


def name_of(told: Told) -> str:
    assert isinstance(told.event, MarkReturned)
    return told.event.name


async def test_a_function_is_told_in_order_in_the_event_loop() -> None:
    seen: list[str] = []
    here = threading.get_ident()

    def on_event(told: Told) -> None:
        assert threading.get_ident() == here
        seen.append(name_of(told))

    made = await told_of(on_event, "abc")
    assert seen == ["early", "a", "b", "c"]
    assert made.snapshot() == {"told": 4, "failed": 0, "dropped": 0, "waiting": 0}


async def test_a_coroutine_function_is_awaited_one_after_another() -> None:
    steps: list[str] = []

    async def on_event(told: Told) -> None:
        steps.append(f"<{name_of(told)}")
        await asyncio.sleep(0)
        steps.append(f"{name_of(told)}>")

    await told_of(on_event, "ab")
    assert steps == ["<early", "early>", "<a", "a>", "<b", "b>"]


async def test_what_it_raises_costs_no_other_event(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def on_event(told: Told) -> None:
        if name_of(told) == "a":
            raise RuntimeError("a bug")
        seen.append(name_of(told))

    made = await told_of(on_event, "abc")
    assert (seen, made.failed) == (["early", "b", "c"], 1)
    assert "on_event raised for mark: RuntimeError('a bug')" in caplog.text


async def test_the_oldest_are_dropped_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback, "MAX_WAITING", 2)
    seen: list[str] = []
    made = await told_of(lambda told: seen.append(name_of(told)), "abcd")
    assert (seen, made.dropped) == (["c", "d"], 3)


@pytest.mark.realtime
async def test_a_server_calls_it() -> None:
    seen: list[dict[str, Any]] = []
    config = ServerConfig(ws=Endpoint("127.0.0.1", 0))
    async with Server(config, on_event=lambda told: seen.append(told.to_json())) as server, stream(server):
        pass
    assert [(said["event"], said["call_id"], said["sequence"]) for said in seen] == [
        ("call_started", "s1", 1),
        ("call_ended", "s1", 2),
    ]


async def test_awaiting_a_task_that_was_cancelled_ends_nothing() -> None:
    seen: list[str] = []

    async def on_event(told: Told) -> None:
        seen.append(name_of(told))
        task = asyncio.ensure_future(asyncio.sleep(3600))
        task.cancel()
        await task

    made = await told_of(on_event, "ab")
    assert seen == ["early", "a", "b"]
    assert made.failed == 3


async def test_what_it_was_not_called_with_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(callback, "CLOSE_TIMEOUT_S", 0)

    async def on_event(told: Told) -> None:
        await asyncio.sleep(3600)

    await told_of(on_event, "ab")
    assert "on_event was not called with" in caplog.text
