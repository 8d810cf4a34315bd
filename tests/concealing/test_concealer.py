"""Blocks with their holes filled, however they are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.blocks import PcmBatch
from media.concealing.concealer import Concealer
from media.pauses.spans import Pause
from media.sinks.contract import CallInfo
from strep.clock import NS_PER_SECOND
from strep.concealment import MOST_MS
from strep.g711 import LINEAR, Codec
from tests.concealing.lossy import PACKET, Pcm, batches, expected, losses, talk
from tests.sinks.rows import call_info

WIDTHS = [PACKET, 2 * PACKET, 400, 800, 1600]


def concealer(calls: int = 1, *, is_sensitive: bool = True) -> Concealer:
    made = Concealer(is_sensitive=is_sensitive)
    for index in range(calls):
        made.begin(call_info(index))
    return made


def heard(batches: list[PcmBatch]) -> Pcm:
    return np.concatenate([batch.pcm for batch in batches], axis=1)


@given(st.integers(0, 10_000), st.sampled_from(WIDTHS), st.sampled_from([*Codec, LINEAR]), st.integers(1, 3))
def test_it_does_not_matter_how_it_is_cut(seed: int, width: int, codec: int, tracks: int) -> None:
    """Holes across blocks, several in a block, of many tracks: all as one by one, with all of the track at hand."""
    pcm, lost = talk(tracks, 60), losses(tracks, 60, 0.2, seed)
    filler = concealer(2)
    made = heard([filler.receive(batch) for batch in batches(pcm, lost, width, codec)])
    wanted = expected(pcm, lost, codec)
    assert (made[~lost] == wanted[~lost]).all()
    # Sums of 32-bit floats are in another order where there are more holes at once; code bytes make a step of it.
    close = 1 if codec == LINEAR else 1024
    assert np.abs(made.astype(int) - wanted).max() <= close
    assert (made != wanted).mean() < 0.001


def test_at_another_rate() -> None:
    pcm, lost = np.repeat(talk(2, 30), 2, axis=1), losses(2, 30, 0.2, 1, 2 * PACKET)
    filler = concealer()
    made = heard([filler.receive(batch) for batch in batches(pcm, lost, 1600, LINEAR, rate_hz=16_000)])
    assert np.abs(made.astype(int) - expected(pcm, lost, LINEAR, 16_000)).max() <= 1


def test_what_does_not_lose_is_handed_on_untouched() -> None:
    filler, pcm = concealer(), talk(2, 10)
    for batch in batches(pcm, np.zeros(pcm.shape, np.bool_), 800):
        assert filler.receive(batch) is batch
    tick = PcmBatch.tick(NS_PER_SECOND)
    assert filler.receive(tick) is tick


def test_what_came_is_not_written_to_and_what_is_lost_stays_known() -> None:
    filler, pcm, lost = concealer(), talk(2, 10), losses(2, 10, 0.5, 3)
    for batch in batches(pcm, lost, 800):
        before = batch.encoded.copy()
        made = filler.receive(batch)
        assert (batch.encoded == before).all()
        assert (made.lost == batch.lost).all()
        assert made.encoded.dtype == batch.encoded.dtype
        assert made.positions is batch.positions
        assert not np.shares_memory(made.encoded, batch.encoded)


def test_a_late_packet_is_handed_on_as_it_came() -> None:
    filler, pcm = concealer(), talk(2, 5)
    [batch] = batches(pcm, losses(2, 5, 0.5, 3), 800)
    filler.receive(batch)
    batch.late = True
    assert filler.receive(batch) is batch


def test_without_what_is_behind_it_fades_and_nobody_waits() -> None:
    """As a batch is that does not come from our timeline."""
    filler, pcm, lost = concealer(), talk(1, 10), np.zeros((1, 1600), np.bool_)
    lost[0, 640:800] = True
    [first, _] = batches(pcm, lost, 800)
    first.beyond = {}
    made = filler.receive(first).pcm[0, 640:]
    assert made.any()
    assert np.abs(made[:40].astype(int)).max() > np.abs(made[-40:].astype(int)).max() / 2


def test_a_long_hole_is_silent_in_its_middle() -> None:
    pcm, lost = talk(1, 50), np.zeros((1, 8000), np.bool_)
    lost[0, 2000:6000] = True
    filler = concealer()
    made = heard([filler.receive(batch) for batch in batches(pcm, lost, 800)])[0, 2000:6000]
    most = 8 * MOST_MS
    assert made[:most].any()
    assert made[-most:].any()
    assert not made[most:-most].any()
    done = filler.end(call_info())
    assert [(track.holes, track.samples) for track in done] == [(1, 2 * most), (0, 0)]


class TestTracks:
    def test_the_next_call_of_an_index_begins_with_nothing(self) -> None:
        filler, pcm = concealer(), talk(2, 10)
        for batch in batches(pcm, np.zeros(pcm.shape, np.bool_), 800):
            filler.receive(batch)
        filler.end(call_info())
        filler.begin(call_info())
        lost = np.ones(pcm.shape, np.bool_)
        first = next(batches(pcm, lost, 800, start=1600))
        first.beyond = {}
        assert not filler.receive(first).pcm.any(), "as loud as if it went on from the call before"

    def test_a_jump_is_no_history(self) -> None:
        filler, pcm = concealer(), talk(2, 10)
        for batch in batches(pcm, np.zeros(pcm.shape, np.bool_), 800):
            filler.receive(batch)
        first = next(batches(pcm, np.ones(pcm.shape, np.bool_), 800, start=4000))
        first.beyond = {}
        assert not filler.receive(first).pcm.any()

    def test_what_is_kept_is_bounded(self) -> None:
        """A second of blocks of 20 ms at most, whatever the length of the call."""
        filler, pcm = concealer(), np.zeros((2, 500 * PACKET), np.int16)
        for batch in batches(pcm, np.zeros(pcm.shape, np.bool_), PACKET):
            filler.receive(batch)
        assert len(filler._history._kept) < 50


class TestPauses:
    """A pause goes from 0.3 s on; a packet that ends there was lost, one that begins there, and one before."""

    @pytest.mark.parametrize("width", WIDTHS)
    def test_nothing_of_a_pause_is_guessed(self, width: int) -> None:
        pcm, lost = talk(2, 30), np.zeros((2, 4800), np.bool_)
        lost[0, 2240:2400] = lost[1, 2400:2560] = True
        lost[:, 800:960] = True
        call = self.paused(2400)
        sensitive, other = Concealer(is_sensitive=True), Concealer(is_sensitive=False)
        for filler in (sensitive, other):
            filler.begin(call)
        silent = heard([sensitive.receive(batch) for batch in batches(pcm, lost, width)])
        filled = heard([other.receive(batch) for batch in batches(pcm, lost, width)])
        for track, begin in ((0, 2240), (1, 2400)):
            assert not silent[track, begin : begin + 160].any()
            assert filled[track, begin : begin + 160].any()
        assert silent[:, 800:960].any(axis=1).all(), "before the pause it is filled"

    def paused(self, start: int) -> CallInfo:
        call = call_info()
        call.pauses.append(Pause(start, (start, start), "silence", 0))
        return call
