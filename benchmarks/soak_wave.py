"""A wave of calls of one kind: sent by a process of its own, which then judges what the server made of it.

Who sent a wave has its whole truth in memory, so every file of every call is read back and compared, to the sample,
and removed: an hour needs no more disk than the calls that are going on.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.referee import limited
from benchmarks.soak_verdict import Verdict
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport, WebSocketOptions
from media.carrier.pacing import RealTime
from media.carrier.simulation import Simulation, Target
from media.runtime import loop_factory
from strep.clock import NS_PER_MS, NS_PER_SECOND, SystemClock

KINDS = {"strep": 0.6, "rtp": 0.2, "telnyx": 0.1, "twilio": 0.1}
"""How the calls come, and which share of them so."""
LINE = NetworkModel(loss=0.01, reorder=0.01, duplicate=0.005, jitter_ms=10)
"""An ordinary bad line, for datagrams."""
STREAM = NetworkModel(jitter_ms=10)
"""What TCP makes of it."""
_GRID_NS = 20 * NS_PER_MS


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
            return Target(rx=_address(pair["rx"]), tx=_address(pair["tx"]), source=self.host)
        return Target(stream_url=f"ws://{self.addresses['ws']}/{self.kind}")

    @property
    def host(self) -> str:
        """Address of this machine that plain RTP comes from, another for each wave.

        A call that gets the port of one that has just fallen silent is, to the server, the same source with a new
        SSRC, and the kernel gives ports out at random.
        """
        return f"127.2.{self.number >> 8 & 255}.{self.number & 255}"

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
    pair = wave.pair if wave.kind == "rtp" else ""
    verdict = Verdict(plan, outcome.truth.tracks, outcome.report.lateness.max_ns, Path(wave.recordings), pair)
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


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
