"""How much of what is said on the telephone is understood, how soon is it known, and what does it cost?"""

from __future__ import annotations

import asyncio
import shutil
import time
import wave
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import soxr
from msgspec import Meta

from benchmarks import environment
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Bar, Bars, Report, Spread, Table
from benchmarks.transcribe_corpus import (
    DIGITS,
    PROGRAM,
    SENTENCES,
    Pcm,
    monologue,
    speak,
    word_error_rate,
    word_errors,
)
from media.carrier.network import NetworkModel
from media.carrier.options import SimulationOptions
from media.carrier.pacing import Pacer
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint, ServerConfig
from media.events.bus import EventBus, Told
from media.events.transcripts import Transcription
from media.server import Server
from media.transcribing.limits import Limits
from media.transcribing.plugins import make_engine, parse_choice
from media.transcribing.rates import Converter
from media.transcribing.sink import TranscribingSink, Wish
from strep.clock import NS_PER_SECOND, SystemClock
from strep.g711 import SAMPLE_RATE_HZ, Codec, decode, encode

MOST_WRONG = {"sentences": 0.2, "digits": 0.1}
"""Word error rates that are complained of, of the first voice without loss."""
_PIECE = SAMPLE_RATE_HZ // 10


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    engine: Annotated[str, Meta(description="For sentences, as for --transcribe.")] = "pocketsphinx"
    digits: Annotated[str, Meta(description="For digits.")] = "pocketsphinx:grammar=digits"
    voices: Annotated[tuple[str, ...], Meta(description="Of flite.")] = ("rms", "awb", "slt")
    loss: Annotated[float, Meta(ge=0, description="Packets lost, in a second run.")] = 0.02
    sentences: Annotated[int, Meta(ge=1, description="So many of the ten, and of the digit strings.")] = 10
    repeats: Annotated[int, Meta(ge=1, description="How often the cost is measured.")] = 3


class Heard(msgspec.Struct):
    """What became of one call.

    Attributes:
        texts: the final results, in order.
        late_ms: of each, from the end of its last word to the event.
    """

    texts: list[str] = msgspec.field(default_factory=list)
    late_ms: list[float] = msgspec.field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(self.texts)


class Run(msgspec.Struct):
    """One call: what was said in it, and what was heard."""

    kind: str
    voice: str
    loss: float
    said: list[str]
    heard: Heard

    @property
    def name(self) -> str:
        """What was said, and by whom."""
        return f"{self.kind}, {self.voice}"

    @property
    def words(self) -> int:
        """Words that were said."""
        return len(" ".join(self.said).split())

    @property
    def errors(self) -> int:
        """Words that are wrong."""
        return word_errors(" ".join(self.said), self.heard.text)

    @property
    def rate(self) -> float:
        """The word error rate."""
        return self.errors / self.words


async def hear_call(
    engine: str,
    pcm: Pcm,
    directory: Path,
    *,
    loss: float = 0.0,
    pacer: Pacer | None = None,
    limits: Limits | None = None,
) -> Heard:
    """Let a simulated carrier call a server that transcribes; `pcm` is what the caller says."""
    audio = directory / "caller.wav"
    with wave.open(str(audio), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE_HZ, len(pcm), "NONE", ""))
        file.writeframes(pcm.tobytes())
    heard, clock = Heard(), SystemClock()

    def take(told: Told) -> None:
        event = told.event
        if isinstance(event, Transcription) and event.is_final and event.position_samples is not None:
            end_ns = (event.position_samples + event.duration_samples) * NS_PER_SECOND // SAMPLE_RATE_HZ
            heard.texts.append(event.text)
            heard.late_ms.append((told.occurred_at_ns - told.call.started_wall_ns - end_ns) / 1e6)

    bus = EventBus(clock)
    bus.subscribe(take)
    sink = TranscribingSink(Wish(parse_choice(engine), "inbound"), limits or Limits(), directory, bus, clock)
    options = SimulationOptions(
        seconds=len(pcm) / SAMPLE_RATE_HZ, audio=audio, network=NetworkModel(loss=loss) if loss else NetworkModel()
    )
    simulation = Simulation(options)
    simulation.plan()
    async with Server(ServerConfig(udp=Endpoint("127.0.0.1", 0), record=directory), sinks=[sink]) as server:
        host, _, port = server.addresses["udp"].rpartition(":")
        await simulation.run(Target(udp=(host, int(port))), pacer)
    return heard


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Have it said, over the whole chain and to engines alone."""
    where = environment.describe(scratch)
    if shutil.which(PROGRAM) is None:
        return Report(
            question="transcribe", environment=where, answers=[], tables=[], runs=0,
            complaints=[f"{PROGRAM} is not installed: make peers"],
        )  # fmt: skip
    runs = list(_whole_chain(settings, say, scratch))
    costs = list(_alone(settings, say, scratch))
    return Report(
        question="transcribe",
        environment=where,
        answers=_answers(runs, costs, settings),
        tables=[_words_table(runs), _heard_table(runs), _cost_table(costs)],
        runs=len(runs) + len(costs) * settings.repeats,
        charts=[_chart(runs)],
        conditions=[
            ["speech", f"flite, voices {', '.join(settings.voices)}; 8 kHz, mu-law"],
            ["the chain", "simulated carrier, STREP over loopback in real time, server, worker process, event"],
        ],
        figures={"words": msgspec.to_builtins(runs), "cost": msgspec.to_builtins(costs)},
        complaints=list(_complaints(runs)),
    )


def _whole_chain(settings: Settings, say: Say, scratch: Path) -> Iterator[Run]:
    spoken = {"sentences": (settings.engine, SENTENCES), "digits": (settings.digits, DIGITS)}
    for voice in settings.voices:
        for loss in (0.0, settings.loss) if settings.loss else (0.0,):
            say.doing(f"{voice}, {loss:.0%} loss")
            jobs, runs = [], []
            for kind, (engine, texts) in spoken.items():
                folder = scratch / f"{voice}-{kind}-{loss}"
                folder.mkdir()
                runs.append(Run(kind, voice, loss, list(texts[: settings.sentences]), Heard()))
                jobs.append(hear_call(engine, monologue(runs[-1].said, voice, folder), folder, loss=loss))
            for run, heard in zip(runs, asyncio.run(_together(jobs)), strict=True):
                run.heard = heard
                say(f"{run.name}, {loss:.0%} loss: {run.errors} of {run.words} words wrong")
            yield from runs
            for folder in scratch.iterdir():
                shutil.rmtree(folder)


async def _together(jobs: list[Coroutine[Any, Any, Heard]]) -> list[Heard]:
    return await asyncio.gather(*jobs)


class Cost(msgspec.Struct, frozen=True):
    """An engine alone.

    Attributes:
        rate: word error rate, the same in every repeat.
        real_time_factor: processor time over speech.
    """

    kind: str
    converted: str
    rate: float
    real_time_factor: Spread


def _alone(settings: Settings, say: Say, scratch: Path) -> Iterator[Cost]:
    """Let engines hear it in this process, converted to their rate in two ways."""
    ways: dict[str, Callable[[Pcm, int], Pcm]] = {
        "samples repeated": lambda pcm, rate_hz: Converter(SAMPLE_RATE_HZ, rate_hz).convert(pcm),
        "resampled (soxr HQ)": lambda pcm, rate_hz: soxr.resample(pcm, SAMPLE_RATE_HZ, rate_hz),
    }
    for kind, engine, texts in (("sentences", settings.engine, SENTENCES), ("digits", settings.digits, DIGITS)):
        texts = texts[: settings.sentences]
        pieces = [_line(speak(text, settings.voices[0], scratch)) for text in texts]
        seconds = sum(map(len, pieces)) / SAMPLE_RATE_HZ
        for way, convert in ways.items():
            say.doing(f"{kind}, {way}")
            factors, rate = [], 0.0
            for _ in range(settings.repeats):
                heard, took_s = _hear(engine, pieces, convert)
                factors.append(took_s / seconds)
                rate = word_error_rate(" ".join(texts), heard)
            yield Cost(kind, way, rate, Spread.of(factors))


def _line(pcm: Pcm) -> Pcm:
    """Return speech as it comes from a telephone, with the silence that the gate leaves around it."""
    before, behind = (np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16) for seconds in (0.3, 0.7))
    return np.concatenate([before, decode(encode(pcm, Codec.PCMU), Codec.PCMU), behind])


def _hear(engine_name: str, pieces: list[Pcm], convert: Callable[[Pcm, int], Pcm]) -> tuple[str, float]:
    engine = make_engine(parse_choice(engine_name))
    engine.load()
    rate_hz = engine.sample_rate_hz or SAMPLE_RATE_HZ
    recognizer, texts = engine.open(rate_hz), []
    began_ns = time.process_time_ns()
    for pcm in pieces:
        audio = convert(pcm, rate_hz)
        step = _PIECE * rate_hz // SAMPLE_RATE_HZ
        results = [r for at in range(0, len(audio), step) for r in recognizer.accept(audio[at : at + step])]
        texts += [result.text for result in (*results, *recognizer.finish()) if result.is_final]
    return " ".join(texts), (time.process_time_ns() - began_ns) / NS_PER_SECOND


# -- the answer ----------------------------------------------------------------------------------------


def _first(runs: list[Run], kind: str) -> Run:
    return next(run for run in runs if run.kind == kind)


def _complaints(runs: list[Run]) -> Iterator[str]:
    for kind, most in MOST_WRONG.items():
        rate = _first(runs, kind).rate
        if rate > most:
            yield f"{kind}: a word error rate of {rate:.2f}, more than {most}"


def _answers(runs: list[Run], costs: list[Cost], settings: Settings) -> list[str]:
    told = []
    for kind, engine in (("sentences", settings.engine), ("digits", settings.digits)):
        run = _first(runs, kind)
        factor = next(cost.real_time_factor for cost in costs if cost.kind == kind)
        told.append(
            f"{kind}, voice {run.voice}, no loss, {engine}: {run.errors} of {run.words} words wrong (word error rate "
            f"{run.rate:.2f}); the engine takes {factor.text('.2f')} of a core while somebody speaks"
        )
    late_ms = [ms for run in runs for ms in run.heard.late_ms]
    if late_ms:
        told.append(
            f"a final result comes {np.median(late_ms):.0f} ms after the last word, {max(late_ms):.0f} at most"
        )
    return told


def _words_table(runs: list[Run]) -> Table:
    columns = ["what, voice", "loss", "words", "wrong", "word error rate", "final after the last word, ms"]
    cells = [
        [run.name, f"{run.loss:.0%}", str(run.words), str(run.errors), f"{run.rate:.2f}", _late(run.heard.late_ms)]
        for run in runs
    ]
    return Table("Over the whole chain", columns, cells)


def _late(late_ms: list[float]) -> str:
    return Spread.of(late_ms).text(".0f") if late_ms else "-"


def _heard_table(runs: list[Run]) -> Table:
    cells = [[run.name, " / ".join(run.heard.texts)] for run in runs if not run.loss]
    return Table("What was heard without loss", ["what, voice", "text"], cells, text_columns=2)


def _cost_table(costs: list[Cost]) -> Table:
    cells = [[c.kind, c.converted, f"{c.rate:.2f}", c.real_time_factor.text(".3f")] for c in costs]
    columns = ["what", "8 to 16 kHz", "word error rate", "cores per speaker"]
    return Table("Engines alone, first voice", columns, cells, text_columns=2)


def _chart(runs: list[Run]) -> Bars:
    bars = [Bar(run.name, Spread.of([run.rate]), ours=True) for run in runs if not run.loss]
    return Bars("Words that are wrong, without loss", "word error rate", bars)


QUESTION = Question(
    name="transcribe",
    explains="""Ten sentences and five strings of digits are spoken by flite in several voices, by a simulated carrier
into a server that transcribes, in real time, with and without loss: the whole way from packets to events. Words are
compared with what was said (word error rate: put in, left out, exchanged, over all that were said).

It is clean, slow, synthetic English of few voices, which a model either knows or not: real callers are harder. Voices
of espeak-ng are not understood at all.

Then the engines alone, in this process: processor time over the length of the speech, and what it does to the words
how 8 kHz become the 16 kHz of the model.""",
    settings=Settings,
    quick=Settings(voices=("rms",), loss=0.0, sentences=2, repeats=1),
    measure=measure,
)
