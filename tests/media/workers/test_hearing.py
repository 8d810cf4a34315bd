"""Audio and levels of the calls of several workers, at the door of their supervisor: as if one process had them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from media.carrier.options import SimulationOptions, Transport
from media.carrier.pacing import Instant
from media.carrier.simulation import Simulation, Target
from media.feed.wire import parse
from media.page.levels import LEVEL
from media.page.messages import HEADER, LEVELS
from media.page.overview import FIGURES
from media.workers.steering import is_supported, worker_of_leg
from strep.clock import NS_PER_SECOND
from tests.media.harness import pcm_channels
from tests.media.serving import address, serving
from tests.media.workers.processes import children, leg_ids, metrics
from tests.patience import PATIENCE_S, wait_until

pytestmark = [pytest.mark.realtime, pytest.mark.skipif(not is_supported(), reason="needs Linux")]
CALLS = 6


def arguments(folder: Path) -> list[str]:
    given = ["--udp", ":0", "--http", ":0", "--workers", "2", "--record", str(folder), "--record-format", "pcm16"]
    return [*given, "--idle-timeout", "1", "--drain-timeout", "0", "--detect", "dtmf"]


def opened(addresses: dict[str, str], path: str) -> connect:
    return connect(f"ws://{addresses['http']}{path}", compression=None, proxy=None, max_size=None)


class Heard:
    """What came over a connection: news, and audio by call and track."""

    def __init__(self) -> None:
        self.audio: dict[tuple[str, int], list[tuple[int, np.ndarray]]] = defaultdict(list)
        self.ended: list[str] = []
        self.greetings = 0

    def take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            pcm = parse(message)
            samples = np.frombuffer(pcm.payload, "<i2")
            self.audio[pcm.call_id, int(pcm.track)].append((pcm.position_samples, samples))
        elif (said := json.loads(message))["event"] == "call_ended":
            self.ended.append(said["call_id"])
        else:
            self.greetings += said["event"] == "subscribed"

    def check(self, folder: Path, call_id: str) -> None:
        """Every sample is where and what it is in the recording."""
        recorded = pcm_channels(folder / f"{call_id}.wav")
        for channel in (0, 1):
            pieces = self.audio[call_id, channel]
            assert sum(len(pcm) for _, pcm in pieces) > 3000
            for position, pcm in pieces:
                assert np.array_equal(recorded[position : position + len(pcm), channel], pcm)


async def test_of_all_calls_and_of_the_next_one(tmp_path: Path) -> None:
    simulation = Simulation(SimulationOptions(calls=CALLS, seconds=0.5))
    names = leg_ids(simulation)
    with serving(*arguments(tmp_path)) as (process, addresses):
        async with (
            asyncio.timeout(PATIENCE_S),
            opened(addresses, "/v1/pcm") as every,
            opened(addresses, "/v1/calls/next/pcm") as following,
        ):
            heard, of_one = Heard(), Heard()
            for connection, what in ((every, heard), (following, of_one)):
                what.take(await connection.recv())

            async def hear_all() -> None:
                while len(heard.ended) < CALLS:
                    heard.take(await every.recv())

            async def hear_one() -> None:
                async for message in following:  # which ends with its call
                    of_one.take(message)

            run = simulation.run(Target(udp=address(addresses["udp"])))
            await asyncio.gather(run, hear_all(), hear_one())
            assert following.close_code == 1000
            for path, status in (("nobody/pcm", 404), ("next/pcm?rate=1", 400), ("next/pcm?calls=x", 400)):
                with pytest.raises(InvalidStatus) as refused:
                    await opened(addresses, f"/v1/calls/{path}")
                assert refused.value.response.status_code == status
        process.terminate()
        await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    assert {worker_of_leg(bytes.fromhex(name.replace("-", "")), 2) for name in names} == {0, 1}
    assert heard.greetings == of_one.greetings == 1
    assert sorted(heard.ended) == names
    for name in names:
        heard.check(tmp_path, name)
    [(call_id, *_)] = {(call_id,) for call_id, _ in of_one.audio}
    of_one.check(tmp_path, call_id)
    assert of_one.ended == [call_id]


async def heard_by(folder: Path, *arguments: str) -> dict[tuple[str, int], bytes]:
    """Let the same calls come, and return the audio of each track, which has no holes."""
    simulation = Simulation(SimulationOptions(Transport.WEBSOCKET, calls=CALLS, seconds=0.5, seed=7))
    with serving("--ws", ":0", "--http", ":0", "--metrics", ":0", *arguments, folder=folder) as (_, addresses):
        async with asyncio.timeout(PATIENCE_S), opened(addresses, "/v1/pcm?rate=native") as connection:
            heard = Heard()
            calling = asyncio.create_task(simulation.run(Target(stream_url=f"ws://{addresses['ws']}/"), Instant()))
            while len(heard.ended) < CALLS:
                heard.take(await connection.recv())
            await calling

        def subscriptions() -> float:
            return metrics(addresses["metrics"])["strep_feed_subscriptions"]

        await asyncio.to_thread(wait_until, lambda: subscriptions() == 0)  # who has left is not spoken to
    for pieces in heard.audio.values():
        ends = [at + len(pcm) for at, pcm in pieces]
        assert ends[:-1] == [at for at, _ in pieces[1:]]  # where a track begins is told by when it came
    return {track: b"".join(pcm.tobytes() for _, pcm in pieces) for track, pieces in heard.audio.items()}


async def test_the_bytes_are_those_that_one_process_gives(tmp_path: Path) -> None:
    one = await heard_by(tmp_path)
    assert len(one) == 2 * CALLS
    assert {len(pcm) for pcm in one.values()} == {2 * 4000}
    assert await heard_by(tmp_path, "--workers", "2") == one


class Seen:
    """What a page was told."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.live: dict[str, int] = {}
        self.ended: list[int] = []
        self.pressed: dict[int, str] = {}
        self.level, self.received = set[int](), dict[int, int]()
        self.totals: dict[str, Any] = {}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Take messages until something is so."""
        while not condition():
            message = await self._connection.recv()
            if isinstance(message, str):
                self._hear(json.loads(message))
                continue
            is_level = HEADER.unpack_from(message)[0] == LEVELS
            records = np.frombuffer(message, LEVEL if is_level else FIGURES, offset=HEADER.size)
            if is_level:
                self.level |= set(records["call"].tolist())
            else:
                self.received |= dict(zip(records["call"].tolist(), records["received"].tolist(), strict=True))

    def _hear(self, said: dict[str, Any]) -> None:
        if said["event"] == "calls":
            self.ended += said["ended"]
            self.live = {call_id: number for call_id, number in self.live.items() if number not in said["ended"]}
            self.live |= {call["call_id"]: call["call"] for call in said["begun"]}
        elif said["event"] == "totals":
            self.totals = said
        elif said["event"] == "happened" and said["what"]["event"] == "dtmf":
            self.pressed[said["call"]] = said["what"]["call_id"]


async def test_a_page_sees_the_calls_of_all_and_loses_those_of_a_worker_that_dies(tmp_path: Path) -> None:
    simulation = Simulation(SimulationOptions(calls=CALLS, seconds=300, presses=((NS_PER_SECOND, "5"),)))
    names = leg_ids(simulation)
    with serving(*arguments(tmp_path)) as (process, addresses):
        async with asyncio.timeout(PATIENCE_S), opened(addresses, "/v1/watch") as page:
            assert json.loads(await page.recv())["event"] == "hello"
            calling, seen = asyncio.create_task(simulation.run(Target(udp=address(addresses["udp"])))), Seen(page)
            await seen.until(lambda: len(seen.live) == CALLS)
            begun = dict(seen.live)
            assert sorted(begun) == names
            assert {number % 2 for number in begun.values()} == {0, 1}
            assert len(set(begun.values())) == CALLS
            await page.send(json.dumps({"visible": list(begun.values()), "ranking": True}))
            await seen.until(lambda: seen.level == seen.received.keys() == set(begun.values()))
            await seen.until(lambda: seen.totals.get("calls") == CALLS)
            os.kill(children(process.pid)[0], signal.SIGKILL)
            await seen.until(lambda: bool(seen.ended))
            assert len({number % 2 for number in seen.ended}) == 1, "of the other worker none"
            await seen.until(lambda: sorted(seen.live) == names)  # the calls go on, in the next worker
            assert all(begun[call_id] == number for number, call_id in seen.pressed.items())
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        process.terminate()
        _, errors = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    assert "Traceback" not in errors, errors
