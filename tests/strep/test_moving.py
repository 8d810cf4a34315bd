"""Tracks that move to another timeline at any moment: nobody could tell, by anything, from one that stayed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.g711 import Codec
from strep.moving import MovedTracks
from strep.table import TimelineSettings
from strep.timeline import Timeline
from tests.searching import brief
from tests.strep.bench import Bench
from tests.strep.histories import Event, harsh_call, madness
from tests.strep.packets import Sender

seeds = st.integers(0, 2**32 - 1)


def move(bench: Bench, settings: TimelineSettings | None = None) -> None:
    """Let all tracks of `bench` go on in a timeline of its own, as bytes on their way."""
    bench.collect()
    sent = msgspec.msgpack.encode(bench.timeline.copy_out(*bench.tapes))
    for slot in bench.tapes:
        bench.timeline.close(slot)
    bench.timeline = Timeline(settings)
    assert bench.timeline.put_in(msgspec.msgpack.decode(sent, type=MovedTracks)) == list(bench.tapes)
    bench.ledgers = dict(bench.timeline.table.ledgers)


def compare(moved: Bench, stayed: Bench) -> None:
    assert moved.timeline.deadline() == stayed.timeline.deadline()
    for slot, tape in stayed.tapes.items():
        # The lane that a track leaves to move rounds its jitter otherwise.
        figures = moved.statistics(slot).as_dict(), stayed.statistics(slot).as_dict()
        assert figures[0] == pytest.approx(figures[1], abs=1e-6)
        assert moved.timeline.last_delivery_ns(slot) == stayed.timeline.last_delivery_ns(slot)
        assert moved.spans(slot) == stayed.spans(slot)
        assert moved.tapes[slot] == tape


def play(history: list[Event], seed: int, tracks: int, *, realigns: bool) -> None:
    stayed, moved = Bench(tracks), Bench(tracks)
    for step, event in enumerate(history):
        for bench in (stayed, moved):
            if event.batch:
                bench.receive(*event.batch)
            else:
                bench.poll(event.now_ns)
                if realigns and step % 3 == 0:
                    bench.timeline.realign()
        if (seed + step) % 3 == 0:
            move(moved)
    stayed.collect()
    moved.collect()
    compare(moved, stayed)
    stayed.finish()
    moved.finish()
    compare(moved, stayed)


@brief(40)
@given(seeds, st.integers(1, 3), st.integers(1, 60))
def test_amid_a_harsh_network(seed: int, tracks: int, packets: int) -> None:
    play(harsh_call(seed, tracks, packets), seed, tracks, realigns=False)


@brief(30)
@given(seeds, st.integers(1, 3), st.integers(1, 30))
def test_amid_madness(seed: int, tracks: int, steps: int) -> None:
    play(madness(seed, tracks, steps), seed, tracks, realigns=bool(seed % 2))


def test_to_blocks_of_another_length() -> None:
    """A new process may have other sinks."""
    packets, stayed, moved = Sender().packets(40), Bench(), Bench()
    for bench in (stayed, moved):
        bench.play(packets[:17])
    move(moved, TimelineSettings(block_ms=20))
    for bench in (stayed, moved):
        bench.play(packets[17:])
        bench.finish()
    assert moved.heard() == stayed.heard()
    assert moved.statistics() == stayed.statistics()


def sent_by(bench: Bench) -> MovedTracks:
    bench.collect()
    return bench.timeline.copy_out(*bench.tapes)


def test_what_is_too_long_for_the_tapes_here() -> None:
    bench = Bench(settings=TimelineSettings(reorder_wait_ms=1000))
    bench.play(Sender().packets(3))
    sent = sent_by(bench)
    sent.tapes[0] = bytes(20_000)
    here = Timeline()
    with pytest.raises(ValueError, match="20000 samples wait and 12800 have room: reorder_wait is too short"):
        here.put_in(sent)
    assert here.open(Codec.PCMU) == 0  # nothing was taken in


@pytest.mark.parametrize("value", [None, b""])
def test_another_versions_columns(value: bytes | None) -> None:
    bench = Bench()
    bench.play(Sender().packets(3))
    sent = sent_by(bench)
    if value is None:
        del sent.columns["offset"]
    else:
        sent.columns["offset"] = value
    with pytest.raises(ValueError, match="offset"):
        Timeline().put_in(sent)
