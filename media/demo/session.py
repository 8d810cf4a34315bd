"""One demonstration: a server, simulated carriers that call it at the same time, and what was seen of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions, Transport
from media.carrier.simulation import Outcome, Simulation, Target
from media.carrier.truth import TrackTruth
from media.config import Endpoint, ServerConfig
from media.demo.meter import BLOCK_SAMPLES, FULL_SCALE, HISTORY, Meter, TrackKey, level
from media.demo.talk import Talk
from media.server import Server
from strep.clock import NS_PER_SECOND, Clock, SystemClock

NETWORK = NetworkModel(
    loss=0.02,
    burst_loss=2,
    reorder=0.03,
    reorder_delay_ms=120,
    duplicate=0.01,
    jitter_ms=8,
    max_delay_ms=120,
)
"""A bad line. Some packets come later than the 60 ms that a hole is waited for, and are patched in."""
DOORS = {Transport.STREP: "strep", Transport.WEBSOCKET: "ws"}
HEARD = "heard"
"""Stands for a direction where it is shown what a caller hears."""
_REFRESH_S = 0.125


@dataclass(frozen=True, slots=True)
class Party:
    """One track of the demonstration.

    Attributes:
        key: call_id and direction, as the server names them.
        door: "strep" or "ws".
        simulation: who sends it.
        number: its number in the simulation's plan.
        truth: what the carrier knows about it.
    """

    key: TrackKey
    door: str
    simulation: Simulation
    number: int
    truth: TrackTruth


@dataclass(frozen=True, slots=True)
class TrackView:
    """What is to be seen of a track at one moment: what was sent, what the server counts, how loud it is.

    Of what a caller hears, nothing is sent by the carrier or counted by the server.
    """

    party: Party
    sent: int | None
    statistics: dict[str, Any]
    levels: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class View:
    """All tracks at one moment, ``elapsed_s`` after the beginning; nothing follows the last one."""

    elapsed_s: float
    tracks: list[TrackView]
    is_last: bool


@dataclass(slots=True)
class Session:
    """A demonstration.

    Attributes:
        directory: of the recordings.
        seconds: length of each conversation.
        calls: conversations by each door.
        talk: the call that is answered.
        addresses: where the server listens, once it does.
        totals: the server's counters at the end.
    """

    directory: Path
    seconds: float
    calls: int
    clock: Clock = field(default_factory=SystemClock)
    addresses: dict[str, Any] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)
    _meter: Meter = field(default_factory=Meter)
    _seen: dict[TrackKey, dict[str, Any]] = field(default_factory=dict)
    _simulations: list[Simulation] = field(init=False)
    parties: list[Party] = field(init=False)
    talk: Talk = field(init=False)

    def __post_init__(self) -> None:
        self.talk = Talk(self.directory, self.seconds)
        self._simulations = [
            Simulation(SimulationOptions(transport, self.calls, self.seconds, network=NETWORK, seed=seed))
            for seed, transport in enumerate(DOORS, start=1)
        ]
        self.parties = [
            party for simulation in (*self._simulations, self.talk.simulation) for party in _parties(simulation)
        ]

    @property
    def length_s(self) -> float:
        """When the last call is over."""
        return max(self.seconds, self.talk.seconds)

    async def run(self, on_start: Callable[[], None], on_view: Callable[[View], None]) -> None:
        """Serve and send; returns when all recordings are finished.

        Args:
            on_start: called when the server listens.
            on_view: called a few times a second, and a last time when everything has been counted.

        Raises:
            ConfigurationError: the carrier cannot reach the server.
            OSError: the server cannot listen.
        """
        any_port = Endpoint("127.0.0.1", 0)
        config = ServerConfig(udp=any_port, ws=any_port, record=self.directory)
        async with Server(config, sinks=[self._meter], app=self.talk.answer) as server:
            self.addresses = server.addresses
            on_start()
            started_ns = self.clock.now_ns()
            target = self._target()
            sending = [asyncio.create_task(simulation.run(target)) for simulation in self._simulations]
            sending.append(asyncio.create_task(self.talk.call(target.stream_url)))
            try:
                while not all(task.done() for task in sending):
                    on_view(self._look(server, started_ns))
                    await _wait(sending)
            finally:
                for task in sending:
                    task.cancel()
                await asyncio.gather(*sending, return_exceptions=True)
        self.totals = server.snapshot()
        on_view(self._look(server, started_ns, is_last=True))

    def _target(self) -> Target:
        host, _, port = self.addresses["udp"].rpartition(":")
        return Target(udp=(host, int(port)), stream_url=f"ws://{self.addresses['ws']}/")

    def _look(self, server: Server, started_ns: int, *, is_last: bool = False) -> View:
        for call in server.live_calls():
            for track in call["tracks"]:
                self._seen[call["call_id"], track["direction"]] = track
        self._seen |= self._meter.final
        elapsed_ns = self.clock.now_ns() - started_ns
        tracks = [
            TrackView(
                party,
                _sent_by(party, elapsed_ns),
                self._seen.get(party.key, {}),
                self._meter.levels.get(party.key, ()),
            )
            for party in self.parties
        ]
        caller = self.parties[-1]
        tracks.append(TrackView(replace(caller, key=(caller.key[0], HEARD)), None, {}, self._heard_levels()))
        return View(min(elapsed_ns / NS_PER_SECOND, self.length_s), tracks, is_last)

    def _heard_levels(self) -> tuple[float, ...]:
        heard = self.talk.heard()
        blocks = heard[: len(heard) // BLOCK_SAMPLES * BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)[-HISTORY:]
        return tuple(level(np.square(blocks / FULL_SCALE).mean(axis=1)).tolist())


async def _wait(tasks: list[asyncio.Task[Outcome]]) -> None:
    """Let a moment pass, and raise what a task raised."""
    done, _ = await asyncio.wait(tasks, timeout=_REFRESH_S, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


def _parties(simulation: Simulation) -> list[Party]:
    truth = simulation.plan().truth()
    door = DOORS[simulation.options.transport]
    return [
        Party((track.stream_id or track.call_leg_id, track.direction), door, simulation, number, track)
        for number, track in enumerate(truth.tracks)
    ]


def _sent_by(party: Party, elapsed_ns: int) -> int:
    times_ns = party.simulation.plan().scripts[party.number].send_times_ns
    return int(np.searchsorted(times_ns, elapsed_ns, side="right"))
