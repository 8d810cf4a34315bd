"""What does a live page cost reception?"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from benchmarks import environment
from benchmarks.page_server import Looked, serving
from benchmarks.progress import Say
from benchmarks.question import Question
from benchmarks.report import Bar, Bars, Report, Spread, Table
from media.page.levels import BUCKET_MS
from media.page.viewer import MAX_VISIBLE

ALONE, WATCHED = "nobody looks", "a page is open"
LEAST_OF_LEVELS = 0.8
"""Share of the levels that a viewer has to get of what was said while it looked."""


class Settings(msgspec.Struct, frozen=True):
    """What was asked for."""

    calls: Annotated[int, Meta(ge=1, description="Calls at once, by STREP.")] = 500
    in_sight: Annotated[int, Meta(ge=1, le=MAX_VISIBLE, description="Of these, those that the page shows.")] = 60
    workers: Annotated[int, Meta(ge=1, le=16, description="Processes that receive.")] = 1
    seconds: Annotated[float, Meta(ge=0.5, description="Of each measurement.")] = 5.0
    repeats: Annotated[int, Meta(ge=1, description="How often, both taking turns.")] = 4


class Watched(msgspec.Struct, frozen=True):
    """One measurement: processor time of the whole server, the kernel's on its behalf included."""

    how: str
    us_per_packet: float
    packets: int


def measure(settings: Settings, say: Say, scratch: Path) -> Report:
    """Let calls come in, and open and close a page."""
    where = environment.describe(scratch, ["aiohttp"])
    runs, complaints = asyncio.run(_measure(settings, say))
    spreads = {
        how: Spread.of(run.us_per_packet for run in runs if run.how == how and run.packets)
        for how in (ALONE, WATCHED)
    }
    pairs = zip(runs[::2], runs[1::2], strict=True)
    ratio = Spread.of(watched.us_per_packet / alone.us_per_packet for alone, watched in pairs)
    cells = [[how, spread.text(",.2f")] for how, spread in spreads.items()]
    bars = [Bar(how, spread, ours=True) for how, spread in spreads.items()]
    return Report(
        question="page",
        environment=where,
        answers=[
            f"with a page that shows {settings.in_sight} of {settings.calls} calls a packet costs "
            f"{ratio.text('.2f')} times as much as when nobody looks: {spreads[WATCHED].text('.2f')} us, "
            f"not {spreads[ALONE].text('.2f')}"
        ],
        tables=[Table("Processor time of the server per packet", ["", "us"], cells)],
        runs=len(runs),
        charts=[Bars("A packet", "us of processor time", bars)],
        conditions=[
            ["calls", f"{settings.calls} by STREP, 20 ms, no recording"],
            ["processes that receive", str(settings.workers)],
        ],
        figures=msgspec.to_builtins(runs),
        complaints=complaints,
    )


async def _measure(settings: Settings, say: Say) -> tuple[list[Watched], list[str]]:
    runs, complaints = list[Watched](), list[str]()
    async with serving(settings.workers) as server:
        length_s = 60 + 4 * settings.repeats * settings.seconds
        load = [
            "simulate",
            "--udp",
            server.addresses["udp"],
            "--calls",
            str(settings.calls),
            "--seconds",
            str(length_s),
        ]
        carrier = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "media.cli", *load, "--stagger", "1", stdout=PIPE, stderr=PIPE
        )
        try:
            while server.calls() < settings.calls:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
            for repeat in range(settings.repeats):
                say.doing(f"round {repeat + 1}", repeat / settings.repeats)
                runs.append(await _during(server, settings, ALONE))
                watched, came = await _watched(server, settings)
                runs.append(watched)
                complaints += _problems(settings, came)
        finally:
            carrier.kill()
            await carrier.communicate()
    return runs, complaints


async def _during(server: Looked, settings: Settings, how: str) -> Watched:
    packets, spent_s = server.packets(), server.spent_s()
    await asyncio.sleep(settings.seconds)
    packets, spent_s = server.packets() - packets, server.spent_s() - spent_s
    return Watched(how, 1e6 * spent_s / max(packets, 1), packets)


async def _watched(server: Looked, settings: Settings) -> tuple[Watched, dict[str, int]]:
    """Measure while a page in another process looks; return what it was told, too."""
    url, in_sight = f"ws://{server.addresses['http']}/v1/watch", str(settings.in_sight)
    viewer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.page_viewer", url, in_sight, stdin=PIPE, stdout=PIPE
    )
    assert viewer.stdout is not None
    await viewer.stdout.readline()
    run = await _during(server, settings, WATCHED)
    said, _ = await viewer.communicate(b"")
    came: dict[str, int] = json.loads(said)
    return run, came


def _problems(settings: Settings, came: dict[str, int]) -> list[str]:
    """Return what the page was told that it should not have been, or was not."""
    problems = []
    tracks = 2 * min(settings.calls, settings.in_sight)
    least = LEAST_OF_LEVELS * tracks * settings.seconds * 1000 / BUCKET_MS
    if came["records"] < least:
        problems.append(f"{came['records']} levels came, {least:.0f} were due at the least")
    problems += [f"{came[what]} {what}" for what in ("strangers", "dropped") if came[what]]
    return problems


QUESTION = Question(
    name="page",
    explains="""Calls come in by STREP, and nothing is recorded. In turns nobody looks, and a page in another
process has some of the calls in sight: it gets their levels five times a second, figures and totals once a second,
and figures of all calls every five. Processor time is that of the whole server: reception, feed, HTTP.

The referee is that page: it must be told of the calls in sight, of no other, and miss nothing.""",
    settings=Settings,
    quick=Settings(calls=10, in_sight=5, seconds=0.5, repeats=1),
    measure=measure,
)
