"""A process that is killed (SIGKILL) has told what happened in its calls: all but a second of the ledger, and events.

Engine and recording under a clock that the test moves, with loss, late packets and keys; the oracle is the sidecar of
the same call when nobody is killed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions
from media.carrier.plan import Plan, make_plan
from media.sinks.salvage import Salvage
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from tests.media.harness import BEGINNING_NS, Bench
from tests.sinks.sidecars import check

RATE_HZ = 8000
STEP_NS = 5 * NS_PER_MS
KEYS = ((1_500 * NS_PER_MS, "1"), (3_100 * NS_PER_MS, "2"), (5_000 * NS_PER_MS, "3"))


def drive(bench: Bench, plan: Plan, from_ns: int, until_ns: int) -> None:
    for now_ns, start, stop in plan.batches(STEP_NS):
        if from_ns <= now_ns < until_ns:
            bench.clock.monotonic_ns = BEGINNING_NS + now_ns
            bench._feed(plan, start, stop)
            bench.engine.poll(bench.clock.now_ns())


def kinds(track: dict[str, Any]) -> Any:
    """Return what each sample of a call is in one direction, (n,) of strings."""
    what = np.full(track["start_samples"] + track["length_samples"], "received", "<U12")
    what[: track["start_samples"]] = ""
    for span in track["ledger"]:
        what[span["start_samples"] : span["start_samples"] + span["length_samples"]] = span["kind"]
    return what


def plan_of(loss: float) -> Plan:
    network = NetworkModel(
        loss, reorder=loss / 2, reorder_delay_ms=150, jitter_ms=30 if loss else 0, max_delay_ms=150
    )
    return make_plan(SimulationOptions(calls=3, seconds=7, network=network, presses=KEYS if loss else ()))


@pytest.fixture(scope="module", params=[0.0, 0.08])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a plan, the sidecars of calls that nobody killed, and directories as they were while they went on."""
    plan, directory = plan_of(request.param), tmp_path_factory.mktemp("recorded")
    bench, moments = Bench(directory, recording_format="pcm16"), list[tuple[int, Path]]()
    for moment_ns in range(900 * NS_PER_MS, 6_500 * NS_PER_MS, 700 * NS_PER_MS):
        drive(bench, plan, moments[-1][0] if moments else 0, moment_ns)
        moments.append((moment_ns, directory.with_name(f"{directory.name}-{moment_ns}")))
        shutil.copytree(directory, moments[-1][1])
    drive(bench, plan, moments[-1][0], 1 << 62)
    bench.engine.end_all("shutdown")
    assert not [path for path in directory.iterdir() if path.name.startswith(".")]
    return plan, {path.stem: check(path) for path in directory.glob("*.json")}, moments


def compare(there: dict[str, Any], truth: dict[str, Any], until: int) -> None:
    """All up to a second before `until` is as it is in the truth, and what comes then is, or is not known."""
    assert [track["direction"] for track in there["tracks"]] == [track["direction"] for track in truth["tracks"]]
    for track, true in zip(there["tracks"], truth["tracks"], strict=True):
        assert sum(track["totals"].values()) == track["length_samples"]
        found, expected = kinds(track)[:until], kinds(true)
        assert not (found[: max(until - RATE_HZ, 0)] == "unaccounted").any()
        length = min(len(found), len(expected))
        is_same = found[:length] == expected[:length]
        is_late = (found[:length] == "lost") & (expected[:length] == "late-patched")  # it came when nobody was there
        assert (is_same | is_late | (found[:length] == "unaccounted")).all()
        assert (found[length:] == "unaccounted").all()


def test_who_finishes_it_knows(recorded: Any, tmp_path: Path) -> None:
    _, truth, moments = recorded
    told = 0
    for _, there in moments:
        directory = shutil.copytree(there, tmp_path / there.name)
        Salvage(directory, 0, clock=ManualClock(3600 * NS_PER_SECOND))._run()
        assert not [path for path in directory.iterdir() if path.name.startswith(".")]
        for call_id, true in truth.items():
            document = check(directory / f"{call_id}.json")
            length = document["length_samples"]
            if not length:
                continue
            compare(document, true, length)
            told += sum(len(track["ledger"]) for track in document["tracks"])
            events = document["events"]
            assert events == true["events"][: len(events)]
            assert all(event["position_samples"] >= length - RATE_HZ for event in true["events"][len(events) :])
    assert told


def test_who_goes_on_with_it_knows(recorded: Any, tmp_path: Path) -> None:
    """Once, and once more: the second process is killed as well."""
    plan, truth, moments = recorded
    for (first_ns, there), (second_ns, _) in zip(moments[1::3], moments[3::3], strict=False):
        directory = shutil.copytree(there, tmp_path / there.name)
        ends = []
        for from_ns, until_ns in ((first_ns + 200 * NS_PER_MS, second_ns), (second_ns + 300 * NS_PER_MS, 1 << 62)):
            ends.append({call_id: check(directory / f"{call_id}.json") for call_id in truth})
            bench = Bench(directory, recording_format="pcm16")
            drive(bench, plan, from_ns, until_ns)
            for recording in bench.recording._live.values():
                if until_ns < 1 << 62 and recording.wav is not None:
                    recording.wav.let_go()
        bench.engine.end_all("shutdown")
        Salvage(directory, 0)._run()
        for call_id, true in truth.items():
            document = check(directory / f"{call_id}.json")
            assert len(document["restarts"]) == 2
            first, second = document["restarts"]
            compare(document, true, first["start_samples"])
            again = first["start_samples"] + first["length_samples"]
            for track in document["tracks"]:
                what = kinds(track)
                assert (what[first["start_samples"] : again] == "restart").all()
                known = what[again : max(second["start_samples"] - RATE_HZ, again)]
                assert not (known == "unaccounted").any()
                assert not (what[second["start_samples"] + second["length_samples"] :] == "unaccounted").any()
