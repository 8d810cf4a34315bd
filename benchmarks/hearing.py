"""Are all keys heard, none twice, and none in speech or music; and what does it cost to listen?"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import soxr
from msgspec import Meta
from numpy.typing import NDArray

from benchmarks import environment
from benchmarks.hearing_corpus import Keys, Line, Pcm, key_line, lossy, music, signals, speech
from benchmarks.hearing_score import Score, score
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Bar, Bars, Report, Spread, Table
from media.blocks import PcmBatch
from media.carrier.audio import CONVERSATION, load
from media.hearing.ear import DTMF, TONES, VOICE, Ear
from media.hearing.verdict import DIGITS, Digit
from strep.g711 import SAMPLE_RATE_HZ, Codec, encode

BLOCK_MS = 20
KEYS_PER_LINE = 20
REFEREE_HZ = 22_050
_LOSSES = (0.0, 0.05)
_CASES = {
    "40/40 ms, clean": Keys(deviation=0, twist_db=0, snr_db=None),
    "40/40 ms, +-1.5 %, +-8 dB twist, 15 dB SNR": Keys(),
    "100/100 ms, the same": Keys(100, 100),
}
_LISTENING = {"DTMF": (DTMF,), "DTMF, voice": (DTMF, VOICE), "DTMF, voice, tones": (DTMF, VOICE, TONES)}


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    keys: Annotated[int, Meta(ge=20, description="Keys pressed, of each kind.")] = 10_000
    speech: Annotated[float, Meta(ge=0, description="Hours of speech.")] = 2.0
    music: Annotated[float, Meta(ge=0, description="Hours of music and of the network's tones, each.")] = 1.0
    tracks: Annotated[tuple[Annotated[int, Meta(ge=2)], ...], Meta(description="Tracks at once.")] = (1000, 10_000)
    seconds: Annotated[float, Meta(ge=0.1, description="Of audio of each track, for the cost.")] = 2.0
    repeats: Annotated[int, Meta(ge=1, description="How often the cost is measured.")] = 5


class Cost(msgspec.Struct, frozen=True):
    """Processor time of one listener."""

    kinds: str
    tracks: int
    us_per_track_second: float
    worst_tick_ms: float


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Press keys, play what is no key, then take the time."""
    where = environment.describe(scratch)
    pressed = [row for name, keys in _CASES.items() for row in _press(name, keys, settings.keys, say)]
    quiet = list(_listen_to_no_keys(settings, say))
    costs: list[Cost] = []
    for repeat in range(settings.repeats):
        say.doing("cost", repeat / settings.repeats)
        costs += [_cost(kinds, tracks, settings.seconds) for tracks in settings.tracks for kinds in _LISTENING]
    spreads = {
        (kinds, tracks): Spread.of(c.us_per_track_second for c in costs if (c.kinds, c.tracks) == (kinds, tracks))
        for tracks in settings.tracks
        for kinds in _LISTENING
    }
    return Report(
        question="hearing",
        environment=where,
        answers=_answers(pressed, quiet, spreads, settings),
        tables=[_key_table(pressed), _quiet_table(quiet), _cost_table(spreads, costs)],
        runs=len(pressed) + len(quiet),
        charts=[_chart(spreads, settings.tracks[0])],
        conditions=[["audio", "8 kHz, mu-law; lost packets of 20 ms are silence that is known to be lost"]],
        figures={"keys": pressed, "no keys": quiet, "cost": msgspec.to_builtins(costs)},
        complaints=list(_complaints(pressed, quiet)),
    )


# -- keys ----------------------------------------------------------------------------------------------


def _press(name: str, keys: Keys, count: int, say: Say) -> Iterator[dict[str, object]]:
    for loss in _LOSSES:
        say.doing(f"keys, {name}, {loss:.0%} loss")
        random = np.random.default_rng(round(1000 * loss))
        lines = [key_line(keys, KEYS_PER_LINE, random, loss) for _ in range(-(-count // KEYS_PER_LINE))]
        found = score(hear(lines), lines)
        yield {"case": name, "loss": loss, **msgspec.to_builtins(found), "referee": _referee_score(lines)}


def hear(lines: list[Line]) -> list[Digit]:
    """Return what one ear hears in lines that are a track each, all at once."""
    ear, width = Ear((DTMF,)), SAMPLE_RATE_HZ * BLOCK_MS // 1000
    n, found = len(lines), []
    length = max(len(line.pcm) for line in lines)
    pcm, lost = np.zeros((n, -(-length // width) * width), np.int16), np.zeros((n, length + width), np.bool_)
    for row, line in enumerate(lines):
        pcm[row, : len(line.pcm)], lost[row, : len(line.lost)] = line.pcm, line.lost
    for start in range(0, pcm.shape[1], width):
        found += ear.receive(batch_of(pcm[:, start : start + width], start, lost[:, start : start + width]))
    found += chain.from_iterable(ear.forget(call) for call in range(n))
    return [heard for heard in found if isinstance(heard, Digit)]


def batch_of(pcm: Pcm, position: int, lost: NDArray[np.bool_]) -> PcmBatch:
    """Return a tick of calls 0, 1, ..., all on their inbound tracks."""
    n, width = pcm.shape
    edges = np.diff(np.pad(lost, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (row, first), (_, end) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    none, all_of_it = np.zeros(n, np.int32), np.full(n, width, np.int32)
    return PcmBatch(
        np.arange(n, dtype=np.int32), np.zeros(n, np.uint8), np.full(n, position), none, all_of_it,
        np.zeros(n, np.uint8), pcm, lost=np.stack([row, first, end], axis=1),
    )  # fmt: skip


def _referee_score(lines: list[Line]) -> str:
    """Return how many keys multimon-ng heard of all, lines in a row; empty if it is not installed."""
    if shutil.which("multimon-ng") is None:
        return ""
    heard = _multimon(np.concatenate([line.pcm for line in lines]))
    return f"{len(heard)}/{sum(len(line.presses) for line in lines)}"


def _multimon(pcm: Pcm) -> str:
    """Return the digits that multimon-ng hears; it knows of no loss."""
    audio = soxr.resample(pcm, SAMPLE_RATE_HZ, REFEREE_HZ)
    command = ["multimon-ng", "-q", "-a", "DTMF", "-t", "raw", "-"]
    said = subprocess.run(
        command, input=audio.tobytes(), capture_output=True, check=True, timeout=600
    ).stdout.decode()
    found = (line.removeprefix("DTMF: ").strip() for line in said.splitlines() if line.startswith("DTMF: "))
    return "".join(digit for digit in found if digit in DIGITS)


# -- no keys -------------------------------------------------------------------------------------------


def _listen_to_no_keys(settings: Settings, say: Say) -> Iterator[dict[str, object]]:
    sources: dict[str, tuple[Callable[[float, np.random.Generator], Iterator[Pcm]], float]] = {
        "speech (espeak-ng)": (speech, settings.speech if shutil.which("espeak-ng") else 0.0),
        "music-like": (music, settings.music),
        "the network's tones": (signals, settings.music),
    }
    for name, (source, hours) in sources.items():
        if not hours:
            continue
        say.doing(f"no keys: {name}")
        pieces = list(source(3600 * hours, np.random.default_rng(1)))
        seconds = sum(map(len, pieces)) / SAMPLE_RATE_HZ
        for loss in _LOSSES:
            random = np.random.default_rng(2)
            found = hear([lossy(piece, loss, random) for piece in pieces])
            referee = str(sum(len(_multimon(piece)) for piece in pieces)) if _may_ask_referee(loss) else ""
            yield {"audio": name, "hours": seconds / 3600, "loss": loss, "heard": len(found), "referee": referee}


def _may_ask_referee(loss: float) -> bool:
    return not loss and shutil.which("multimon-ng") is not None


# -- cost ----------------------------------------------------------------------------------------------


def _cost(kinds: str, tracks: int, seconds: float) -> Cost:
    """Take the time of a conversation, heard by `tracks` tracks at once, each from another point of it on."""
    talk, width = encode(load(CONVERSATION), Codec.PCMU), SAMPLE_RATE_HZ * BLOCK_MS // 1000
    call, channel = np.divmod(np.arange(tracks), 2)
    length = round(seconds * SAMPLE_RATE_HZ)
    start = np.random.default_rng(3).integers(0, talk.shape[1] - length - width, tracks)
    ear, ticks_ns = Ear(_LISTENING[kinds]), []
    zeros, ends = np.zeros(tracks, np.int32), np.full(tracks, width, np.int32)
    for position in range(0, length, width):
        code = talk[channel[:, None], start[:, None] + position + np.arange(width)]
        columns = call.astype(np.int32), channel.astype(np.uint8), np.full(tracks, position)
        batch = PcmBatch(*columns, zeros, ends, zeros.astype(np.uint8), code)
        before_ns = time.process_time_ns()
        ear.receive(batch)
        ticks_ns.append(time.process_time_ns() - before_ns)
    ticks_ns = ticks_ns[1:]  # the first makes the tables
    audio_s = len(ticks_ns) * BLOCK_MS / 1000
    return Cost(kinds, tracks, sum(ticks_ns) / 1000 / tracks / audio_s, max(ticks_ns) / 1e6)


# -- the answer ----------------------------------------------------------------------------------------


def _complaints(pressed: list[dict[str, object]], quiet: list[dict[str, object]]) -> Iterator[str]:
    for row in pressed:
        wrong = {name: row[name] for name in ("missed", "doubled", "invented") if row[name]}
        if wrong:
            yield f"{row['case']}, {row['loss']:.0%} loss: {wrong}"
    for row in quiet:
        if row["heard"]:
            yield f"{row['heard']} keys in {row['hours']:.2f} h of {row['audio']}, {row['loss']:.0%} loss"


def _answers(
    pressed: list[dict[str, object]],
    quiet: list[dict[str, object]],
    spreads: dict[tuple[str, int], Spread],
    settings: Settings,
) -> list[str]:
    total = Score()
    for row in pressed:
        total += msgspec.convert(row, Score)
    hours = sum(float(str(row["hours"])) for row in quiet if not row["loss"])
    false = sum(int(str(row["heard"])) for row in quiet)
    both = [f"{spreads['DTMF, voice', n].text('.0f')} us with {n:,} tracks" for n in settings.tracks]
    return [
        f"of {total.pressed:,} keys {total.missed} are missed, {total.doubled} doubled, {total.invented} invented; "
        f"of {total.undecidable} nothing that could be heard arrived",
        f"in {hours:.2f} hours without a key, played without loss and with, {false} are heard",
        f"listening for DTMF and voices takes, per track and second of audio, {', '.join(both)}",
    ]


def _key_table(rows: list[dict[str, object]]) -> Table:
    columns = ["keys", "loss", "pressed", "missed", "doubled", "invented", "nothing arrived", "multimon-ng heard"]
    names = ("pressed", "missed", "doubled", "invented", "undecidable")
    cells = [[str(r["case"]), f"{r['loss']:.0%}", *(f"{r[n]:,}" for n in names), str(r["referee"])] for r in rows]
    note = "Less than 15 ms in one piece count as nothing. multimon-ng is not told of losses."
    return Table("Keys", columns, cells, note=note)


def _quiet_table(rows: list[dict[str, object]]) -> Table:
    columns = ["audio without keys", "hours", "loss", "keys heard", "by multimon-ng"]
    cells = [
        [str(r["audio"]), f"{r['hours']:.2f}", f"{r['loss']:.0%}", str(r["heard"]), str(r["referee"])] for r in rows
    ]
    return Table("No keys", columns, cells)


def _cost_table(spreads: dict[tuple[str, int], Spread], costs: list[Cost]) -> Table:
    cells = []
    for (kinds, tracks), spread in spreads.items():
        worst = Spread.of(c.worst_tick_ms for c in costs if (c.kinds, c.tracks) == (kinds, tracks))
        cells.append([kinds, f"{tracks:,}", spread.text(".1f"), worst.text(".1f")])
    columns = ["what is listened for", "tracks", "us per track and second of audio", "longest tick, ms"]
    note = "A conversation, heard by every track from another point on, in ticks of 20 ms, with decoding."
    return Table("Cost", columns, cells, note=note)


def _chart(spreads: dict[tuple[str, int], Spread], tracks: int) -> Bars:
    bars = [Bar(kinds, spread, ours=True) for (kinds, n), spread in spreads.items() if n == tracks]
    return Bars(f"Listening to {tracks:,} tracks", "us per track and second of audio", bars)


QUESTION = Question(
    name="hearing",
    explains="""Keys are pressed as badly as they may be: 40 ms on and off, every other one 1.5 % off in both tones,
with 8 dB of twist one way or the other, in noise 15 dB below, with and without packets lost. Then hours of speech by
espeak-ng (if it is installed) in many voices and languages, of something like music, and of a telephone network's
other tones are played: there is no key in them. Everything is generated and seeded.

multimon-ng, if it is installed, listens to the same audio: an independent opinion on whether the keys are there. It
stands for nothing else, for it takes less twist and is not told what was lost.

The cost is processor time of one thread, everything from code bytes to events included.""",
    settings=Settings,
    quick=Settings(keys=400, speech=0.02, music=0.02, tracks=(1000,), seconds=0.4, repeats=2),
    measure=measure,
)
