"""What a live page is told, with a client that we did not write."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from media.events.kinds import DigitPressed
from media.http.watch import MAX_IDENTITY_CHARACTERS, told_of
from media.page.levels import LEVEL
from media.page.messages import CALLS_AT_ONCE, FIGURES_OF_CALLS, HEADER, LEVELS
from media.page.overview import FIGURES
from tests.http.door import Hall, hall, until
from tests.http.test_access import ENCODED, TOKEN
from tests.media.world import audio
from tests.sinks.rows import call_info

pytestmark = pytest.mark.realtime


async def heard(connection: ClientConnection, event: str, talk: Any = lambda: None) -> Any:
    """Return the next message of a kind: JSON, or the records of a binary one."""
    while True:
        message = await connection.recv()
        talk()
        if isinstance(message, str):
            said = json.loads(message)
            if said["event"] == event:
                return said
        else:
            kind, version, size, count = HEADER.unpack_from(message)
            dtype = {LEVELS: LEVEL, FIGURES_OF_CALLS: FIGURES}[kind]
            assert (version, size) == (1, dtype.itemsize)
            records = np.frombuffer(message, dtype, offset=HEADER.size)
            assert len(records) == count
            if {LEVELS: "levels", FIGURES_OF_CALLS: "figures"}[kind] == event:
                return records


class TestCalls:
    async def test_numbers_that_have_gone_to_others_at_once(self) -> None:
        count = CALLS_AT_ONCE + 50
        async with hall() as found:
            found.room.start(*range(count))
            async with found.connect("/v1/watch") as page:
                shown, begun = set[int](), 0

                async def hear(until: int) -> None:
                    nonlocal begun
                    while begun < until:
                        said = await heard(page, "calls")
                        shown.difference_update(said["ended"])
                        shown.update(call["call"] for call in said["begun"])
                        begun += len(said["begun"])

                await hear(count)
                for number in reversed(range(count)):
                    found.room.end(number)
                for number in reversed(range(count)):
                    found.room.start(number)
                await hear(2 * count)
                assert shown == set(range(count))

    async def test_those_that_are_there_come_and_go(self) -> None:
        async with hall() as found:
            found.room.start(0, 1)
            async with found.connect("/v1/watch") as page:
                assert (await heard(page, "hello"))["version"] == 1
                begun = (await heard(page, "calls"))["begun"]
                assert [call["call_id"] for call in begun] == ["call-0", "call-1"]
                found.room.end(0)
                found.room.start(2)
                said = await heard(page, "calls")
                while not (said["ended"] and said["begun"]):
                    said = {
                        **(await heard(page, "calls")),
                        **{name: v for name, v in said.items() if v and v != "calls"},
                    }
                assert said["ended"] == [0]
                assert [call["call_id"] for call in said["begun"]] == ["call-2"]

    async def test_many_come_in_pieces(self) -> None:
        async with hall() as found:
            found.room.start(*range(2 * CALLS_AT_ONCE + 5))
            async with found.connect("/v1/watch") as page:
                sizes = [len((await heard(page, "calls"))["begun"]) for _ in range(3)]
        assert sizes == [CALLS_AT_ONCE, CALLS_AT_ONCE, 5]

    def test_what_the_carrier_says_is_bounded(self) -> None:
        call = call_info(0)
        call.identity = {"from": "x" * 5000, "to": 5, "custom": {"a": ["b"] * 1000}, "leg": None}
        assert told_of(call)["identity"] == {"from": "x" * MAX_IDENTITY_CHARACTERS, "to": "5"}


class TestInSight:
    async def look(self, found: Hall, page: ClientConnection, *numbers: int, **more: Any) -> None:
        await heard(page, "calls")
        await page.send(json.dumps({"visible": numbers, **more}))

    async def test_levels_of_these_alone(self) -> None:
        async with hall() as found:
            found.room.start(0, 1, 2)
            async with found.connect("/v1/watch") as page:
                await self.look(found, page, 1)
                await page.send("nonsense")
                await page.send(json.dumps({"visible": ["1"]}))
                # It is looked at from some message on: talk with each one that comes.
                levels = await heard(page, "levels", lambda: found.room.talk(0, 1, 2))
        assert set(levels["call"].tolist()) == {1}
        assert set(levels["track"].tolist()) == {0, 1}
        assert levels["peak"].max() < 40, "noise is loud"

    async def test_figures_and_totals(self) -> None:
        async with hall() as found:
            for number in range(30):
                for leg in (1, 2):
                    if number != 7:
                        found.world.send_strep(audio(number), leg)
                found.world.tick()
            for _ in range(10):
                found.world.tick()
            for call in found.world.ear.started:
                found.room.feed.call_started(call)
            async with found.connect("/v1/watch") as page:
                await self.look(found, page, 1)
                figures = await heard(page, "figures", lambda: found.world.clock.advance(10**9))
                assert figures["call"].tolist() == [1]
                assert (int(figures["received"][0]), int(figures["lost"][0])) == (29, 1)
                await page.send(json.dumps({"visible": [], "ranking": True}))
                while len(figures) < 2:
                    figures = await heard(page, "figures")
                totals = await heard(page, "totals")
        assert (totals["calls"], totals["alarms"], totals["dropped"]) == (2, [], 0)

    async def test_events_of_these_alone(self) -> None:
        async with hall() as found:
            found.room.start(0, 1)
            calls = {call.index: call for call in found.room.feed.calls()}
            async with found.connect("/v1/watch") as page:
                await self.look(found, page, 1)
                number = 0

                def press() -> None:
                    nonlocal number
                    number += 1
                    for call in calls.values():
                        event = DigitPressed(
                            digit="7", source="ws", track="inbound", position_samples=80_000 * number
                        )
                        found.world.bus.publish(call, event)

                said = await heard(page, "happened", press)
        assert (said["call"], said["what"]["digit"], said["what"]["call_id"]) == (1, "7", "call-1")

    async def test_nothing_is_done_when_nobody_looks(self) -> None:
        async with hall() as found:
            async with found.connect("/v1/watch") as page:
                await heard(page, "hello")
                assert len(found.room.feed._taps) == 1
            await until(lambda: not (found.room.feed._taps or found.world.bus._subscribers))


class TestWho:
    async def test_a_browser_has_its_token_in_a_subprotocol(self) -> None:
        async with hall(TOKEN) as found:
            status, _, _ = await found.get("/v1/page")
            assert status == 401
            protocols = [Subprotocol("strep.v1"), Subprotocol(f"strep.bearer.{ENCODED}")]
            async with connect(f"ws://{found.netloc}/v1/watch", subprotocols=protocols, proxy=None) as page:
                assert page.subprotocol == "strep.v1"
                await heard(page, "hello")
            with pytest.raises(InvalidStatus):
                await found.connect("/v1/watch")

    async def test_another_page_without_a_token(self) -> None:
        async with hall() as found:
            with pytest.raises(InvalidStatus) as caught:
                await found.connect("/v1/watch", Origin="https://evil.example")
        assert caught.value.response.status_code == 403

    async def test_the_server_stops(self) -> None:
        async with hall() as found:
            page = await found.connect("/v1/watch")
            await heard(page, "hello")
        with pytest.raises(ConnectionClosed) as closed:
            await heard(page, "nothing")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
