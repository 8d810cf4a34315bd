"""Placements on the real timeline: a hole that was given up and then filled moves what follows, and loses nothing."""

from __future__ import annotations

import pytest

from media.ws.chunks import ChunkSequencer
from strep.clock import NS_PER_MS
from strep.header import Direction
from tests.strep.bench import Bench
from tests.strep.packets import Packet, audio


@pytest.mark.parametrize("late_by_ms", [5, 200, 400])
@pytest.mark.parametrize("odd_samples", [80, 160, 240, 400])
def test_a_late_chunk_of_another_length(odd_samples: int, late_by_ms: int) -> None:
    lengths = [160] * 60
    lengths[20] = odd_samples
    arrivals = sorted((20 * n + (late_by_ms if n == 20 else 0), n) for n in range(60))
    bench, sequencer = Bench(), ChunkSequencer()
    for at_ms, n in arrivals:
        now_ns = at_ms * NS_PER_MS
        bench.poll_until(now_ns)
        placed = sequencer.place(Direction.INBOUND, n + 1, None, None, lengths[n])
        if placed.shift_samples:
            bench.timeline.shift_waiting(0, (placed.sequence_number + 1) & 0xFFFF, placed.shift_samples)
        bench.receive(Packet(placed.sequence_number, placed.timestamp, now_ns, audio(n, lengths[n])))
        bench.poll_until(now_ns)
    bench.settle()
    bench.finish()
    statistics = bench.timeline.statistics(0)
    assert bench.timeline.table.tracks.epochs[0] == 0, "a shift is no new beginning"
    assert (statistics.quarantined, statistics.duplicate) == (0, 0)
    assert statistics.received == 60
    error = abs(odd_samples - 160)
    assert abs(bench.length(0) - sum(lengths)) <= error
    recorded = bench.tapes[0].recorded(bench.origin(0), bench.length(0))
    missing = [n for n in range(60) if audio(n, lengths[n]) not in recorded]
    halves = [n for n in missing if audio(n, lengths[n])[error:] in recorded]
    assert missing == halves, "an overlap covers no more than the correction"
    assert len(missing) <= (odd_samples < 160), "and there is one only where what follows moves back"
