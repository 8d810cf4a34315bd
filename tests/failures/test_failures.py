"""The rows of docs/failures.md: what is taken away, that other calls are untouched, and what the user sees of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from media import Server, ServerConfig
from media.carrier.options import SimulationOptions
from media.carrier.pacing import Instant
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint
from strep.clock import NS_PER_SECOND, SystemClock
from tests.failures.served import Served, until

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and /proc are Linux"),
]
PAGE = (Path(__file__).parents[2] / "docs/failures.md").read_text()
HOUR_NS = 3600 * NS_PER_SECOND


def said(text: str) -> str:
    """Return a line of the log that the page quotes, as a pattern's beginning until its first changing part."""
    assert text in PAGE, f"docs/failures.md does not quote {text!r}"
    return text


def recording(folder: Path, *more: str) -> list[str]:
    format_ = ["--record-format", "passthrough", "--idle-timeout", "1s"]
    return ["--record", str(folder / "recordings"), *format_, *more]


def send(server: Served, *, calls: int = 1, seconds: float = 2.0, seed: int = 1) -> list[str]:
    """Send calls at once, and return their ids."""
    simulation = Simulation(SimulationOptions(calls=calls, seconds=seconds, audio=None, seed=seed))
    outcome = asyncio.run(simulation.run(Target(udp=server.udp), Instant()))
    return sorted({track.call_leg_id for track in outcome.truth.tracks})


def sidecar(folder: Path, call_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "recordings" / f"{call_id}.json").read_bytes())
    return found


def nobody() -> int:
    """Return a TCP port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_full_disk_fails_one_recording(tmp_path: Path) -> None:
    """No file may be longer than 100 KB: the kernel refuses in the middle of a write, as a full disk does."""
    with Served(tmp_path, *recording(tmp_path), limit="ulimit -f 200") as server:
        [short], [long] = send(server, seconds=2), send(server, seconds=10, seed=2)
        server.until_metric("strep_calls_ended_total", 2)
        server.until_metric("strep_recordings_failed_total", 1)
        server.until_said(said("recording CALL failed: OSError: ").replace("CALL", long))
        assert server.end() == 0
    failed, whole = sidecar(tmp_path, long), sidecar(tmp_path, short)
    assert (failed["state"], whole["state"], whole["length_samples"]) == ("failed", "complete", 16_000)
    assert failed["error"].startswith("OSError: ")
    assert 0 < failed["length_samples"] < 80_000


def test_too_little_disk_for_more_calls(tmp_path: Path) -> None:
    with Served(tmp_path, *recording(tmp_path, "--min-free", "1000000GiB")) as server:
        server.until_said(said("no call may begin: the disk has "))
        send(server)
        server.until_metric("strep_rejected_total", 200)
        assert server.metric("strep_calls_started_total") == 0
        assert server.end() == 0


def test_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Served(tmp_path, "--record", str(tmp_path / "file" / "recordings")) as server:
        assert server.wait() == 1
        assert said("cannot write recordings to ") in server.log()


def test_a_directory_that_is_removed_amid_a_call(tmp_path: Path) -> None:
    with Served(tmp_path, *recording(tmp_path)) as server:
        [lost] = send(server, seconds=2)
        until((tmp_path / "recordings" / f"{lost}.json").exists, server.log)
        shutil.rmtree(tmp_path / "recordings")
        server.until_metric("strep_calls_ended_total", 1)
        [whole] = send(server, seconds=2, seed=2)
        server.until_metric("strep_calls_ended_total", 2)
        assert server.end() == 1
        assert said("recordings_missing=1") in server.log()
    assert "made anew" in PAGE
    assert sidecar(tmp_path, whole)["state"] == "complete"
    assert not (tmp_path / "recordings" / f"{lost}.wav").exists()


def test_no_descriptors_left(tmp_path: Path) -> None:
    with Served(tmp_path, *recording(tmp_path), limit="ulimit -n 150") as server:
        server.until_said(said("no call may begin: "), said("more files may be opened; raise the limit (ulimit -n)"))
        send(server)
        server.until_metric("strep_rejected_total", 200)
        assert server.metric("strep_calls_started_total") == 0
        assert server.end() == 0


def test_no_nats(tmp_path: Path) -> None:
    pytest.importorskip("nats")
    with Served(tmp_path, *recording(tmp_path, "--nats", f"nats://127.0.0.1:{nobody()}")) as server:
        [call_id] = send(server)
        server.until_metric("strep_calls_ended_total", 1)
        server.until_said(said("trying again; messages wait"))
        assert server.metric("strep_nats_connected") == 0
        assert server.end() == 0
    assert sidecar(tmp_path, call_id)["state"] == "complete"


def test_no_receiver_of_webhooks(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with Served(tmp_path, *recording(tmp_path, "--webhook", f"http://127.0.0.1:{nobody()}/x")) as server:
        [call_id] = send(server)
        server.until_metric("strep_webhooks_waiting", 1)
        server.until_said(said("does not take events"))
        server.until_metric("strep_calls_ended_total", 1)
        assert server.end() == 0
        assert said("deliveries are lost with this process; --webhook-spool keeps them") in server.log()
    assert sidecar(tmp_path, call_id)["state"] == "complete"


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = f"file://{tmp_path}/file/store"
    with Served(tmp_path, *recording(tmp_path, "--deliver-to", store)) as server:
        [call_id] = send(server)
        server.until_metric("strep_deliveries_waiting", 1)
        assert server.end() == 0
        assert said("recordings are not delivered yet; the next start goes on with them") in server.log()
    assert sidecar(tmp_path, call_id)["state"] == "complete"


def test_the_process_that_delivers_is_killed(tmp_path: Path) -> None:
    with Served(tmp_path, *recording(tmp_path, "--deliver-format", "flac")) as server:
        [call_id] = send(server)
        os.kill(server.child("media.delivery.process"), signal.SIGKILL)  # it is there when a recording is
        server.until_said(said("the process that delivers recordings ended; again in "))
        server.until_metric("strep_deliveries_total", 1)
        assert server.end() == 0
    assert (tmp_path / "recordings" / f"{call_id}.flac").exists()


def test_a_worker_is_killed(tmp_path: Path) -> None:
    with Served(tmp_path, *recording(tmp_path, "--workers", "2")) as server:
        ids = send(server, calls=4)
        server.until_metric("strep_recordings_started_total", 4)
        os.kill(server.child("media.workers.worker"), signal.SIGKILL)
        server.until_said(said("worker ended, its calls go on in a new one"))
        server.until_metric("strep_worker_restarts_total", 1)
        until(lambda: all(sidecar(tmp_path, one)["state"] != "recording" for one in ids), server.log)
        assert server.end() == 0
    assert "the recorder died, and the call was not heard of again" in PAGE
    for call_id in ids:
        found = sidecar(tmp_path, call_id)
        assert found["state"] == "complete" or "the recorder died" in found["error"]


class Stepped(SystemClock):
    """A wall clock that somebody sets."""

    step_ns = 0

    def wall_ns(self) -> int:
        return super().wall_ns() + self.step_ns


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS])
async def test_the_clock_is_set_amid_a_call(step_ns: int, tmp_path: Path) -> None:
    """No call ends, no sample moves; only the names of moments are those of the clock."""
    clock, options = Stepped(), SimulationOptions(seconds=2, audio=None, calls=2)
    config = ServerConfig(udp=Endpoint("127.0.0.1", 0), record=tmp_path / "recordings", record_format="passthrough")
    async with Server(config, clock=clock) as server:
        target = Target(udp=("127.0.0.1", int(server.addresses["udp"].rpartition(":")[2])))

        async def received(datagrams: int) -> None:
            while server.snapshot()["doors"]["udp"]["datagrams"] < datagrams:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        async def step() -> None:
            await received(200)
            clock.step_ns = step_ns

        outcome, _ = await asyncio.gather(Simulation(options).run(target), step())
        await received(outcome.truth.datagrams)
        assert server.engine.calls_ended == 0
    for call_id in {track.call_leg_id for track in outcome.truth.tracks}:
        document = sidecar(tmp_path, call_id)
        assert (document["state"], document["length_samples"]) == ("complete", 16_000)
        assert [track["totals"]["received"] for track in document["tracks"]] == [16_000, 16_000]
        assert [track["ledger"] for track in document["tracks"]] == [[], []]
        assert abs(document["ended_wall_ns"] - document["started_wall_ns"] - step_ns) < HOUR_NS // 2


WALL_CLOCK = {
    "media/admission/command.py": "until when a token is good",
    "media/admission/configured.py": "which of what is remembered over restarts is over",
    "media/admission/desk.py": "until when a leg is announced, which outlives processes",
    "media/alarms/watch.py": "since when an alarm is raised, for people",
    "media/carrier/announcing.py": "when a webhook of the simulated carrier was signed",
    "media/cdr/writer.py": "the day in the name of a file",
    "media/delivery/companion.py": "age of a job, which outlives processes",
    "media/delivery/deliverer.py": "whether a file has just been written",
    "media/demo/command.py": "the name of a folder",
    "media/doctor/readings.py": "whether this clock can be right",
    "media/engine.py": "when a call began and ended, for sidecars",
    "media/events/bus.py": "when an event was",
    "media/http/carrier.py": "whether a webhook of the carrier is fresh, by when it was signed",
    "media/http/legs.py": "when an announcement was withdrawn, which late webhooks are held against",
    "media/http/watch.py": "what time the page shows",
    "media/http/watch_all.py": "the same, of all workers",
    "media/nats/intake.py": "ids of messages, which have to differ after a restart",
    "media/nats/process.py": "when a message was",
    "media/nats/publisher.py": "age of the spool, which outlives processes",
    "media/sealing/command.py": "when a key was made, for people",
    "media/sinks/continuation.py": "where position 0 is, for the process after this one",
    "media/sinks/salvage.py": "for how long nobody listened after the machine was started again",
    "media/webhooks/companion.py": "the name of a folder",
    "media/webhooks/postman.py": "age of a webhook, which outlives processes",
    "media/workers/house.py": "until when a leg is announced, which outlives processes",
    "media/workers/supervisor.py": "since when an alarm is raised, for people",
    "media/ws/door.py": "whether a token has expired",
    "strep/clock.py": "the clock itself",
    "strep/mmsg.py": "moves the kernel's stamps to the monotonic clock, within bounds",
}
"""Who reads the wall clock, and what for; nobody decides by it about calls, deadlines or samples."""


def test_who_reads_the_wall_clock() -> None:
    root = Path(__file__).parents[2]
    reads = re.compile(r"\.wall_ns\(\)|time\.time\w*\(|datetime\.now\(")
    files = [path for package in ("media", "strep") for path in (root / package).rglob("*.py")]
    assert {str(path.relative_to(root)) for path in files if reads.search(path.read_text())} == WALL_CLOCK.keys()
