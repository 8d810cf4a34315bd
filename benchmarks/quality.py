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
from strep.quality.delays import DEPTHS_MS, SPAN_TURNS, TOLERANCE_MS
from strep.quality.emodel import opinion
from strep.quality.network import MAX_BURST_RATIO, NetworkQuality
from strep.timeline import Timeline

PACKET_MS, FRAME = 20, 160
_START_NS = 10 * NS_PER_SECOND
_MEMORY_NS = 2 * SPAN_TURNS * NS_PER_SECOND
_ROUNDING_NS = 1000
_LOSSES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_DISTURBED = [(f"{ms:g} ms", NetworkModel(jitter_ms=ms, max_delay_ms=ms), 0) for ms in (10.0, 50.0, 110.0, 250.0)]
_DISTURBED += [
    ("60 ms, of 10% only", NetworkModel(reorder=0.1), 0),
    ("none, 2% lost, a hold", NetworkModel(loss=0.02), 30),
    ("50 ms, 2% lost, a hold", NetworkModel(loss=0.02, jitter_ms=50.0, max_delay_ms=50.0), 30),
]
"""What is done to packets, how, and for how many seconds their sender stands still half way, without counting it."""
FOUND_OUT_NS = 4 * NS_PER_SECOND
"""Behind a hold: what is late until then may be taken for a part of it."""
TOLERANCE = 0.02
"""Of a mean opinion score, between truth and measurement; both are rounded to 0.01."""


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    tracks: Annotated[int, Meta(ge=1, description="Tracks with each pattern of loss.")] = 40
    seconds: Annotated[int, Meta(ge=10, description="Of each track.")] = 60


class Found(NamedTuple):
    """One track: what the truth says, packets late by depth of the buffer as bounds, and what was measured."""

    truth: Bursts
    late: tuple[list[int], list[int]]
    quality: NetworkQuality


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Send tracks through every pattern; complain of every figure that is not that of the truth."""
    where = environment.describe(scratch)
    patterns = [(loss, burst) for burst in (0.0, 3.0) for loss in _LOSSES if loss or not burst]
    wrong, loose = list[list[str]](), list[list[str]]()
    cells, opinions, apart = list[list[str]](), list[list[str]](), list[int]()
    for number, (loss, burst) in enumerate(patterns):
        say.doing(f"{loss:.0%} lost", number / len(patterns))
        found = through(NetworkModel(loss=loss, burst_loss=burst), settings, seed=number)
        wrong += [[f"{loss:.0%}, {burst:g} in a row: {text}" for text in complaints_of(one)] for one in found]
        cells.append(_cells(loss, burst, found))
    for number, (name, model, hold_s) in enumerate(_DISTURBED):
        say.doing(f"delayed: {name}", number / len(_DISTURBED))
        found = through(model, settings, seed=number, hold_s=hold_s)
        loose += [[f"delayed, {name}: {text}" for text in late_complaints_of(one)] for one in found]
        opinions.append([name, *_opinions(found)])
        bounds = np.array([one.late for one in found])
        apart += (bounds[:, 1] - bounds[:, 0]).ravel().tolist()
    note = "Medians over the tracks, and their range. Without jitter all buffers say the same; 60 ms is shown."
    columns = ["loss", "lost %", "bursts", "lost in bursts %", "MOS, concealed", "MOS, silent", "MOS of the truth"]
    depths = [f"{depth} ms" for depth in DEPTHS_MS]
    deep = "MOS, concealed, by the depth of the jitter buffer; every packet is delayed at random, up to so much."
    return Report(
        question="quality",
        environment=where,
        answers=[
            f"{sum(map(bool, wrong))} of {len(wrong)} tracks with loss are not rated as the truth says",
            f"{sum(map(bool, loose))} of {len(loose)} tracks with delays have other packets late than the truth has; "
            f"its bounds are {np.mean(apart):.1f} packets apart, {max(apart)} at most",
        ],
        tables=[
            Table("Opinion against loss that is known", columns, cells, note=note),
            Table("Opinion against jitter", ["delay up to", *depths], opinions, note=deep),
        ],
        runs=len(wrong) + len(loose),
        complaints=[text for texts in wrong + loose for text in texts],
    )


def through(model: NetworkModel, settings: Settings, seed: int, hold_s: int = 0) -> list[Found]:
    """Return what becomes of tracks in a network, whose sender may stand still half way for `hold_s`."""
    count = settings.seconds * 1000 // PACKET_MS
    send_ns = _START_NS + np.arange(count) * PACKET_MS * NS_PER_MS
    send_ns[count // 2 :] += hold_s * NS_PER_SECOND
    held_ns = int(send_ns[count // 2]) if hold_s else 0
    random = np.random.default_rng(seed)
    delivered = [model.deliver(send_ns, random) for _ in range(settings.tracks)]
    timeline = Timeline(capacity=max(settings.tracks, 64))
    slots = [timeline.open(Codec.PCMU) for _ in delivered]
    second = _START_NS // NS_PER_SECOND
    for batch in _batches(delivered, slots):
        for _ in range(second, second := int(batch.arrival_ns[0]) // NS_PER_SECOND):
            timeline.realign()
        timeline.receive(batch)
        timeline.poll(int(batch.arrival_ns[-1]))
        timeline.take_blocks()
    timeline.finish(*slots)
    return [
        Found(_bursts(one, count), late_bounds(one, send_ns, held_ns), timeline.quality(slot))
        for one, slot in zip(delivered, slots, strict=True)
    ]


def late_bounds(delivered: Deliveries, send_ns: NDArray[np.int64], held_ns: int) -> tuple[list[int], list[int]]:
    """Return how many packets are later than each depth, at least and at most.

    Lateness is told from the earliest packet of the last 10 to 20 s. That is no earlier than the earliest one of
    20 s; and no later, by more than the millisecond that it is known to, than the earliest one since 10 s were over.
    Behind a hold that ends at `held_ns`, what is late until it is found out may count or not.
    """
    time_ns = delivered.times_ns
    delay_ns = time_ns - send_ns[delivered.packets]
    found_out_ns = held_ns + FOUND_OUT_NS if held_ns else 0
    part = (time_ns - _START_NS) // (SPAN_TURNS * NS_PER_SECOND) * 2 + (time_ns >= found_out_ns)
    low = np.array([delay_ns[a : i + 1].min() for i, a in enumerate(np.searchsorted(time_ns, time_ns - _MEMORY_NS))])
    high = np.array([delay_ns[a : i + 1].min() for i, a in enumerate(np.searchsorted(part, part))])
    counts = (time_ns < held_ns) | (time_ns >= found_out_ns)
    depths_ns = np.array(DEPTHS_MS) * NS_PER_MS
    least = (delay_ns - high - TOLERANCE_MS * NS_PER_MS)[counts, None] > depths_ns + _ROUNDING_NS
    most = (delay_ns - low)[:, None] > depths_ns - _ROUNDING_NS
    return least.sum(axis=0).tolist(), most.sum(axis=0).tolist()


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
    truth, quality = found.truth, found.quality
    complaints = [] if quality.bursts == truth else [f"{quality.bursts} measured, {truth} in truth"]
    for buffered in quality.buffers:
        if abs(buffered.concealed.mos - truth_mos(truth)) > TOLERANCE:
            complaints.append(f"MOS {buffered.concealed.mos:.2f} at {buffered.buffer_ms} ms, {truth_mos(truth):.2f}")
    return complaints


def late_complaints_of(found: Found) -> list[str]:
    """Return where more or fewer packets are late than the truth lets be."""
    return [
        f"{buffered.late} late at {buffered.buffer_ms} ms, {least} to {most} in truth"
        for buffered, least, most in zip(found.quality.buffers, *found.late, strict=True)
        if not least <= buffered.late <= most
    ]


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


def _opinions(found: list[Found]) -> list[str]:
    opinions = [
        Spread.of(one.quality.buffers[depth].concealed.mos for one in found) for depth in range(len(DEPTHS_MS))
    ]
    return [spread.text(".2f") for spread in opinions]


QUESTION = Question(
    name="quality",
    explains="""Tracks of packets of 20 ms go through the simulated carrier's network, which drops them at random, or
in runs of three on average, or delays them by a random time; some senders stand still for 30 s without counting it.
What the timeline says is compared with the truth: bursts have to be the same to the packet, opinions to 0.02, and
packets that are late for a buffer within the bounds of the definition. No sockets, no clock.

The opinion is that of `docs/quality.md`: ITU-T G.107 with its defaults, G.711, a listener; nothing else is wrong.""",
    settings=Settings,
    quick=Settings(tracks=4, seconds=10),
    measure=measure,
)
