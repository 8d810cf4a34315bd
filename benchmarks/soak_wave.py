"""A wave of calls of one kind: sent by a process of its own, which then judges what the server made of it.

Who sent a wave has its whole truth in memory, so every file of every call is read back and compared, to the sample,
and removed: an hour needs no more disk than the calls that are going on.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks import wav
from benchmarks.referee import limited
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport, WebSocketOptions
from media.carrier.pacing import RealTime
from media.carrier.plan import Plan
from media.carrier.simulation import Simulation, Target
from media.carrier.truth import TrackTruth
from media.serve import loop_factory
from strep.clock import NS_PER_MS, NS_PER_SECOND, SystemClock

KINDS = {"strep": 0.6, "rtp": 0.2, "telnyx": 0.1, "twilio": 0.1}
"""How the calls come, and which share of them so."""
LINE = NetworkModel(loss=0.01, reorder=0.01, duplicate=0.005, jitter_ms=10)
"""An ordinary bad line, for datagrams."""
STREAM = NetworkModel(jitter_ms=10)
"""What TCP makes of it."""
Channel = NDArray[Any]
_GRID_NS = 20 * NS_PER_MS
_FILES_TIMEOUT_S = 180.0
_LOOK_S = 1.0
_SLACK_NS = NS_PER_SECOND // 2
"""More than a sender was late: the network's jitter and the server's own beat come to that."""
_RATE_HZ = 8000
_SILENCE = 0xFF
"""Of mu-law."""


class Wave(msgspec.Struct, frozen=True):
    """Calls that begin one after another.

    Attributes:
        number: counts the waves; it is the seed as well.
        kind: one of `KINDS`.
        calls: how many.
        seconds: how long each lasts.
        stagger_s: from one beginning to the next.
        start_ns: of the first one, on the monotonic clock.
        addresses: of the server; with several pairs of RTP ports the waves take turns.
        recordings: directory.
        is_clean: the line is perfect: what is not there then is the server's fault.
    """

    number: int
    kind: str
    calls: int
    seconds: float
    stagger_s: float
    start_ns: int
    addresses: dict[str, Any]
    recordings: str
    is_clean: bool = False

    @property
    def network(self) -> NetworkModel:
        """What becomes of packets on their way."""
        if self.is_clean:
            return NetworkModel()
        return LINE if self.kind in ("strep", "rtp") else STREAM

    @property
    def options(self) -> SimulationOptions:
        """What the simulated carrier is asked for."""
        transports = {"strep": Transport.STREP, "rtp": Transport.RTP}
        dialect = self.kind if self.kind not in transports else "telnyx"
        return SimulationOptions(
            transport=transports.get(self.kind, Transport.WEBSOCKET),
            calls=self.calls,
            seconds=self.seconds,
            stagger_ms=self.stagger_s * 1000,
            audio=None,  # a sound of its own for every track
            seed=1000 + self.number,
            network=self.network,
            websocket=WebSocketOptions(dialect=dialect, tracks=("inbound", "outbound")),
        )

    @property
    def target(self) -> Target:
        """Where it is sent to."""
        if self.kind == "strep":
            return Target(udp=_address(self.addresses["udp"]), segmented=True)
        if self.kind == "rtp":
            pair = self.addresses["rtp"][self.pair]
            return Target(rx=_address(pair["rx"]), tx=_address(pair["tx"]))
        return Target(stream_url=f"ws://{self.addresses['ws']}/{self.kind}")

    @property
    def pair(self) -> str:
        """Name of the RTP ports."""
        names = sorted(self.addresses["rtp"])
        name: str = names[self.number // len(KINDS) % len(names)]
        return name


class WaveResult(msgspec.Struct, frozen=True):
    """What became of a wave.

    Attributes:
        number: as in `Wave`.
        kind: as in `Wave`.
        calls: that were made.
        seconds: of each.
        given: packets, or frames, that the carrier gave to the network.
        network_lost: of these.
        duplicated: that the network made of them.
        sent: what left, with duplicates: what the server's socket was to get.
        refused: sends that were answered by "nobody listens there".
        received: packets and frames in the sidecars.
        missing_files: calls without a complete recording.
        exact_tracks: that are what was sent, to the sample.
        stalled_tracks: of these, that have silence put in where the sender itself had stalled for seconds.
        short_tracks: that lack packets which were sent: the kernel dropped them.
        late_patched_samples: that came when their place had been given up, and were put there all the same.
        opened: by which program, how many files.
        late_ms: of the sender, p99 and most.
        complaints: whatever is not as it should be.
    """

    number: int
    kind: str
    calls: int
    seconds: float
    given: int
    network_lost: int
    duplicated: int
    sent: int
    refused: int
    received: int
    missing_files: int
    exact_tracks: int
    stalled_tracks: int
    short_tracks: int
    late_patched_samples: int
    opened: dict[str, int]
    late_ms: tuple[float, float]
    complaints: list[str] = []


@dataclass(frozen=True)
class Gridded:
    """A pacer that wakes up every 20 ms: a carrier that sends what is due then, as many do."""

    clock: RealTime
    phase_ns: int

    def now_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return self.clock.now_ns()

    async def sleep_until(self, deadline_ns: int) -> None:
        """Sleep until the next beat at or after `deadline_ns`."""
        beats = -(-(deadline_ns - self.phase_ns) // _GRID_NS)
        await self.clock.sleep_until(self.phase_ns + beats * _GRID_NS)


def play(wave: Wave) -> WaveResult:
    """Send a wave when it is due, wait for its files, judge them and remove them."""
    clock, simulation = SystemClock(), Simulation(wave.options)
    plan = simulation.plan()
    time.sleep(max(0, wave.start_ns - clock.now_ns()) / NS_PER_SECOND)
    phase_ns = wave.number * 1_370_000 % _GRID_NS
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        outcome = runner.run(simulation.run(wave.target, Gridded(RealTime(clock), phase_ns)))
    verdict = Verdict(wave, plan, outcome.truth.tracks, outcome.report.lateness.max_ns)
    complaints = limited(verdict.complaints())
    if outcome.report.closed_early:
        complaints.append(f"the server closed the sockets of {outcome.report.closed_early} calls early")
    lateness = outcome.report.lateness
    return WaveResult(
        wave.number,
        wave.kind,
        wave.calls,
        wave.seconds,
        outcome.truth.total("sent"),
        outcome.truth.total("dropped"),
        outcome.truth.total("duplicated"),
        outcome.report.sent,
        outcome.report.refused,
        verdict.received,
        verdict.missing,
        verdict.exact,
        verdict.stalled,
        verdict.short,
        verdict.late_patched,
        verdict.opened,
        (lateness.percentile_ms(99), lateness.max_ns / NS_PER_MS),
        complaints,
    )


class Verdict:
    """The files of a wave, compared with what was sent; counters as in `WaveResult`."""

    def __init__(self, wave: Wave, plan: Plan, tracks: list[TrackTruth], late_ns: int) -> None:
        """Look at nothing yet; `late_ns`: by so much the sender was late at worst."""
        self._wave, self._plan, self._tracks, self._late_ns = wave, plan, tracks, late_ns
        self._directory = Path(wave.recordings)
        self.received = self.missing = self.exact = self.stalled = self.short = self.late_patched = 0
        self.opened: dict[str, int] = {}

    def complaints(self) -> Iterator[str]:
        """Wait for the files, read them all, remove them; yield what is wrong with them."""
        calls: dict[int, list[int]] = {}
        for number, track in enumerate(self._tracks):
            calls.setdefault(track.call, []).append(number)
        found = self._wait(calls)
        self.missing = len(calls) - len(found)
        if self.missing:
            yield f"{self.missing} of {len(calls)} recordings are not there, or not complete"
        yield from self._open([path.with_suffix(".wav") for path in found.values()])
        for call, sidecar_path in found.items():
            for complaint in self._judge(calls[call], sidecar_path):
                yield f"{sidecar_path.stem}: {complaint}"
            sidecar_path.with_suffix(".wav").unlink(missing_ok=True)
            sidecar_path.unlink()

    def _wait(self, calls: dict[int, list[int]]) -> dict[int, Path]:
        """Return the sidecar of each call whose recording is complete, when all are or the time is over."""
        found: dict[int, Path] = {}
        deadline = time.monotonic() + _FILES_TIMEOUT_S
        while len(found) < len(calls) and time.monotonic() < deadline:
            for call in calls.keys() - found.keys():
                path = self._sidecar(self._tracks[calls[call][0]])
                if path is not None and _state(path) in ("complete", "failed"):
                    found[call] = path
            time.sleep(_LOOK_S if len(found) < len(calls) else 0)
        return found

    def _sidecar(self, track: TrackTruth) -> Path | None:
        if self._wave.kind != "rtp":
            return self._directory / f"{track.stream_id or track.call_leg_id}.json"
        # Named after its first track, whichever of the two that was.
        ssrcs = {other.epochs[0].ssrc for other in self._tracks if other.call == track.call}
        names = (f"{self._wave.pair}-*-{ssrc:08x}.json" for ssrc in ssrcs)
        return next((path for name in names for path in self._directory.glob(name)), None)

    def _open(self, files: list[Path]) -> Iterator[str]:
        """Let other programs read the headers of all files, and decode one."""
        programs = {"soxi": ["soxi", *map(str, files)], "ffprobe": ["ffprobe", "-v", "error", str(files[-1])]}
        for name, command in programs.items() if files else ():
            if shutil.which(name) is None:
                continue
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode or done.stderr:
                yield f"{name}: {done.stderr.strip()[:300] or f'exit code {done.returncode}'}"
            else:
                self.opened[name] = len(command) - 1 if name == "soxi" else 1

    def _judge(self, numbers: list[int], path: Path) -> Iterator[str]:
        try:
            audio = wav.read(path.with_suffix(".wav"))
            sidecar = msgspec.json.decode(path.read_bytes())
        except (OSError, ValueError) as error:
            yield str(error)
            return
        if sidecar["state"] != "complete" or sidecar["length_samples"] != len(audio.frames):
            yield f"{sidecar['state']}, {sidecar['length_samples']} samples; the file has {len(audio.frames)}"
        if len(sidecar["tracks"]) != len(numbers):
            yield f"{len(sidecar['tracks'])} tracks, {len(numbers)} were sent"
        reports = {report["direction"]: report for report in sidecar["tracks"]}
        for number in numbers:
            report = reports.get(self._tracks[number].direction)
            if report is None:
                yield f"no {self._tracks[number].direction} track"
                continue
            yield from self._judge_track(number, report, audio)
        ends = [report["start_samples"] + report["length_samples"] for report in sidecar["tracks"]]
        if ends and max(ends) != len(audio.frames):
            yield f"the file has {len(audio.frames)} samples, its tracks end at {max(ends)}"

    def _judge_track(self, number: int, report: dict[str, Any], audio: wav.Audio) -> Iterator[str]:
        """Counters and samples; what the kernel dropped may be missing, and nothing else."""
        truth, counted, totals = self._tracks[number], report["statistics"], report["totals"]
        self.received += counted["received"]
        self.late_patched += totals["late-patched"]
        fates = ("delivered", "duplicate", "late", "invalid", "quarantined", "in_flight")
        if counted["received"] != sum(counted[fate] for fate in fates) or counted["in_flight"]:
            yield f"{truth.direction}: packets do not add up: {counted}"
        if sum(totals.values()) != report["length_samples"]:
            yield f"{truth.direction}: the ledger has {sum(totals.values())} of {report['length_samples']} samples"
        dropped = truth.delivered + truth.duplicated - counted["received"]
        if dropped < 0:
            yield f"{truth.direction}: {-dropped} packets more than were sent"
        expected = self._plan.expected_encoded(number)
        heard = audio.frames[report["start_samples"] :, report["channel"]]
        heard, put_in = self._without_stalls(heard, report)
        heard, length = heard[: len(expected)], report["length_samples"] - put_in
        if dropped == 0 and (length != truth.total_samples or len(heard) != len(expected)):
            yield f"{truth.direction}: {length} samples of {truth.total_samples}"
        elif np.array_equal(heard, expected):
            self.exact += 1
            self.stalled += put_in > 0
        elif dropped > 0 and _lacks(heard, expected) <= dropped * truth.samples_per_packet:
            self.short += 1
        else:
            yield f"{truth.direction}: {_difference(heard, expected)}; {dropped} packets dropped, {counted}"

    def _without_stalls(self, heard: Channel, report: dict[str, Any]) -> tuple[Channel, int]:
        """Return the channel without the silence where the sender itself had stalled, and how much of that there was.

        A sender that did not get the processor for seconds, and goes on late, is put there by the arrival clock: the
        ledger calls that restart, in media streams, whose frames have no time of their own, silence. No such span may
        be longer than the sender was late.
        """
        kinds = ("restart",) if self._wave.kind in ("strep", "rtp") else ("restart", "silence")
        most_samples = (self._late_ns + _SLACK_NS) * _RATE_HZ // NS_PER_SECOND
        is_kept = np.ones(len(heard), np.bool_)
        for span in report["ledger"]:
            if span["kind"] in kinds and span["length_samples"] <= most_samples:
                first = span["start_samples"] - report["start_samples"]
                place = slice(first, first + span["length_samples"])
                is_kept[place] = heard[place] != _SILENCE  # sound there would be kept, and found wrong
        return heard[is_kept], int(len(heard) - is_kept.sum())


def _difference(heard: Channel, expected: Channel) -> str:
    wrong = np.flatnonzero(heard != expected[: len(heard)])
    first = f", the first at {wrong[0]}" if len(wrong) else ""
    return f"{len(wrong)} samples of {len(expected)} are not what was sent{first}"


def _lacks(heard: Channel, expected: Channel) -> int:
    """Return how many samples are silence that were not sent so, or missing at the end; a lot if others are wrong."""
    known = expected[: len(heard)]
    wrong = heard != known
    if (heard[wrong] != _SILENCE).any():
        return len(expected) + 1 << 20
    return int(wrong.sum()) + len(expected) - len(heard)


def _state(path: Path) -> str:
    try:
        state: str = msgspec.json.decode(path.read_bytes())["state"]
    except (OSError, ValueError):  # not there, or just being replaced
        return ""
    return state


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
