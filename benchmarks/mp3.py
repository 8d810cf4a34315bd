"""What does it take to make an MP3 message out of a second of audio?

Ours, in the process and with its tag; PyAV's encoder writing a file in memory; and a process of ffmpeg between two
temporary files, which is what ``AudioSegment.export`` of pydub does.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import soundfile
from msgspec import Meta

from benchmarks import environment
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Bar, Bars, Report, Spread, Table
from media.carrier.audio import CONVERSATION, load
from media.talk.contract import Pcm
from media.talk.mp3 import KBITS_PER_SECOND, Mp3PieceEncoder

RATE_HZ = 8000
_LABELS = {
    "strep": "strep, Mp3PieceEncoder",
    "bare": "strep, without what comes before and behind",
    "pyav": "PyAV, a file in memory",
    "ffmpeg": "ffmpeg process and two files, as pydub has it",
}


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    repeats: Annotated[int, Meta(ge=1, description="How often, all taking turns.")] = 21
    lengths: Annotated[tuple[Annotated[int, Meta(ge=1)], ...], Meta(description="Seconds of a piece.")] = (1, 5)


class Made(msgspec.Struct, frozen=True):
    """One piece."""

    what: str
    length_s: int
    ms: float
    size_bytes: int
    samples: int


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Make a piece of each length with everything in turn; the referee decodes each with libsndfile."""
    where = environment.describe(scratch)
    makers = _makers(scratch)
    made: list[Made] = []
    for repeat in range(settings.repeats + 1):
        say.doing(f"round {repeat} of {settings.repeats}", repeat / (settings.repeats + 1))
        for length_s in settings.lengths:
            found = [_make(name, maker, length_s) for name, maker in makers.items()]
            made += found if repeat else []  # the first round imports and warms up
    complaints = [
        f"{_LABELS[one.what]}: {one.samples} samples for {one.length_s * RATE_HZ}"
        for one in made
        if one.samples != one.length_s * RATE_HZ
    ]
    spreads = {
        (name, length_s): Spread.of(one.ms / length_s for one in made if (one.what, one.length_s) == (name, length_s))
        for name in makers
        for length_s in settings.lengths
    }
    return Report(
        question="mp3",
        environment=where,
        answers=_answers(spreads, settings.lengths[0]),
        tables=[_table(spreads, made)],
        runs=len(made),
        charts=[_chart(spreads, length_s) for length_s in settings.lengths],
        conditions=[["MP3", f"{RATE_HZ} Hz, mono, {KBITS_PER_SECOND[RATE_HZ]} kbit/s"]],
        figures=msgspec.to_builtins(made),
        complaints=complaints,
    )


def _makers(scratch: Path) -> dict[str, Callable[[Pcm], bytes]]:
    with_context, bare = Mp3PieceEncoder(RATE_HZ), Mp3PieceEncoder(RATE_HZ, context_samples=0)
    makers: dict[str, Callable[[Pcm], bytes]] = {
        "strep": lambda pcm: with_context.encode(pcm, pcm),
        "bare": bare.encode,
    }
    try:
        import av  # noqa: F401
    except ImportError:
        pass
    else:
        makers["pyav"] = _by_pyav
    if shutil.which("ffmpeg") is not None:
        makers["ffmpeg"] = lambda pcm: _by_ffmpeg(pcm, scratch)
    return makers


def _make(name: str, maker: Callable[[Pcm], bytes], length_s: int) -> Made:
    pcm = np.ascontiguousarray(load(CONVERSATION)[0, : length_s * RATE_HZ])
    before_ns = time.perf_counter_ns()
    mp3 = maker(pcm)
    ms = (time.perf_counter_ns() - before_ns) / 1e6
    return Made(name, length_s, ms, len(mp3), len(soundfile.read(io.BytesIO(mp3), dtype="int16")[0]))


def _by_pyav(pcm: Pcm) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=RATE_HZ, layout="mono")
        stream.bit_rate = KBITS_PER_SECOND[RATE_HZ] * 1000
        frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16p", layout="mono")
        frame.sample_rate = RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _by_ffmpeg(pcm: Pcm, scratch: Path) -> bytes:
    wav, mp3 = scratch / "piece.wav", scratch / "piece.mp3"
    soundfile.write(wav, pcm, RATE_HZ)
    rate = f"{KBITS_PER_SECOND[RATE_HZ]}k"
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "wav", "-i", str(wav), "-b:a", rate, "-f", "mp3", str(mp3)]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=60)
    return mp3.read_bytes()


def _answers(spreads: dict[tuple[str, int], Spread], length_s: int) -> list[str]:
    ours = spreads["strep", length_s]
    found = [f"an MP3 of {length_s} s takes {ours.text('.2f')} ms per second of audio"]
    if ("ffmpeg", length_s) in spreads:
        found.append(f"a process of ffmpeg takes {spreads['ffmpeg', length_s].median / ours.median:.0f} times that")
    return found


def _table(spreads: dict[tuple[str, int], Spread], made: list[Made]) -> Table:
    cells = []
    for (name, length_s), spread in sorted(spreads.items(), key=lambda item: item[0][1]):
        size_bytes = next(one.size_bytes for one in reversed(made) if (one.what, one.length_s) == (name, length_s))
        cells.append([_LABELS[name], f"{length_s}", spread.text(".2f"), f"{size_bytes:,}"])
    return Table("Elapsed time", ["made by", "piece, s", "ms per second of audio", "bytes"], cells)


def _chart(spreads: dict[tuple[str, int], Spread], length_s: int) -> Bars:
    labelled = ((name, spread) for (name, length), spread in spreads.items() if length == length_s)
    bars = [Bar(_LABELS[name], spread, ours=name in ("strep", "bare")) for name, spread in labelled]
    return Bars(f"Pieces of {length_s} s", "ms per second of audio", bars)


QUESTION = Question(
    name="mp3",
    explains="""Pieces of a telephone conversation at 8 kHz are made into MP3s, in turn: in this process, by PyAV, and
by a process of ffmpeg between two temporary files, as pydub does. The first round does not count.

The referee decodes each with libsndfile: as many samples have to come out as went in.""",
    settings=Settings,
    quick=Settings(repeats=3),
    measure=measure,
)
