"""Calls while a NATS server, or strep itself, is killed: nothing is lost or doubled, and no recording notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from media import Server, ServerConfig
from media.carrier.options import SimulationOptions
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint
from media.feed.selection import Selection
from media.feed.wire import Flag, SampleFormat
from media.nats.companion import NatsCompanion
from media.nats.config import NatsConfig
from media.nats.spool import Spool
from tests.media.gated import Gated
from tests.media.serving import serving
from tests.nats.calls import by_track, check_calls, check_whole
from tests.nats.nats_server import NatsServer, count, everything, free_port, needs_nats, running, until

pytestmark = [*needs_nats, pytest.mark.realtime]
LOOPBACK = Endpoint("127.0.0.1", 0)
EMPTY = ("connected", "stored", "spool_bytes", "waiting_bytes")
"""Before the first report."""
CONSUMER = Path(__file__).parents[2] / "examples" / "nats_consumer.py"


def target_of(addresses: dict[str, Any]) -> Target:
    host, _, port = addresses["udp"].rpartition(":")
    return Target(udp=(host, int(port)))


def serve(directory: Path, url: str, **nats: Any) -> Server:
    config = NatsConfig((url,), **{"spool": directory / "spool", **nats})
    return Server(ServerConfig(udp=LOOPBACK, record=directory / "recordings", nats=config, idle_timeout_s=2.0))


def state(server: Server) -> dict[str, Any]:
    companion = next(one for one in server.companions if one.name == "nats")
    reported = companion.snapshot()
    return reported if "stored" in reported else dict.fromkeys(EMPTY, 0) | reported


async def run_calls(server: Server, calls: int, seconds: float) -> Simulation:
    simulation = Simulation(SimulationOptions(calls=calls, seconds=seconds))
    await simulation.run(target_of(server.addresses))
    return simulation


def check_reception(server: Server) -> None:
    totals = server.snapshot()
    assert totals["conservation_errors"] == totals["kernel_drops"] == 0
    assert all(sink["dropped_blocks"] == sink["errors"] == 0 for sink in totals["sinks"])


async def kill_twice(nats: NatsServer, server: Server, is_over: asyncio.Event) -> None:
    """Kill the server of NATS while calls come, let much wait, let it come back, and again."""
    for _ in range(2):
        stored = state(server)["stored"]
        await until(lambda stored=stored: state(server)["stored"] >= stored + 300 or is_over.is_set())
        nats.kill()
        await until(lambda: not state(server)["connected"])
        await until(lambda: state(server)["spool_bytes"] > 100_000 or is_over.is_set())
        nats.start()


async def test_a_nats_server_is_killed_during_50_calls(tmp_path: Path) -> None:
    with running(tmp_path / "nats") as nats:
        async with serve(tmp_path, nats.url) as server:
            is_over = asyncio.Event()
            killing = asyncio.create_task(kill_twice(nats, server, is_over))
            simulation = await run_calls(server, 50, 5)
            is_over.set()
            await killing
            await until(lambda: state(server)["connected"])
        totals = state(server)
        assert totals["reconnects"] >= 2
        assert totals["dropped"] == totals["dropped_audio_messages"] == totals["lost"] == totals["waiting"] == 0
        found = await everything(nats.url)
        assert totals["offered"] == totals["stored"] == len(found)
        ids = [message.headers["Nats-Msg-Id"] for message in found]
        assert len(ids) == len(set(ids)), "nothing twice"
        check_calls(found, tmp_path / "recordings", simulation)
        check_reception(server)
        events = [json.loads(message.data) for message in found if message.subject.startswith("strep.events.")]
        for event in ("call_started", "call_ended"):
            assert sum(told["event"] == event for told in events) == 50
    assert list(Path(tmp_path).rglob("*.spool")) == []  # noqa: ASYNC240


async def test_strep_is_killed_with_a_spool(tmp_path: Path) -> None:
    """What is on disk when it dies, and what was stored before, is in the stream when the next one has run."""
    with running(tmp_path / "nats") as nats:
        arguments = ("--udp", "127.0.0.1:0", "--nats", nats.url, "--nats-spool", str(tmp_path / "spool"))
        with serving(*arguments, "--idle-timeout", "60s") as (process, addresses):
            is_away = threading.Event()
            simulation = Simulation(SimulationOptions(calls=10, seconds=4))
            sending = asyncio.create_task(simulation.run(target_of(addresses), Gated((2.0, is_away))))
            while await count(nats.url) < 100:
                pass
            nats.kill()
            is_away.set()
            await until(lambda: size_of(tmp_path / "spool") > 200_000 or sending.done())
            process.send_signal(signal.SIGKILL)
            process.wait()
            with contextlib.suppress(ConnectionRefusedError):
                await sending
        await until(lambda: is_let_go(tmp_path / "spool"))
        shutil.copytree(tmp_path / "spool", tmp_path / "copy")
        spool, spooled = Spool.open(tmp_path / "copy", 1 << 40), set[str]()
        while spool.unread_bytes:
            spooled |= {message.message_id for message in spool.read(0, 0)}
        spool.close()
        assert spooled
        nats.start()
        stored = {message.headers["Nats-Msg-Id"] for message in await everything(nats.url)}
        with serving(*arguments):
            await until(lambda: not list(Path(tmp_path / "spool").rglob("*.spool")))
        found = await everything(nats.url)
        ids = [message.headers["Nats-Msg-Id"] for message in found]
        assert len(ids) == len(set(ids)), "nothing twice"
        assert set(ids) == stored | spooled
        for messages in by_track(found).values():
            check_whole(messages, has_end=False)


async def test_the_process_that_publishes_is_killed(tmp_path: Path) -> None:
    """Another one takes over, in the midst of the calls, and no recording notices."""
    with running(tmp_path / "nats") as nats:
        async with serve(tmp_path, nats.url) as server:
            companion = next(one for one in server.companions if isinstance(one, NatsCompanion))
            calls = asyncio.create_task(run_calls(server, 5, 6))
            await until(lambda: state(server)["stored"] >= 20)
            assert companion.pid is not None
            os.kill(companion.pid, signal.SIGKILL)
            await calls
            await until(lambda: companion.restarts)
        assert companion.restarts == 1
        check_reception(server)
        found = await everything(nats.url)
        ids = [message.headers["Nats-Msg-Id"] for message in found]
        assert len(ids) == len(set(ids))
        tracks = by_track(found)
        assert len(tracks) == 10
        for messages in tracks.values():
            assert messages[-1].flags & Flag.END
            second = next(place for place, pcm in enumerate(messages) if place and not pcm.sequence_number)
            for part, has_end in ((messages[:second], False), (messages[second:], True)):
                check_whole(part, has_end=has_end)
            assert messages[second].position_samples >= messages[second - 1].end_samples


def is_let_go(directory: Path) -> bool:
    """Whether no process holds the first spool of a directory."""
    spool = Spool.open(directory, 1 << 40)
    spool.close()
    return spool.directory.name == "0"


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*.spool"))


async def test_calls_are_recorded_without_a_nats_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"nats://user:secret@127.0.0.1:{free_port()}"
    async with serve(tmp_path, url, spool=None, memory_bytes=1 << 16) as server:
        simulation = await run_calls(server, 5, 2)
        assert state(server)["waiting_bytes"] <= 1 << 16
    totals = state(server)
    assert totals["dropped"] > 0
    assert totals["lost"] > 0
    assert "Connection refused" in caplog.text
    assert "secret" not in caplog.text
    assert server.bus.published["publish_gap"] > 0
    check_reception(server)
    plan = simulation.plan()
    assert len(list(Path(tmp_path).glob("recordings/*.wav"))) == len(plan.truth().tracks) // 2  # noqa: ASYNC240


async def test_a_server_that_is_required(tmp_path: Path) -> None:
    url = f"nats://127.0.0.1:{free_port()}"
    with pytest.raises(OSError, match=r"cannot connect to 127.0.0.1:\d+: Connection refused"):
        async with serve(tmp_path, url, required="on"):
            pass


async def test_another_rate_and_format_of_one_track(tmp_path: Path) -> None:
    wish = Selection.parse("track=outbound&rate=16000&format=float32")
    with running(tmp_path / "nats") as nats:
        async with serve(tmp_path, nats.url, select=wish, prefix="lab", stream="LAB") as server:
            simulation = await run_calls(server, 3, 2)
        found = await everything(nats.url, "LAB")
        assert {message.subject.split(".")[0] for message in found} == {"lab"}
        tracks = by_track(found)
        assert len(tracks) == 3
        for messages in tracks.values():
            assert {(pcm.sample_rate_hz, pcm.format) for pcm in messages} == {(16000, SampleFormat.FLOAT32)}
            assert len(check_whole(messages)) == 2 * simulation.options.packets * 160


class TestConsumers:
    """`examples/nats_consumer.py`, as it is."""

    async def test_two_share_the_work_and_the_next_goes_on(self, tmp_path: Path) -> None:
        with running(tmp_path / "nats") as nats:
            heard: list[list[tuple[str, int]]] = [[], [], []]
            async with serve(tmp_path, nats.url) as server:
                await until(lambda: state(server)["connected"])
                pair = [await self.listen(nats.url) for _ in range(2)]
                calls = asyncio.create_task(run_calls(server, 6, 3))
                for process, told in zip(pair, heard, strict=False):
                    while len(told) < 5:
                        told.append(await self.next_line(process))
                for process, told in zip(pair, heard, strict=False):
                    process.kill()
                    assert process.stdout is not None
                    rest = (await process.stdout.read()).decode()
                    told += [self.parse(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
                    await process.wait()
                await calls
            found = by_track(await everything(nats.url))
            expected = sorted((pcm.call_id, pcm.position_samples) for track in found.values() for pcm in track)
            last = await self.listen(nats.url)
            while {place for told in heard for place in told} != set(expected):
                heard[2].append(await self.next_line(last))
            last.kill()
            await last.wait()
            assert len(heard[0]) >= 5
            assert len(heard[1]) >= 5

    async def test_partitions_keep_calls_together(self, tmp_path: Path) -> None:
        with running(tmp_path / "nats") as nats:
            async with serve(tmp_path, nats.url, partitions=2) as server:
                await run_calls(server, 6, 2)
            found = await everything(nats.url)
            expected: dict[str, list[tuple[str, int]]] = {"0": [], "1": []}
            for message in found:
                if message.subject.startswith("strep.pcm."):
                    (track,) = by_track([message]).values()
                    expected[message.subject.split(".")[2]].append((track[0].call_id, track[0].position_samples))
            for partition, places in expected.items():
                process = await self.listen(nats.url, partition)
                assert [await self.next_line(process) for _ in places] == places, "in order"
                process.kill()
                await process.wait()

    async def listen(self, url: str, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, str(CONSUMER), url, *arguments, stdout=asyncio.subprocess.PIPE
        )

    async def next_line(self, process: asyncio.subprocess.Process) -> tuple[str, int]:
        assert process.stdout is not None
        line = await process.stdout.readline()
        assert line, "it has ended"
        return self.parse(line.decode())

    def parse(self, line: str) -> tuple[str, int]:
        call_id, _, position, _ = line.split()
        return call_id, int(position)
