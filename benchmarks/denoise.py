"""How much noise goes, what becomes of speech and keys, and what does it cost?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from benchmarks import environment
from benchmarks.denoise_corpus import NOISES, Audio, noisy, pauses, voices
from benchmarks.hearing import KEYS_PER_LINE, hear
from benchmarks.hearing_corpus import Keys, Line, key_line
from benchmarks.hearing_score import score
from benchmarks.opinion import scorer
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Bar, Bars, Report, Spread, Table
from media.carrier.audio import CONVERSATION, load
from media.denoising.bank import HOP_MS, Bank
from strep.g711 import SAMPLE_RATE_HZ

SETTLED_S = 2
"""From here on noise is measured: it is known by then."""
STEADY = ("white", "hum")
LEAST_DB = 12.0
"""Steady noise is turned down by so much."""


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    seconds: Annotated[float, Meta(ge=4, description="Of each voice.")] = 30.0
    snr: Annotated[tuple[float, ...], Meta(description="Signal-to-noise ratios, dB.")] = (0.0, 5.0, 10.0, 15.0)
    keys: Annotated[int, Meta(ge=10, description="Keys pressed.")] = 500
    tracks: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Tracks at once.")] = (1, 100, 1000)
    cost: Annotated[float, Meta(ge=0.1, description="Seconds of audio of each track, for the cost.")] = 2.0
    repeats: Annotated[int, Meta(ge=1, description="How often the cost is measured.")] = 5


class Heard(msgspec.Struct, frozen=True):
    """Some voices in one noise, before and after.

    Attributes:
        origin, noise, snr_db: which.
        noise_db: by how much the noise in pauses was turned down.
        si_sdr_before_db, si_sdr_after_db: scale-invariant signal-to-distortion ratio to the voice alone.
        pesq_before, pesq_after: MOS-LQO of ITU-T P.862.1, None where `pesq` is not installed.
    """

    origin: str
    noise: str
    snr_db: float
    noise_db: float
    si_sdr_before_db: float
    si_sdr_after_db: float
    pesq_before: float | None
    pesq_after: float | None


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Speak in noise, press keys in it, then take the time."""
    where = environment.describe(scratch)
    heard = list(_listen(settings, say))
    clean = list(_distortion(settings))
    say.doing("keys")
    keys = _keys(settings.keys)
    costs: dict[int, list[float]] = {tracks: [] for tracks in settings.tracks}
    for repeat, tracks in product(range(settings.repeats), settings.tracks):
        say.doing("cost", repeat / settings.repeats)
        costs[tracks].append(_cost(tracks, settings.cost))
    spreads = {tracks: Spread.of(figures) for tracks, figures in costs.items()}
    return Report(
        question="denoise",
        environment=where,
        answers=_answers(heard, clean, keys, spreads),
        tables=[_noise_table(heard), _clean_table(clean), _keys_table(keys), _cost_table(spreads)],
        runs=len(heard) + 1,
        charts=[_chart(heard)],
        conditions=[["audio", "8 kHz; voices speak from the first sample on, noise is measured after 2 s"]],
        figures={"heard": msgspec.to_builtins(heard), "clean": clean, "keys": keys, "cost": costs},
        complaints=list(_complaints(heard, keys)),
    )


def denoise(tracks: Audio) -> Audio:
    """Return (n, samples), each track by itself, all of it and in place."""
    bank = Bank(SAMPLE_RATE_HZ)
    slots = np.array([bank.claim() for _ in tracks])
    pcm = np.rint(tracks.clip(-32768, 32767)).astype(np.int16)
    width = SAMPLE_RATE_HZ * HOP_MS // 1000
    made = [bank.receive(slots, pcm[:, start : start + width]) for start in range(0, pcm.shape[1], width)]
    whole = np.concatenate([*made, bank.flush(slots)], axis=1)[:, bank.hop_samples :]
    rounded: Audio = np.rint(whole).astype(np.float64)
    return rounded


# -- speech --------------------------------------------------------------------------------------------


def _listen(settings: Settings, say: Say) -> Iterator[Heard]:
    for origin, spoken in voices(settings.seconds, np.random.default_rng(1)).items():
        for kind, snr_db in product(NOISES, settings.snr):
            say.doing(f"{origin}, {kind} at {snr_db:g} dB")
            random = np.random.default_rng(2)
            mixed = [noisy(voice, NOISES[kind](len(voice), random), snr_db) for voice in spoken]
            before = np.array([both for both, _ in mixed])
            after = denoise(before)
            yield Heard(
                origin,
                kind,
                snr_db,
                _mean(map(_noise_db, before, after, spoken)),
                _mean(map(si_sdr_db, spoken, before)),
                _mean(map(si_sdr_db, spoken, after)),
                _pesq(spoken, before),
                _pesq(spoken, after),
            )


def _distortion(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield what becomes of voices without noise."""
    for origin, spoken in voices(settings.seconds, np.random.default_rng(1)).items():
        after = denoise(np.array(spoken))
        level_db = [
            float(20 * np.log10(np.std(out) / np.std(voice))) for voice, out in zip(spoken, after, strict=True)
        ]
        ratio_db = [si_sdr_db(voice, out) for voice, out in zip(spoken, after, strict=True)]
        yield {
            "origin": origin,
            "si_sdr_db": min(ratio_db),
            "level_db": min(level_db),
            "pesq": _pesq(spoken, after),
        }


def si_sdr_db(voice: Audio, audio: Audio) -> float:
    """Return the scale-invariant signal-to-distortion ratio (Le Roux et al., ICASSP 2019)."""
    wanted = (voice @ audio) / (voice @ voice) * voice
    return float(10 * np.log10((wanted @ wanted) / max(float(np.sum((audio - wanted) ** 2)), 1e-9)))


def _noise_db(before: Audio, after: Audio, voice: Audio) -> float:
    quiet = pauses(voice)
    quiet[: SETTLED_S * SAMPLE_RATE_HZ] = False
    return float(10 * np.log10(np.mean(before[quiet] ** 2) / max(float(np.mean(after[quiet] ** 2)), 1e-9)))


def _pesq(spoken: list[Audio], heard: Audio | list[Audio]) -> float | None:
    """Return the mean opinion score that ITU-T P.862.1 predicts, if there is a program that does."""
    score = scorer()
    return None if score is None else _mean(map(score, spoken, heard))


def _mean(figures: Iterator[float] | map[float]) -> float:
    return float(np.mean(list(figures)))


# -- keys ----------------------------------------------------------------------------------------------


def _keys(count: int) -> list[dict[str, Any]]:
    """Return how keys are heard, in noise as it is and behind noise suppression."""
    random = np.random.default_rng(3)
    made = []
    for on_ms, snr_db in product((40, 100), (None, 15.0)):
        keys = Keys(on_ms, on_ms, snr_db=snr_db)
        lines = [key_line(keys, KEYS_PER_LINE, random) for _ in range(-(-count // KEYS_PER_LINE))]
        longest = max(len(line.pcm) for line in lines)
        filtered = denoise(np.array([np.resize(line.pcm, longest) for line in lines], np.float64))
        behind = [
            Line(pcm[: len(line.pcm)].astype(np.int16), line.lost, line.presses)
            for pcm, line in zip(filtered, lines, strict=True)
        ]
        found = {"before": score(hear(lines), lines), "after": score(hear(behind), behind)}
        made.append({"on_ms": on_ms, "snr_db": snr_db, **msgspec.to_builtins(found)})
    return made


# -- cost ----------------------------------------------------------------------------------------------


def _cost(tracks: int, seconds: float) -> float:
    """Return the processor time of a second of a track, in us, where all speak at once, in ticks of 20 ms."""
    width = SAMPLE_RATE_HZ * HOP_MS // 1000
    ticks = max(round(seconds * 1000 / HOP_MS), 1)
    talk = load(CONVERSATION)
    start = np.random.default_rng(3).integers(0, talk.shape[1] - (ticks + 1) * width, tracks)
    bank = Bank(SAMPLE_RATE_HZ)
    slots = np.array([bank.claim() for _ in range(tracks)])
    channel, spent_ns = np.arange(tracks)[:, None] % 2, 0
    for tick in range(ticks + 1):
        pcm = talk[channel, start[:, None] + tick * width + np.arange(width)]
        before_ns = time.process_time_ns()
        bank.receive(slots, pcm)
        spent_ns += (time.process_time_ns() - before_ns) * (tick > 0)  # the first makes the tables
    return spent_ns / 1000 / tracks / (ticks * HOP_MS / 1000)


# -- the answer ----------------------------------------------------------------------------------------


def _complaints(heard: list[Heard], keys: list[dict[str, Any]]) -> Iterator[str]:
    for row in heard:
        if row.noise in STEADY and row.noise_db < LEAST_DB:
            yield f"{row.origin}, {row.noise} at {row.snr_db:g} dB: turned down by {row.noise_db:.1f} dB only"
    for pressed in keys:
        wrong = {name: pressed["after"][name] for name in ("missed", "doubled", "invented")}
        if wrong != {name: pressed["before"][name] for name in wrong}:
            yield f"keys of {pressed['on_ms']} ms, noise {pressed['snr_db']} dB below: {wrong}"


def _answers(
    heard: list[Heard], clean: list[dict[str, Any]], keys: list[dict[str, Any]], spreads: dict[int, Spread]
) -> list[str]:
    steady = [row.noise_db for row in heard if row.noise in STEADY]
    moving = [row.noise_db for row in heard if row.noise not in STEADY]
    gains = [row.si_sdr_after_db - row.si_sdr_before_db for row in heard]
    worst = min(clean, key=lambda row: float(row["si_sdr_db"]))
    total = sum(row["after"]["pressed"] for row in keys)
    missed = sum(row["after"]["missed"] for row in keys)
    costs = ", ".join(f"{spread.text('.0f')} us with {tracks:,} tracks" for tracks, spread in spreads.items())
    return [
        f"in pauses white noise and hum are turned down by {min(steady):.0f} to {max(steady):.0f} dB, a street and a "
        f"crowd by {min(moving):.0f} to {max(moving):.0f} dB; SI-SDR gains {min(gains):.1f} to {max(gains):.1f} dB",
        f"speech without noise comes out {worst['si_sdr_db']:.0f} dB above what is changed of it, at worst, and its "
        f"level changes by {min(row['level_db'] for row in clean):.1f} dB; of {total:,} keys {missed} are missed",
        f"it takes, per track and second of audio, {costs}",
    ]


def _noise_table(rows: list[Heard]) -> Table:
    columns = ["voices", "noise", "SNR, dB", "noise turned down by, dB", "SI-SDR, dB", "PESQ"]
    cells = [
        [
            row.origin,
            row.noise,
            f"{row.snr_db:g}",
            f"{row.noise_db:.1f}",
            f"{row.si_sdr_before_db:.1f} -> {row.si_sdr_after_db:.1f}",
            "" if row.pesq_after is None else f"{row.pesq_before:.2f} -> {row.pesq_after:.2f}",
        ]
        for row in rows
    ]
    note = "PESQ (ITU-T P.862.1) where the package pesq is installed. Voices are synthetic."
    return Table("Noise", columns, cells, text_columns=2, note=note)


def _clean_table(rows: list[dict[str, Any]]) -> Table:
    columns = ["voices without noise", "SI-SDR, dB", "level, dB", "PESQ"]
    cells = [
        [
            str(row["origin"]),
            f"{row['si_sdr_db']:.1f}",
            f"{row['level_db']:+.2f}",
            "" if row["pesq"] is None else f"{row['pesq']:.2f}",
        ]
        for row in rows
    ]
    return Table("Speech as it is", columns, cells, note="The worst of each, PESQ on average; its best is 4.55.")


def _keys_table(rows: list[dict[str, Any]]) -> Table:
    columns = ["keys", "noise below, dB", "pressed", "missed", "missed without"]
    cells = [
        [
            f"{row['on_ms']}/{row['on_ms']} ms",
            "" if row["snr_db"] is None else f"{row['snr_db']:g}",
            f"{row['after']['pressed']:,}",
            str(row["after"]["missed"]),
            str(row["before"]["missed"]),
        ]
        for row in rows
    ]
    return Table("Keys behind it", columns, cells, note="Of the worst kind, see the question hearing.")


def _cost_table(spreads: dict[int, Spread]) -> Table:
    cells = [[f"{tracks:,}", spread.text(".0f")] for tracks, spread in spreads.items()]
    note = "A conversation, heard by every track from another point on, in ticks of 20 ms; one thread."
    return Table("Cost", ["tracks", "us per track and second of audio"], cells, note=note)


def _chart(rows: list[Heard]) -> Bars:
    bars = [
        Bar(kind, Spread.of(row.noise_db for row in rows if row.noise == kind), ours=True)
        for kind in dict.fromkeys(row.noise for row in rows)
    ]
    return Bars("Noise in pauses", "dB turned down", bars)


QUESTION = Question(
    name="denoise",
    explains="""Voices - of the conversation that comes along, and of espeak-ng if it is installed - speak from the
first sample on in white noise, hum, the noise of a street and a crowd's, at several ratios. How much of it goes is
measured where they pause, what becomes of the voice against the voice alone (scale-invariant signal-to-distortion
ratio; PESQ too where the package pesq is installed). The same voices without noise show what is done to speech.

Keys, as bad as those of the question hearing, are listened to behind noise suppression and without it.

The cost is processor time of one thread, from PCM to PCM. Everything is generated and seeded.""",
    settings=Settings,
    quick=Settings(seconds=12, snr=(5.0,), keys=40, tracks=(1, 100), cost=0.4, repeats=2),
    measure=measure,
)
