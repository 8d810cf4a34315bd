"""Figures of all calls, beside those of each track."""

from __future__ import annotations

import numpy as np

from media.page.overview import FIGURES, Lookout, Overview, figures_of
from media.status import live_calls
from strep.clock import NS_PER_SECOND, ManualClock
from strep.header import Direction
from tests.media.world import World, audio


def test_figures_are_those_of_the_tracks() -> None:
    world = World()
    for number in range(40):
        for leg in (1, 2, 3):
            for direction in Direction:
                if (number + leg) % 7 and not (leg == 3 and direction):
                    world.send_strep(audio(number, ssrc=2 * leg + direction), leg, direction)
        world.tick()
    for _ in range(10):
        world.tick()
    found = figures_of(world.engine)
    expected = {}
    for call, said in zip(world.engine.calls.values(), live_calls(world.engine), strict=True):
        tracks = said["tracks"]
        expected[call.info.index] = (
            sum(track["received"] for track in tracks),
            sum(track["never_arrived"] for track in tracks),
            int(max(track["jitter_ms"] for track in tracks) * 10),
            max(track["never_arrived"] * 1000 // (track["received"] + track["never_arrived"]) for track in tracks),
            round(100 * min(track["quality"]["mos"] for track in tracks)),
        )
    names = ("received", "lost", "jitter", "lost_permille", "mos")
    assert {int(one["call"]): tuple(int(one[name]) for name in names) for one in found} == expected
    assert any(one[1] for one in expected.values()), "something was lost"


def test_nobody_calls() -> None:
    assert figures_of(World().engine).shape == (0,)
    assert FIGURES.itemsize == 18


async def test_looks_once_a_second_however_many_look() -> None:
    clock, asked = ManualClock(), 0

    async def ask() -> Overview:
        nonlocal asked
        asked += 1
        return Overview({"calls": asked}, np.empty(0, FIGURES))

    lookout = Lookout(ask, clock)
    assert [(await lookout.look()).totals["calls"] for _ in range(3)] == [1, 1, 1]
    clock.advance(NS_PER_SECOND)
    assert (await lookout.look()).totals["calls"] == 2
