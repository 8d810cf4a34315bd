"""How does speech sound of which packets are lost, and what does it take to conceal that?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from benchmarks import environment
from benchmarks.conceal_corpus import PACKET_SAMPLES, Lost, Pcm, arrived, joined, losses, voices
from benchmarks.opinion import scorer
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Line, Lines, Report, Spread, Table
from media.blocks import PcmBatch
from media.concealing.concealer import Concealer
from media.sinks.contract import CallInfo
from strep.concealment import conceal, edge_samples
from strep.g711 import SAMPLE_RATE_HZ, Codec, decode, encode

SILENCE, REPETITION, ONE_SIDED, TWO_SIDED = "silence", "repetition", "ours, one edge", "ours"
WAYS = (SILENCE, REPETITION, ONE_SIDED, TWO_SIDED)


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    seconds: Annotated[float, Meta(ge=4, description="Of each voice.")] = 12.0
    loss: Annotated[tuple[float, ...], Meta(description="Percent of the packets.")] = (1.0, 3.0, 5.0, 10.0)
    burst: Annotated[tuple[float, ...], Meta(description="Packets in a row, on average; 1 is random.")] = (1.0, 2.5)
    seeds: Annotated[int, Meta(ge=1, description="Losses of each voice.")] = 3
    tracks: Annotated[tuple[Annotated[int, Meta(ge=2)], ...], Meta(description="Tracks at once.")] = (2, 100, 1000)
    cost: Annotated[float, Meta(ge=1, description="Seconds of audio of each track, for the cost.")] = 4.0
    repeats: Annotated[int, Meta(ge=1, description="How often the cost is measured.")] = 5


class Heard(msgspec.Struct, frozen=True):
    """One voice, some of it lost.

    Attributes:
        voice, loss_percent, burst, seed: which.
        lost: packets that were.
        pesq: by way of filling holes.
    """

    voice: str
    loss_percent: float
    burst: float
    seed: int
    lost: int
    pesq: dict[str, float]


class Cost(msgspec.Struct, frozen=True):
    """Processor time, in us."""

    tracks: int
    block_ms: int
    clean: float
    per_lost: float


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Lose packets of voices, fill the holes in each way, let PESQ judge; then take the time."""
    where = environment.describe(scratch)
    score = scorer()
    spoken = voices(settings.seconds, scratch)
    heard = list(_listen(settings, spoken, score, say)) if score is not None else []
    say.doing("cost")
    costs = [
        _cost(tracks, block_ms, spoken, settings)
        for _ in range(settings.repeats)
        for tracks, block_ms in product(settings.tracks, (20, 100))
    ]
    complaints = list(_complaints(heard)) if heard else ["PESQ is not installed: make peers"]
    return Report(
        question="conceal",
        environment=where,
        answers=_answers(heard, costs, settings),
        tables=[*([_quality_table(heard, settings)] if heard else []), _cost_table(costs)],
        runs=len(heard) + len(costs),
        charts=[_chart(heard, burst, settings) for burst in settings.burst if heard],
        conditions=[
            ["audio", f"8 kHz, mu-law, packets of 20 ms; {len(spoken)} voices"],
            ["judge", "PESQ, ITU-T P.862.1, narrow-band; 4.55 is speech that is not changed"],
        ],
        figures={"heard": msgspec.to_builtins(heard), "cost": msgspec.to_builtins(costs)},
        complaints=complaints,
    )


# -- speech --------------------------------------------------------------------------------------------


def _listen(
    settings: Settings, spoken: dict[str, Pcm], score: Callable[[Any, Any], float], say: Say
) -> Iterator[Heard]:
    names, tracks = list(spoken), np.array(list(spoken.values()))
    packets = tracks.shape[1] // PACKET_SAMPLES
    for percent, burst, seed in product(settings.loss, settings.burst, range(settings.seeds)):
        say.doing(f"{percent:g} % lost, {burst:g} in a row, seed {seed}")
        random = np.random.default_rng([seed, round(10 * percent), round(10 * burst)])
        lost = np.array([losses(packets, percent / 100, burst, random) for _ in names])
        made = filled(tracks, lost)
        for row, name in enumerate(names):
            if lost[row].any():
                found = {way: score(tracks[row], made[way][row]) for way in WAYS}
                yield Heard(name, percent, burst, seed, int(lost[row].sum()), found)


def filled(tracks: Pcm, lost: Lost) -> dict[str, Pcm]:
    """Return (n, samples) for each way of filling holes."""
    made = dict(zip(WAYS[:3], (_in_place(tracks, lost, way) for way in WAYS[:3]), strict=True))
    concealer = _concealer(len(tracks))
    made[TWO_SIDED] = joined(map(concealer.receive, arrived(tracks, lost)), *tracks.shape)
    return made


def _in_place(tracks: Pcm, lost: Lost, way: str) -> Pcm:
    """Return tracks with their holes filled by what was before them at the most."""
    made = tracks.copy()
    made[np.repeat(lost, PACKET_SAMPLES, axis=1)] = 0
    for track, holes in zip(made, lost, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], holes, [False]]))) * PACKET_SAMPLES
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if way == REPETITION:
                track[begin:end] = np.resize(track[begin - PACKET_SAMPLES : begin], end - begin)
            elif way == ONE_SIDED:
                track[begin:end] = _continued(track[:begin], end - begin)
    return made


def _continued(before: Pcm, length: int) -> Pcm:
    edge = edge_samples(SAMPLE_RATE_HZ)
    edges = np.zeros((2, 1, edge), np.int16)
    edges[0, 0, max(edge - len(before), 0) :] = before[-edge:]
    known, none = np.array([min(len(before), edge)]), np.array([0])
    made = conceal(edges[0], known, np.array([length]), edges[1], none, SAMPLE_RATE_HZ)[0]
    return decode(encode(made, Codec.PCMU), Codec.PCMU)


def _concealer(tracks: int) -> Concealer:
    concealer = Concealer(is_sensitive=True)
    for index in range(-(-tracks // 2)):
        concealer.begin(CallInfo(index, f"call-{index}", "strep", 0))
    return concealer


# -- cost ----------------------------------------------------------------------------------------------


def _cost(tracks: int, block_ms: int, spoken: dict[str, Pcm], settings: Settings) -> Cost:
    """Return what a lost packet costs, 5 % being lost at random, and a second of a track that loses none."""
    packets = round(settings.cost * 50)
    voice = np.concatenate(list(spoken.values()))
    start = np.random.default_rng(3).integers(0, len(voice) - packets * PACKET_SAMPLES, tracks)
    pcm = voice[start[:, None] + np.arange(packets * PACKET_SAMPLES)]
    random = np.random.default_rng(4)
    lost = np.array([losses(packets, 0.05, 1, random) for _ in range(tracks)])
    clean_us = _spent_us(arrived(pcm, np.zeros_like(lost), block_ms=block_ms), tracks)
    lossy_us = _spent_us(arrived(pcm, lost, block_ms=block_ms), tracks)
    track_seconds = tracks * packets / 50
    return Cost(tracks, block_ms, clean_us / track_seconds, (lossy_us - clean_us) / max(int(lost.sum()), 1))


def _spent_us(batches: Iterator[PcmBatch], tracks: int) -> float:
    concealer, spent_ns = _concealer(tracks), 0
    for batch in batches:
        before_ns = time.process_time_ns()
        concealer.receive(batch)
        spent_ns += time.process_time_ns() - before_ns
    return spent_ns / 1000


# -- the answer ----------------------------------------------------------------------------------------


def _complaints(heard: list[Heard]) -> Iterator[str]:
    for percent, burst, rows in _grouped(heard):
        mean = {way: float(np.mean([row.pesq[way] for row in rows])) for way in WAYS}
        for way in WAYS[:3]:
            if mean[TWO_SIDED] <= mean[way]:
                yield f"{percent:g} % lost, {burst:g} in a row: {mean[TWO_SIDED]:.2f}, {way} {mean[way]:.2f}"


def _grouped(heard: list[Heard]) -> Iterator[tuple[float, float, list[Heard]]]:
    for percent, burst in sorted({(row.loss_percent, row.burst) for row in heard}, key=lambda pair: pair[::-1]):
        yield percent, burst, [row for row in heard if (row.loss_percent, row.burst) == (percent, burst)]


def _answers(heard: list[Heard], costs: list[Cost], settings: Settings) -> list[str]:
    said = []
    for burst in settings.burst:
        found = [
            f"{percent:g} %: {np.mean([row.pesq[TWO_SIDED] for row in rows]):.2f} "
            f"({np.mean([row.pesq[REPETITION] for row in rows]):.2f}, "
            f"{np.mean([row.pesq[SILENCE] for row in rows]):.2f})"
            for percent, of, rows in _grouped(heard)
            if of == burst
        ]
        kind = "at random" if burst == 1 else f"{burst:g} in a row"
        if found:
            said.append(f"PESQ on average, packets lost {kind} (repetition, silence): {'; '.join(found)}")
    most = max(settings.tracks)
    lost = Spread.of(cost.per_lost for cost in costs if cost.tracks == most)
    clean = Spread.of(cost.clean for cost in costs if cost.tracks == most)
    said.append(
        f"with {most:,} tracks a lost packet takes {lost.text('.0f')} us of processor time, a second of a track that "
        f"loses nothing {clean.text('.1f')} us"
    )
    return said


def _quality_table(heard: list[Heard], settings: Settings) -> Table:
    cells = []
    for percent, burst, rows in _grouped(heard):
        spreads = [Spread.of(row.pesq[way] for row in rows) for way in WAYS]
        gain = [row.pesq[TWO_SIDED] - row.pesq[REPETITION] for row in rows]
        better = sum(figure > 0 for figure in gain)
        kind = "at random" if burst == 1 else f"{burst:g} in a row"
        cells.append(
            [
                kind,
                f"{percent:g}",
                f"{sum(row.lost for row in rows):,}",
                *(spread.text(".2f") for spread in spreads),
                Spread.of(gain).text("+.2f"),
                f"{better} of {len(rows)}",
            ]
        )
    columns = ["lost", "%", "packets", *WAYS, "above repetition", "better in"]
    note = (
        f"PESQ, median with the lowest and the highest of {settings.seeds} losses of each voice. Silence is what "
        "sinks get without --conceal; repetition is the last packet again; one edge is the audio before a hole only, "
        "as in G.711 Appendix I; ours is what a sink gets in blocks of 100 ms, none of them later."
    )
    return Table("Speech", columns, cells, note=note)


def _cost_table(costs: list[Cost]) -> Table:
    cells = []
    for tracks, block_ms in sorted({(cost.tracks, cost.block_ms) for cost in costs}):
        of = [cost for cost in costs if (cost.tracks, cost.block_ms) == (tracks, block_ms)]
        clean, lost = Spread.of(cost.clean for cost in of), Spread.of(cost.per_lost for cost in of)
        cells.append([f"{tracks:,}", str(block_ms), lost.text(".0f"), clean.text(".1f")])
    columns = ["tracks", "blocks, ms", "us per lost packet", "us per second of a track without loss"]
    return Table("Cost", columns, cells, note="Processor time of one thread; 5 % lost at random, or nothing.")


def _chart(heard: list[Heard], burst: float, settings: Settings) -> Lines:
    rows = {percent: rows for percent, of, rows in _grouped(heard) if of == burst}
    lines = [
        Line(way, list(rows), [Spread.of(row.pesq[way] for row in of) for of in rows.values()], ours=way == TWO_SIDED)
        for way in WAYS
    ]
    kind = "at random" if burst == 1 else f"{burst:g} in a row"
    return Lines(f"Packets lost {kind}", "% of the packets lost", "PESQ", lines)


QUESTION = Question(
    name="conceal",
    explains="""Voices - both of the conversation that comes along, and of flite and espeak-ng where they are
installed - lose packets, at random and several in a row (Gilbert's model). What is heard then is judged by PESQ
(ITU-T P.862.1; `make peers` installs it) against what was spoken: with silence in the holes, with the last packet
repeated, and with our concealment, once from what is before a hole only and once as a sink gets it, behind the
timeline, in blocks of 100 ms that come no later than without.

The referee complains where ours is not better than each of the others, on average, at each rate of loss.

The cost is processor time of one thread. Everything is seeded.""",
    settings=Settings,
    quick=Settings(seconds=4, loss=(3.0, 10.0), seeds=1, tracks=(2, 100), cost=2, repeats=1),
    measure=measure,
)
