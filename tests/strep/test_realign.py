"""Pauses that timestamps do not count: told from stalls, bursts and drift by the seconds that follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.frames import FrameBatch
from strep.g711 import Codec
from strep.ledger import Kind
from strep.timeline import Timeline

FRAME = 160
BEGINNING_NS = 100 * NS_PER_SECOND


def frame(slot: int, number: int, arrival_ns: int) -> FrameBatch:
    def one(value: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([value], np.int64)

    table = np.full((1, FRAME), number % 200, np.uint8)
    columns = one(slot), one(number % 65536), one(number * FRAME), one(7), one(arrival_ns), np.ones(1, np.bool_)
    return FrameBatch(*columns, table, one(0), one(0), one(FRAME))


def play(packets: int, arrival_of: Callable[[int], int]) -> tuple[Timeline, int]:
    """Let packet number i, 20 ms of media each, arrive at ``arrival_of(i)``, with a look once a second."""
    timeline = Timeline()
    slot = timeline.open(Codec.PCMU)
    next_look_ns = BEGINNING_NS
    for i in range(packets):
        arrival_ns = BEGINNING_NS + arrival_of(i)
        while next_look_ns <= arrival_ns:
            timeline.realign()
            next_look_ns += NS_PER_SECOND
        timeline.receive(frame(slot, i, arrival_ns))
        timeline.poll(arrival_ns)
    timeline.finish(slot)
    assert timeline.statistics(slot).conserved
    assert timeline.statistics(slot).delivered == packets
    return timeline, slot


def on_time(i: int) -> int:
    return i * 20 * NS_PER_MS


def test_a_pause_of_20_seconds_that_timestamps_do_not_count_becomes_silence() -> None:
    timeline, slot = play(1000, lambda i: on_time(i) + (20 * NS_PER_SECOND if i >= 300 else 0))
    assert timeline.ledger_totals(slot)[Kind.SILENCE] == pytest.approx(20 * 8000, abs=8)
    assert timeline.length(slot) == pytest.approx(1000 * FRAME + 20 * 8000, abs=8)
    origin = int(timeline.table.tracks.origin[slot])
    (start, _, kind) = timeline.table.ledgers[slot].spans[0]
    assert kind is Kind.SILENCE
    assert 300 * FRAME <= start - origin <= 300 * FRAME + 3 * 8000


def test_two_pauses() -> None:
    def arrival(i: int) -> int:
        return on_time(i) + (5 * NS_PER_SECOND if i >= 300 else 0) + (8 * NS_PER_SECOND if i >= 700 else 0)

    timeline, slot = play(1000, arrival)
    assert timeline.ledger_totals(slot)[Kind.SILENCE] == pytest.approx(13 * 8000, abs=16)


@pytest.mark.parametrize("stall_s", [2, 5, 20])
def test_a_stall_that_delivers_its_backlog_changes_nothing(stall_s: int) -> None:
    stalled_until = on_time(300) + stall_s * NS_PER_SECOND
    timeline, slot = play(2000, lambda i: max(on_time(i), stalled_until) if i >= 300 else on_time(i))
    assert timeline.length(slot) == 2000 * FRAME
    assert timeline.table.ledgers[slot].spans == []


def test_a_backlog_delivered_at_four_times_the_speed_changes_nothing() -> None:
    resumed = on_time(300) + 8 * NS_PER_SECOND
    timeline, slot = play(
        2000, lambda i: max(on_time(i), resumed + (i - 300) * 5 * NS_PER_MS) if i >= 300 else on_time(i)
    )
    assert timeline.length(slot) == 2000 * FRAME


def test_a_stall_amid_catching_up_changes_nothing() -> None:
    """Looks during the second stall all see the same lag; that it stayed they do not show."""
    resumed_ns, again_ns = 14 * NS_PER_SECOND, 1500 * NS_PER_MS

    def arrival(i: int) -> int:
        caught_up_ns = max(resumed_ns + (i - 300) * 10 * NS_PER_MS, on_time(i))
        if i < 300:
            return on_time(i)
        return caught_up_ns if i < 702 else max(caught_up_ns, 18_010 * NS_PER_MS + again_ns)

    timeline, slot = play(2000, arrival)
    assert timeline.length(slot) == 2000 * FRAME


def test_what_was_taken_for_a_pause_and_caught_up_with_is_part_of_the_next_pause() -> None:
    """The clock has run for 8 s that the timestamps do not know of, whatever it looked like in between."""

    def arrival(i: int) -> int:
        late_s = 5 if 300 <= i < 600 else 8 if i >= 1000 else 0
        return max(on_time(i) + late_s * NS_PER_SECOND, on_time(599) + 5 * NS_PER_SECOND if i >= 600 else 0)

    timeline, slot = play(2000, arrival)
    assert timeline.ledger_totals(slot)[Kind.SILENCE] == pytest.approx(8 * 8000, abs=320)


def test_a_burst_at_the_beginning_changes_nothing() -> None:
    timeline, slot = play(1000, lambda i: max(on_time(i) - 5 * NS_PER_SECOND, 0))
    assert timeline.length(slot) == 1000 * FRAME


@pytest.mark.parametrize("drift", [-500e-6, 500e-6])
def test_a_drift_of_500_ppm_is_not_mended(drift: float) -> None:
    timeline, slot = play(20_000, lambda i: round(on_time(i) * (1 + drift)))
    assert timeline.length(slot) == 20_000 * FRAME


def test_drift_beyond_the_tolerance_is_followed() -> None:
    """2 % is no clock, but 1.2 s of it accrue in a minute: slowly, so it is not taken for a pause."""
    timeline, slot = play(3000, lambda i: round(on_time(i) * 1.02))
    assert timeline.length(slot) == 3000 * FRAME
