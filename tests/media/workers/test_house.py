"""What is asked of all workers when one of them does not answer: without processes, what they say is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from media.control.keeping import Hangup
from media.http.api import ApiError
from media.workers.control import Act, Answer, Ask, Order
from media.workers.house import AllWorkers
from strep.clock import ManualClock

HERE = {"call_id": "here"}


class Workers:
    """Worker 0 has the call "here"; of worker 1 the test says what it does."""

    def __init__(self, other: Callable[[Ask], Any]) -> None:
        self.other = other
        self.house = AllWorkers(2, self.send, ManualClock())

    def send(self, index: int, order: Order) -> bool:
        if isinstance(order, Act):
            said: Any = {"data": {"result": "ok"}}
        else:
            assert isinstance(order, Ask)
            is_here = index == 0 and order.call_id == "here"
            said = (HERE if is_here else None) if order.about == "call" else is_here
            if index == 1:
                said = self.other(order)
        if said is not KILLED and said is not HANGS:
            asyncio.get_running_loop().call_soon(self.house.take, Answer(order.number, said))
        return said is not KILLED


KILLED, HANGS = object(), object()


@pytest.mark.parametrize("state", [KILLED, HANGS], ids=["killed", "hangs"])
async def test_calls_of_the_others_are_acted_on(state: object) -> None:
    house = Workers(lambda ask: state).house
    assert (await house.act("here", "hangup", Hangup())).result == "ok"
    assert await house.call("here") == HERE


async def test_what_is_not_known_is_not_said() -> None:
    """The call may be of the worker that is being replaced."""
    house = Workers(lambda ask: KILLED).house
    for asking in (house.act("there", "hangup", Hangup()), house.call("there")):
        with pytest.raises(ApiError, match="a worker is being replaced"):
            await asking


async def test_nobody_has_it() -> None:
    house = Workers(lambda ask: None if ask.about == "call" else False).house
    assert await house.call("there") is None
    with pytest.raises(ApiError, match="no live call"):
        await house.act("there", "hangup", Hangup())
