"""The whole server, with engines that hang and crash: nothing of it reaches a recording or another call."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from media import Server, ServerConfig
from media.carrier.audio import CONVERSATION, load
from media.carrier.options import SimulationOptions, Transport
from media.carrier.simulation import Outcome, Simulation, Target
from media.events.transcripts import Transcription, TranscriptionMissing
from media.metrics.families import families
from media.metrics.totals import Totals
from media.talk.call import LiveCall
from media.transcribing import limits
from media.transcribing.process import EngineProcess
from strep.errors import UsageError
from tests.media.harness import sidecar
from tests.media.recorded import LOOPBACK, SharedTime, check, run_all
from tests.media.serving import address
from tests.patience import PATIENCE_S
from tests.transcribing.scripted import install
from tests.transcribing.webvtt import read

pytestmark = pytest.mark.realtime
SECONDS = 3.0
FROM = 8000 * 3
"""From here on, both speak soon, and the caller pauses in the fourth second."""
LOUD = load(CONVERSATION)[:, FROM : FROM + round(8000 * SECONDS)]
QUIET = LOUD // 4
LIMIT = int(np.abs(QUIET.astype(int)).max()) + 500
"""What is louder has an engine hang or crash: one call is, the other is not."""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", monkeypatch)
    monkeypatch.setattr("media.server.SINK_STOP_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(limits, "Limits", partial(limits.Limits, close_s=PATIENCE_S, backoff_s=0.01))


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the process ids of workers, as they are started."""
    started: list[int] = []
    start = EngineProcess.__init__

    def started_too(self: EngineProcess) -> None:
        start(self)
        started.append(self.pid)

    monkeypatch.setattr(EngineProcess, "__init__", started_too)
    return started


def transcript(directory: Path, call_id: str) -> list[dict[str, Any]]:
    """Return the lines behind the first."""
    content = (directory / f"{call_id}.transcript.jsonl").read_text()
    assert content.endswith("\n")
    return [json.loads(line) for line in content.splitlines()][1:]


def there_of(pids: list[int]) -> list[int]:
    """Return those that there are, the dead that nobody asked after included."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def written(path: Path, pcm: NDArray[np.int16]) -> Path:
    soundfile.write(path, pcm.T, 8000, subtype="PCM_16")
    return path


async def record_both(
    tmp_path: Path, transcribe: str, **config: Any
) -> tuple[Server, Path, list[tuple[Simulation, Outcome]]]:
    """Record a loud call and a quiet one, and transcribe them."""
    directory = tmp_path / "recordings"
    directory.mkdir()
    simulations = [
        Simulation(SimulationOptions(seconds=SECONDS, audio=written(tmp_path / f"{seed}.wav", pcm), seed=seed))
        for seed, pcm in enumerate((LOUD, QUIET))
    ]
    for simulation in simulations:
        simulation.plan()
    settings: dict[str, Any] = {"udp": LOOPBACK, "record": directory, "record_format": "passthrough", **config}
    time = SharedTime()
    async with Server(ServerConfig(transcribe=transcribe, **settings), clock=time) as server:
        outcomes = await run_all(simulations, Target(udp=address(server.addresses["udp"])), time)
    return server, directory, list(zip(simulations, outcomes, strict=True))


def counters(server: Server) -> dict[str, Any]:
    [details] = [sink["details"] for sink in server.snapshot()["sinks"] if sink["name"] == "transcription"]
    [engine] = details["engines"].values()
    assert isinstance(engine, dict)
    return engine


@pytest.mark.parametrize("trouble", ["hang", "crash", "fail"])
async def test_an_engine_in_trouble_costs_no_recorded_sample_and_no_other_transcript(
    tmp_path: Path, trouble: str, workers: list[int]
) -> None:
    server, directory, calls = await record_both(
        tmp_path,
        f"scripted:{trouble}={LIMIT}",
        transcribe_timeout_s=2.0 if trouble == "hang" else PATIENCE_S,
        transcribe_workers=1,
    )
    counter = {"hang": "hung", "crash": "died", "fail": "recognizers_failed"}[trouble]
    assert counters(server)[counter] >= 1
    for simulation, outcome in calls:
        for number, truth in enumerate(outcome.truth.tracks):
            check(directory, truth.call_leg_id, simulation, number, truth)
            assert sidecar(directory, truth.call_leg_id)["state"] == "complete"
    assert server.snapshot()["kernel_drops"] == 0
    assert counters(server)["workers"] == 0
    assert workers
    assert there_of(workers) == []
    assert server.unfinished_sinks == []
    totals = Totals()
    totals.report(0, server.snapshot())
    told = {sample.name: sample.value for family in families(totals) for sample in family.samples}
    assert told["strep_transcription_backlog_age_seconds"] == 0
    assert told["strep_transcription_missing_seconds_total"] > 0
    loud, quiet = (outcome.truth.tracks[0].call_leg_id for _, outcome in calls)
    missing = [line for line in transcript(directory, loud) if line["event"] == TranscriptionMissing.NAME]
    assert missing
    assert all(line["reason"] for line in missing)
    read(directory / f"{loud}.vtt")
    heard = [line for line in transcript(directory, quiet) if line["event"] == Transcription.NAME]
    assert {line["track"] for line in heard} == {"inbound", "outbound"}
    assert max(line["position_ms"] + line["duration_ms"] for line in heard) > 1000 * (SECONDS - 1)


@pytest.mark.parametrize(("asked_ms", "given_ms"), [(20, 20), (50, 40), (100, 100), (130, 100)])
def test_blocks_are_such_that_voices_can_be_told(asked_ms: int, given_ms: int) -> None:
    server = Server(ServerConfig(udp=LOOPBACK, transcribe="scripted", block_ms=asked_ms))
    assert server.engine.timeline.settings.block_ms == given_ms


async def test_a_worker_that_crashed_once_is_replaced_and_its_call_goes_on(tmp_path: Path) -> None:
    server, directory, calls = await record_both(tmp_path, f"scripted:crash={LIMIT},once={tmp_path / 'once'}")
    assert counters(server)["died"] == 1
    lines = transcript(directory, calls[0][1].truth.tracks[0].call_leg_id)
    missing = [line for line in lines if line["event"] == TranscriptionMissing.NAME]
    assert {line["reason"] for line in missing} == {"the engine was killed by signal 11"}
    gap = max(line["position_ms"] + line["duration_ms"] for line in missing)
    assert any(line["event"] == Transcription.NAME and line["position_ms"] >= gap for line in lines)


async def test_an_application_has_a_call_transcribed(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    trouble: list[str] = []

    async def app(call: LiveCall) -> None:
        await call.start_transcription("scripted", transcription_tracks="inbound")
        try:
            await call.start_transcription("scripted")
        except UsageError as error:
            trouble.append(str(error))
        async for event in call.events():
            if event["event"].startswith("transcription"):
                said.append(event)
                await call.stop_transcription()

    audio = written(tmp_path / "call.wav", load(CONVERSATION)[:, FROM:])
    simulation = Simulation(SimulationOptions(transport=Transport.WEBSOCKET, audio=audio, seconds=6))
    simulation.plan()
    async with Server(ServerConfig(ws=LOOPBACK), app=app) as server:
        await simulation.run(Target(stream_url=f"ws://{server.addresses['ws']}/"))
    assert trouble
    assert len(said) == 1
    assert said[0]["is_final"]
    assert said[0]["track"] == "inbound"
    assert server.bus.published[Transcription.NAME] == 1
    assert TranscriptionMissing.NAME not in server.bus.published
