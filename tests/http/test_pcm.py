"""Audio over WebSockets, with a client that we did not write and one of the standard library alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from media.feed.wire import PcmMessage, parse
from media.http import companion
from media.http.api import MAX_READERS
from media.http.pcm import QUEUE_BYTES
from strep.header import Direction
from tests.feed.room import PLENTY
from tests.feed.test_sink import audio, messages
from tests.http.deaf import Deaf
from tests.http.door import hall, until
from tests.sinks.rows import spoken

pytestmark = pytest.mark.realtime


async def everything(connection: Any) -> tuple[list[dict[str, Any]], list[PcmMessage], tuple[int, str]]:
    """Return news, audio, and why it was closed."""
    news, found = list[dict[str, Any]](), list[PcmMessage]()

    async def read() -> None:
        while True:
            message = await connection.recv()
            if isinstance(message, str):
                news.append(json.loads(message))
            else:
                found.append(parse(message))

    with pytest.raises(ConnectionClosed) as closed:
        await read()
    assert closed.value.rcvd is not None
    return news, found, (closed.value.rcvd.code, closed.value.rcvd.reason)


class TestOneCall:
    async def test_from_where_it_is_to_its_end(self) -> None:
        async with hall() as found:
            found.room.start(0, 1)
            found.room.talk(0, 1)
            async with found.connect("/v1/calls/call-0/pcm?track=inbound") as connection:
                assert await found.listening(connection) == "calls=call-0&track=inbound&rate=native&format=int16"
                found.room.talk(0, 1, blocks=4)
                found.room.end(0)
                news, heard, why = await everything(connection)
        assert np.array_equal(audio(heard, "call-0", Direction.INBOUND), spoken(0, 5)[800:])
        assert [one["event"] for one in news] == ["call_started", "call_ended"]
        assert news[0]["identity"] == {"call_leg_id": "x"}
        assert news[1] == {"event": "call_ended", "call_id": "call-0", "reason": "stop", "duration_ms": 500}
        assert why == (1000, "the call has ended")

    async def test_the_next(self) -> None:
        async with hall() as found:
            found.room.start(0)
            async with found.connect("/v1/calls/next/pcm?rate=16000&format=float32") as connection:
                await found.listening(connection)
                found.room.start(1)
                found.room.talk(0, 1, blocks=2)
                found.room.end(1)
                _, heard, why = await everything(connection)
        assert {message.call_id for message in heard} == {"call-1"}
        assert len(audio(heard, "call-1", Direction.OUTBOUND)) == 3200
        assert why[0] == 1000

    async def test_a_call_that_is_not_live_is_refused_before_there_is_a_socket(self) -> None:
        async with hall() as found:
            with pytest.raises(InvalidStatus) as caught:
                async with found.connect("/v1/calls/nobody/pcm"):
                    pass
        assert caught.value.response.status_code == 404
        assert json.loads(caught.value.response.body or b"")["error"]["code"] == "no_such_call"


class TestAllCalls:
    async def test_bit_exact(self) -> None:
        async with hall() as found, found.connect("/v1/pcm?calls=call-*") as connection:
            await found.listening(connection)
            found.room.start(0, 1, 2)
            found.room.talk(0, 1, 2, blocks=5)
            found.room.feed.close()
            news, heard, why = await everything(connection)
        assert why == (1001, "the server is stopping")
        assert [one["call_id"] for one in news] == ["call-0", "call-1", "call-2"]
        for channel in Direction:
            assert np.array_equal(audio(heard, "call-0", channel), spoken(channel, 5))

    async def test_who_leaves_is_forgotten(self) -> None:
        async with hall() as found:
            async with found.connect("/v1/pcm") as connection:
                await found.listening(connection)
                found.room.talk()
                assert found.room.feed.snapshot()["subscriptions"] == 1
            await until(lambda: found.room.feed.snapshot()["subscriptions"] == 0, found.room.talk)
            await until(lambda: found.door.snapshot()["readers"] == 0)

    async def test_what_a_reader_says_is_ignored_within_bounds(self) -> None:
        async with hall() as found, found.connect("/v1/pcm") as connection:
            await found.listening(connection)
            await connection.send("hello")
            await connection.ping()
            await connection.send("x" * 5000)
            with pytest.raises(ConnectionClosedError):
                await connection.recv()

    async def test_so_many_and_no_more(self) -> None:
        async with hall() as found:
            connections = [await found.connect("/v1/pcm") for _ in range(MAX_READERS)]
            with pytest.raises(InvalidStatus) as caught:
                await found.connect("/v1/pcm")
            assert caught.value.response.status_code == 503
            await asyncio.gather(*(connection.close() for connection in connections))


class TestDeafReaders:
    """They lose by rule; nobody else notices, and what waits for them is bounded."""

    CALLS = range(40)

    async def test_cut_off(self) -> None:
        async with hall() as found:
            found.room.start(*self.CALLS)
            deaf = Deaf(found.netloc, "/v1/pcm?rate=24000&format=float32")
            other = found.room.subscribe("calls=call-0&track=inbound", limits=PLENTY)
            await until(lambda: found.room.feed.snapshot()["subscriptions"] == 2, found.room.talk)
            most = 0

            def talk() -> None:
                nonlocal most
                found.room.talk(*self.CALLS)
                most = max(most, found.room.feed.snapshot()["waiting_bytes"] - other.waiting_bytes)

            await until(lambda: found.room.feed.snapshot()["cut_off"] == 1, talk)
            await until(lambda: found.door.snapshot()["readers"] == 0)
            frames = await asyncio.to_thread(deaf.rest)
            heard = messages(other)
        assert most <= QUEUE_BYTES
        assert {opcode for opcode, _ in frames} >= {1, 2}, "what the kernel had, and the end"
        first = heard[0].position_samples // 800
        blocks = first + len(heard)
        assert np.array_equal(np.concatenate([m.pcm() for m in heard]), spoken(0, blocks)[800 * first :])

    async def test_who_listens_again_in_time_is_told_why(self) -> None:
        async with hall() as found:
            found.room.start(*self.CALLS)
            async with found.connect("/v1/pcm?rate=24000&format=float32") as connection:
                await found.listening(connection)
                await until(lambda: found.room.feed.snapshot()["cut_off"] == 1, lambda: found.room.talk(*self.CALLS))
                _, heard, why = await everything(connection)
        assert why == (1008, "too slow: more waited than may wait for a reader")
        assert heard, "what was on its way comes first"

    async def test_the_server_stops(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """It lets go of what is not read: a connection that it does not close would stay open for ever."""
        monkeypatch.setattr(companion, "STOP_TIMEOUT_S", 0.01)
        async with hall() as found:
            found.room.start(*self.CALLS)
            deaf = Deaf(found.netloc, "/v1/pcm?rate=24000&format=float32")
            await until(lambda: found.room.feed.snapshot()["subscriptions"] == 1, found.room.talk)
            await until(lambda: found.room.feed.snapshot()["cut_off"] == 1, lambda: found.room.talk(*self.CALLS))
        assert await asyncio.to_thread(deaf.rest)
        assert not caplog.records

    async def test_dropping_the_oldest(self) -> None:
        async with hall() as found:
            found.room.start(*self.CALLS)
            deaf = Deaf(found.netloc, "/v1/pcm?rate=24000&format=float32&when_slow=drop-oldest")
            await until(lambda: found.room.feed.snapshot()["subscriptions"] == 1, found.room.talk)
            [subscription] = found.room.feed._subscriptions
            await until(lambda: subscription.dropped_messages > 100, lambda: found.room.talk(*self.CALLS))
            for index in self.CALLS:
                found.room.end(index)
            closing = asyncio.create_task(asyncio.to_thread(deaf.rest))
            await until(lambda: not subscription.waiting_bytes)
            found.room.feed.close()
            frames = await closing
        told = [json.loads(data) for opcode, data in frames if opcode == 1]
        dropped = sum(one["messages"] for one in told if one["event"] == "dropped")
        assert dropped == subscription.dropped_messages
        heard = [parse(data) for opcode, data in frames if opcode == 2]
        mine = [message.sequence_number for message in heard if message.call_id == "call-3" and not message.track]
        assert mine == sorted(mine)
        assert len(mine) < mine[-1] + 1, "numbers show what is missing"
