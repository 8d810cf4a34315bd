"""Does the opinion of a call follow from what the network really did to it?

Tracks of packets go through the simulated carrier's network, which knows the truth: what it dropped, and when it
delivered the rest. The timeline measures; the truth is put through the definitions (RFC 3611, ITU-T G.107) directly.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from benchmarks import environment
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Report, Spread, Table
from media.carrier.network import Deliveries, NetworkModel
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.frames import FrameBatch
from strep.g711 import Codec
from strep.quality.bursts import Bursts, bursts_of
from strep.quality.delays import DEPTHS_MS
from strep.quality.emodel import opinion
from strep.quality.network import MAX_BURST_RATIO, NetworkQuality
from strep.timeline import Timeline

PACKET_MS, FRAME = 20, 160
_START_NS = 10 * NS_PER_SECOND
_LOSSES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
TOLERANCE = 0.02
"""Of a mean opinion score, between truth and measurement; both are rounded to 0.01."""


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    tracks: Annotated[int, Meta(ge=1, description="Tracks with each pattern of loss.")] = 40
    seconds: Annotated[int, Meta(ge=4, description="Of each track.")] = 60


class Found(NamedTuple):
    """One track: what the truth says, and what was measured."""

    truth: Bursts
    quality: NetworkQuality


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Send tracks through every pattern; complain of every figure that is not that of the truth."""
    where = environment.describe(scratch)
    patterns = [(loss, burst) for burst in (0.0, 3.0) for loss in _LOSSES if loss or not burst]
    complaints, cells = list[str](), list[list[str]]()
    for number, (loss, burst) in enumerate(patterns):
        say.doing(f"{loss:.0%} lost", number / len(patterns))
        found = through(NetworkModel(loss=loss, burst_loss=burst), settings, seed=number)
        complaints += [f"{loss:.0%}, {burst:g} in a row: {text}" for one in found for text in complaints_of(one)]
        cells.append(_cells(loss, burst, found))
    jitters = [_jittered(jitter_ms, settings) for jitter_ms in (10.0, 50.0, 110.0, 250.0)]
    note = "Medians over the tracks, and their range. Without jitter all buffers say the same; 60 ms is shown."
    columns = ["loss", "lost %", "bursts", "lost in bursts %", "MOS, concealed", "MOS, silent", "MOS of the truth"]
    depths = [f"{depth} ms" for depth in DEPTHS_MS]
    deep = "MOS, concealed, by the depth of the jitter buffer; nothing is lost, every packet is delayed at random."
    return Report(
        question="quality",
        environment=where,
        answers=[f"{len(complaints)} of {len(patterns) * settings.tracks} tracks are not rated as the truth says"],
        tables=[
            Table("Opinion against loss that is known", columns, cells, note=note),
            Table("Opinion against jitter", ["delay up to", *depths], jitters, note=deep),
        ],
        runs=len(patterns) * settings.tracks,
        complaints=complaints,
    )


def through(model: NetworkModel, settings: Settings, seed: int) -> list[Found]:
    """Return what becomes of tracks in a network."""
    count = settings.seconds * 1000 // PACKET_MS
    send_ns = _START_NS + np.arange(count) * PACKET_MS * NS_PER_MS
    random = np.random.default_rng(seed)
    delivered = [model.deliver(send_ns, random) for _ in range(settings.tracks)]
    timeline = Timeline(capacity=max(settings.tracks, 64))
    slots = [timeline.open(Codec.PCMU) for _ in delivered]
    for batch in _batches(delivered, slots):
        timeline.receive(batch)
        timeline.poll(int(batch.arrival_ns[-1]))
        timeline.take_blocks()
    timeline.finish(*slots)
    return [Found(_bursts(one, count), timeline.quality(slot)) for one, slot in zip(delivered, slots, strict=True)]


def _batches(delivered: list[Deliveries], slots: list[int]) -> list[FrameBatch]:
    """Return all that arrives, in order, cut where 20 ms are over."""
    times = np.concatenate([one.times_ns for one in delivered])
    order = np.argsort(times, kind="stable")
    packets = np.concatenate([one.packets for one in delivered])[order]
    slot = np.repeat(slots, [len(one.packets) for one in delivered])[order]
    edges = np.flatnonzero(np.diff(times[order] // (PACKET_MS * NS_PER_MS))) + 1
    spans = pairwise([0, *edges.tolist(), len(order)])
    return [_batch(slot[a:b], packets[a:b], times[order][a:b]) for a, b in spans]


def _batch(slot: NDArray[np.int64], packet: NDArray[np.int64], arrival_ns: NDArray[np.int64]) -> FrameBatch:
    n = len(slot)
    return FrameBatch(
        slot=slot,
        sequence_number=packet & 0xFFFF,
        timestamp=packet * FRAME,
        ssrc=np.full(n, 7),
        arrival_ns=arrival_ns,
        is_audio=np.ones(n, np.bool_),
        table=np.zeros((n, FRAME), np.uint8),
        row=np.arange(n),
        offset=np.zeros(n, np.int64),
        length=np.full(n, FRAME),
    )


def _bursts(delivered: Deliveries, count: int) -> Bursts:
    lost = np.zeros(count + 2, np.int64)
    lost[delivered.dropped + 1] = 1
    begin, end = (np.flatnonzero(np.diff(lost) == step) for step in (1, -1))
    return bursts_of(list(zip(begin.tolist(), (end - begin).tolist(), strict=True)), count)


def truth_mos(truth: Bursts, *, is_concealed: bool = True) -> float:
    """Return the opinion of what was really lost."""
    return opinion(truth.loss, min(truth.burst_ratio, MAX_BURST_RATIO), is_concealed=is_concealed).mos


def complaints_of(found: Found) -> list[str]:
    """Return what is not as the truth says, of a track without jitter."""
    truth, quality = found
    complaints = [] if quality.bursts == truth else [f"{quality.bursts} measured, {truth} in truth"]
    for buffered in quality.buffers:
        if abs(buffered.concealed.mos - truth_mos(truth)) > TOLERANCE:
            complaints.append(f"MOS {buffered.concealed.mos:.2f} at {buffered.buffer_ms} ms, {truth_mos(truth):.2f}")
    return complaints


def _cells(loss: float, burst: float, found: list[Found]) -> list[str]:
    rated = [(one, one.quality.headline) for one in found]
    headlines = [headline for _, headline in rated if headline is not None]
    return [
        f"{loss:.0%}, {'runs of 3' if burst else 'at random'}" if loss else "none",
        Spread.of(100 * one.quality.loss for one in found).text(".1f"),
        Spread.of(one.quality.bursts.bursts for one in found).text(),
        Spread.of(100 * one.quality.bursts.burst_density for one in found).text(".0f"),
        Spread.of(headline.concealed.mos for headline in headlines).text(".2f"),
        Spread.of(headline.silent.mos for headline in headlines).text(".2f"),
        Spread.of(truth_mos(one.truth) for one in found).text(".2f"),
    ]


def _jittered(jitter_ms: float, settings: Settings) -> list[str]:
    model = NetworkModel(jitter_ms=jitter_ms, max_delay_ms=jitter_ms)
    found = through(model, settings, seed=round(jitter_ms))
    opinions = [
        Spread.of(one.quality.buffers[depth].concealed.mos for one in found) for depth in range(len(DEPTHS_MS))
    ]
    return [f"{jitter_ms:g} ms", *(spread.text(".2f") for spread in opinions)]


QUESTION = Question(
    name="quality",
    explains="""Tracks of packets of 20 ms go through the simulated carrier's network, which drops them at random, or
in runs of three on average, or delays each by a random time. What the timeline says is compared with the truth:
bursts have to be the same to the packet, opinions to 0.02. No sockets, no clock: the same on every machine.

The opinion is that of `docs/quality.md`: ITU-T G.107 with its defaults, G.711, a listener; nothing else is wrong.""",
    settings=Settings,
    quick=Settings(tracks=4, seconds=10),
    measure=measure,
)
