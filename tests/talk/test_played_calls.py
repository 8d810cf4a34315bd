"""Calls of the simulated carrier, over sockets: what is played into them is in their recordings, bit by bit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile

from media import Server, ServerConfig
from media.carrier.options import SimulationOptions, Transport, WebSocketOptions
from media.carrier.simulation import Simulation, Target
from media.talk.call import LiveCall
from strep.g711 import Codec
from tests.media.harness import pcm_channels
from tests.sinks.sidecars import check
from tests.talk.live_calls import LOOPBACK
from tests.talk.test_against_the_carrier import sound

SAID = sound("PCMU", 6000, 4)


async def greet(call: LiveCall) -> None:
    for _ in range(2):
        await (await call.play(SAID, rate_hz=8000)).wait()


async def recorded(folder: Path, dialect: str, played: Literal["on", "off"]) -> Path:
    """Record a call that is greeted; return where what the caller heard is."""
    options = SimulationOptions(
        calls=1, seconds=3, transport=Transport.WEBSOCKET, websocket=WebSocketOptions(dialect=dialect)
    )
    config = ServerConfig(ws=LOOPBACK, record=folder, record_played=played)
    async with Server(config, app=greet) as server:
        target = Target(stream_url=f"ws://{server.addresses['ws']}/{dialect}")
        await Simulation(options).run(target, heard_folder=folder / "heard")
    return folder / "heard"


@pytest.mark.realtime
def test_a_caller_whose_side_is_all_that_is_sent(tmp_path: Path) -> None:
    folder = asyncio.run(recorded(tmp_path, "twilio", "on"))
    [path] = tmp_path.glob("*.wav")
    [heard_path] = folder.glob("*.wav")
    heard, _ = soundfile.read(heard_path, dtype="int16")
    right = pcm_channels(path)[:, 1]
    assert np.array_equal(right[right != 0], heard[heard != 0])
    assert np.array_equal(right[right != 0][: len(SAID)], SAID)
    inbound, outbound = check(path.with_suffix(".json"))["tracks"]
    assert (inbound["codec"], outbound["codec"]) == (Codec.PCMU.name, Codec.PCMU.name)
    assert outbound["sources"] == [{"played": True}]
    assert outbound["totals"]["received"] >= len(SAID)


@pytest.mark.realtime
def test_where_it_is_not_wanted(tmp_path: Path) -> None:
    asyncio.run(recorded(tmp_path, "twilio", "off"))
    [path] = tmp_path.glob("*.wav")
    assert not pcm_channels(path)[:, 1].any()
    assert [track["direction"] for track in check(path.with_suffix(".json"))["tracks"]] == ["inbound"]
