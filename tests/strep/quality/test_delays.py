"""Lateness at several depths against the definition, packet by packet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.clock import NS_PER_MS
from strep.frames import FrameBatch
from strep.g711 import Codec
from strep.quality.delays import DEPTHS_MS, HOLE_PACKETS, Delays, forget_delays, forgive_delays
from strep.timeline import Timeline
from strep.tracks import Tracks

FRAME = 160
BEFORE = 12 * 50
"""Packets of 20 ms before a hold."""


def fed(delays_ms: list[float], tracks: Tracks, slot: int) -> None:
    delays = Delays(8000)
    for number, delay_ms in enumerate(delays_ms):
        which, position = np.array([slot]), np.array([number * FRAME])
        delays.look(tracks, which, np.array([delay_ms * 8]), position, np.array([FRAME]))


@given(st.lists(st.integers(0, 150).map(lambda n: 2 * n), min_size=1, max_size=100))
def test_packets_and_stretches_are_those_later_than_the_earliest_so_far(delays_ms: list[int]) -> None:
    tracks = Tracks(4)
    slot = tracks.allocate()
    fed([float(delay) for delay in delays_ms], tracks, slot)
    late = np.array(delays_ms)[:, None] - np.minimum.accumulate(delays_ms)[:, None] > np.array(DEPTHS_MS)
    begins = late & ~np.concatenate([np.zeros((1, 5), bool), late[:-1]])
    assert tracks.late_packets[slot].tolist() == late.sum(axis=0).tolist()
    assert tracks.late_runs[slot].tolist() == begins.sum(axis=0).tolist()


def test_what_was_late_for_a_pause_of_its_sender_is_forgiven() -> None:
    tracks = Tracks(4)
    slot = tracks.allocate()
    fed([0, 250, *[0] * (HOLE_PACKETS + 1), 2000, 2000, 2000], tracks, slot)
    forgive_delays(tracks, slot)
    assert tracks.late_packets[slot].tolist() == tracks.late_runs[slot].tolist() == [1] * 5


def test_a_stretch_that_a_pause_only_prolongs_stays_one() -> None:
    tracks = Tracks(4)
    slot = tracks.allocate()
    fed([0, 50, 2000, 2000], tracks, slot)
    forgive_delays(tracks, slot)
    assert tracks.late_packets[slot].tolist() == tracks.late_runs[slot].tolist() == [1, 1, 0, 0, 0]


@pytest.mark.parametrize("how", ["another epoch", "all in time since", "the earliest since"])
def test_what_was_late_long_ago_is_not_forgiven(how: str) -> None:
    tracks = Tracks(4)
    slot = tracks.allocate()
    fed([0, 2000, 2000, *[-10] * (how == "the earliest since")], tracks, slot)
    if how == "another epoch":
        forget_delays(tracks, np.array([slot]))
    if how == "all in time since":
        tracks.longest[slot], tracks.highest_end[slot] = FRAME, 50 * FRAME
    forgive_delays(tracks, slot)
    assert tracks.late_packets[slot].tolist() == [2] * 5
    assert tracks.late_runs[slot].tolist() == [1] * 5


@given(st.lists(st.tuples(st.sampled_from([0, 30, 150, 250, 2000]), st.integers(1, 20)), min_size=1, max_size=60))
def test_forgiven_is_what_the_definition_says(packets: list[tuple[int, int]]) -> None:
    """Packet by packet: delays, and the distance from the packet before; the first defines what is in time."""
    tracks, delays = Tracks(4), Delays(8000)
    slot = tracks.allocate()
    numbers = np.cumsum([0, *(distance for _, distance in packets)]).tolist()
    since, last_late = list[int](), -1
    for number, delay_ms in zip(numbers, [0, *(delay for delay, _ in packets)], strict=True):
        position = np.array([number * FRAME])
        delays.look(tracks, np.array([slot]), np.array([delay_ms * 8.0]), position, np.array([FRAME]))
        if delay_ms:
            goes_on = delay_ms > 200 and number - last_late - 1 <= HOLE_PACKETS
            since = [*(since if goes_on else []), *([number] if delay_ms > 200 else [])]
            last_late = number
    late = [sum(delay > depth for delay, _ in packets) for depth in DEPTHS_MS]
    assert tracks.late_packets[slot].tolist() == late
    tracks.longest[slot], tracks.highest_end[slot] = FRAME, (numbers[-1] + 1) * FRAME
    forgiven = len(since) * (numbers[-1] - last_late <= HOLE_PACKETS)
    forgive_delays(tracks, slot)
    assert tracks.late_packets[slot].tolist() == [packets - forgiven for packets in late]
    assert (tracks.late_runs[slot] <= tracks.late_packets[slot]).all()
    assert ((tracks.late_runs[slot] > 0) == (tracks.late_packets[slot] > 0)).all()


def held(seed: int, *, loss: float, overtaken: float) -> tuple[list[int], list[int], list[int]]:
    """Return packets late and stretches, as measured, and packets late in truth, over a hold of 30 s."""
    random = np.random.default_rng(seed)
    number = np.arange(BEFORE + 10 * 50)
    sent_ms = 1000 + 20 * number + 30_000 * (number >= BEFORE)
    delay_ms = np.where(random.random(len(number)) < overtaken, 30, 0)
    delay_ms[BEFORE - 100 : BEFORE - 90] = delay_ms[-50:-45] = 250  # late in truth, and never to be forgiven
    delay_ms[:5] = 0
    kept = random.random(len(number)) >= loss
    kept[:5] = kept[-1] = True
    timeline = Timeline(capacity=64)
    slot, look_ms = timeline.open(Codec.PCMU), 2000
    arrival_ms = sent_ms + delay_ms
    for packet in np.argsort(arrival_ms, kind="stable").tolist():
        while look_ms <= arrival_ms[packet]:
            timeline.poll(look_ms * NS_PER_MS)
            timeline.realign()
            look_ms += 1000
        if kept[packet]:
            timeline.receive(frame(slot, packet, int(arrival_ms[packet]) * NS_PER_MS))
            timeline.poll(int(arrival_ms[packet]) * NS_PER_MS)
            timeline.take_blocks()
    timeline.finish(slot)
    tracks = timeline.table.tracks
    assert tracks.paused_samples[slot] > 29 * 8000
    # What is overtaken right behind the hold is forgiven with the rest: 3 s at most.
    counts = kept & ((number < BEFORE) | (number >= BEFORE + 150))
    truth = [int((delay_ms[counts] > depth).sum()) for depth in DEPTHS_MS]
    return tracks.late_packets[slot].tolist(), tracks.late_runs[slot].tolist(), truth


def frame(slot: int, number: int, arrival_ns: int) -> FrameBatch:
    return FrameBatch(
        slot=np.array([slot]),
        sequence_number=np.array([number]),
        timestamp=np.array([number * FRAME]),
        ssrc=np.array([7]),
        arrival_ns=np.array([arrival_ns]),
        is_audio=np.array([True]),
        table=np.zeros((1, FRAME), np.uint8),
        row=np.array([0]),
        offset=np.array([0]),
        length=np.array([FRAME]),
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("loss", "overtaken"), [(0.0, 0.0), (0.02, 0.0), (0.1, 0.0), (0.0, 0.1), (0.05, 0.1)])
def test_a_hold_makes_nothing_late(loss: float, overtaken: float, seed: int) -> None:
    late, runs, truth = held(seed, loss=loss, overtaken=overtaken)
    assert late[1:] == truth[1:]
    # At 20 ms, what is overtaken between the hold and the moment that it is found out may count or not.
    assert truth[0] <= late[0] <= truth[0] + 150 * overtaken * 2
    assert min(runs[1:]) >= 2


def test_the_earliest_is_forgotten_after_two_spans() -> None:
    tracks, delays = Tracks(4), Delays(8000)
    slot = tracks.allocate()
    delays.look(tracks, np.array([slot]), np.array([0.0]), np.array([0]), np.array([FRAME]))
    for _ in range(20):
        delays.turn(tracks, np.array([800.0]))
    assert tracks.delay_base[slot] == 800 - 8  # less the tolerance
