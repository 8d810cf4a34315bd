"""Numbering of a track's packets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from media.carrier.coding import Coding
from media.carrier.faults import Faults
from media.carrier.network import Span
from media.carrier.script import TrackFormat, TrackScript, write_script
from media.carrier.seeds import call_leg_id
from media.carrier.tones import Party
from media.codecs import Encoding
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.errors import ConfigurationError
from strep.header import Direction, Leg
from strep.serial import signed_difference_16, signed_difference_32


def script(faults: Faults | None = None, ptime_ms: int = 20, packets: int = 500) -> TrackScript:
    form = TrackFormat(Coding(Encoding("PCMA"), ptime_ms), packets, faults or Faults(), 7, 7)
    return write_script(Party(3, Leg.A, Direction.OUTBOUND), call_leg_id(7, 3), 1_000, form)


def steps(track: TrackScript) -> tuple[list[int], list[int]]:
    """Sequence number and timestamp steps from packet to packet."""
    sequence, timestamps = track.sequence_numbers.tolist(), track.timestamps.tolist()
    return (
        [signed_difference_16(new, old) for old, new in pairwise(sequence)],
        [signed_difference_32(new, old) for old, new in pairwise(timestamps)],
    )


class TestPlain:
    @pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
    def test_steps_by_one_and_by_a_payload(self, ptime_ms: int) -> None:
        track = script(ptime_ms=ptime_ms)
        assert steps(track) == ([1] * 499, [8 * ptime_ms] * 499)
        assert (np.diff(track.send_times_ns) == ptime_ms * NS_PER_MS).all()
        assert track.send_times_ns[0] == 1_000
        assert len(set(track.ssrcs.tolist())) == 1
        assert not track.epochs.any()
        assert track.markers.tolist() == [True] + [False] * 499
        assert track.total_samples == 500 * 8 * ptime_ms

    def test_repeats_itself(self) -> None:
        first, second = script(Faults(dtx=0.3, extras=0.2)), script(Faults(dtx=0.3, extras=0.2))
        for name in ("blocks", "sequence_numbers", "timestamps", "ssrcs", "extras"):
            assert (getattr(first, name) == getattr(second, name)).all()


class TestSilence:
    def test_timestamps_go_on_and_sequence_numbers_wait(self) -> None:
        track = script(Faults(hold=Span(NS_PER_SECOND, 2 * NS_PER_SECOND)))
        sequence, timestamps = steps(track)
        assert sequence == [1] * 399
        assert timestamps == [160] * 49 + [160 + 16_000] + [160] * 349
        assert np.flatnonzero(track.markers).tolist() == [0, 50]
        assert track.total_samples == 500 * 160


class TestRestarts:
    def test_near_wrap(self) -> None:
        track = script(Faults(near_wrap=True))
        assert (track.sequence_numbers[0], track.timestamps[0]) == (65_500, 2**32 - 8_000)
        assert (track.sequence_numbers[36], track.timestamps[50]) == (0, 0)
        assert steps(track) == ([1] * 499, [160] * 499)

    def test_ssrc_change(self) -> None:
        track = script(Faults(ssrc_change_at_ns=NS_PER_SECOND))
        sequence, _ = steps(track)
        assert len(set(track.ssrcs[:50].tolist())) == len(set(track.ssrcs[50:].tolist())) == 1
        assert track.ssrcs[49] != track.ssrcs[50]
        assert abs(sequence.pop(49)) >= 2**14 - 1
        assert sequence == [1] * 498
        assert track.epoch_starts.tolist() == [0, 50]

    def test_sequence_reset(self) -> None:
        track = script(Faults(sequence_reset_at_ns=NS_PER_SECOND))
        sequence, timestamps = steps(track)
        assert abs(sequence[49]) >= 2**14 - 1
        assert timestamps == [160] * 499
        assert len(set(track.ssrcs.tolist())) == 1

    def test_timestamp_jump(self) -> None:
        track = script(Faults(timestamp_jump_at_ns=NS_PER_SECOND, timestamp_jump_samples=5_000))
        sequence, timestamps = steps(track)
        assert sequence == [1] * 499
        assert timestamps == [160] * 49 + [5_160] + [160] * 449

    def test_all_at_once_is_one_epoch(self) -> None:
        one = Faults(
            ssrc_change_at_ns=NS_PER_SECOND,
            sequence_reset_at_ns=NS_PER_SECOND,
            timestamp_jump_at_ns=2 * NS_PER_SECOND,
        )
        assert script(one).epoch_starts.tolist() == [0, 50, 100]
        assert script(one).epochs.max() == 2

    @pytest.mark.parametrize("restart_ms", [20, 1_040, 9_960])
    def test_too_close(self, restart_ms: int) -> None:
        faults = Faults(ssrc_change_at_ns=NS_PER_SECOND, timestamp_jump_at_ns=restart_ms * NS_PER_MS)
        with pytest.raises(ConfigurationError, match="fewer than three packets"):
            script(faults)

    def test_nobody_is_silent_around_a_restart(self) -> None:
        track = script(Faults(dtx=0.9, ssrc_change_at_ns=NS_PER_SECOND))
        start = track.epoch_starts[1]
        assert track.blocks[start - 1 : start + 3].tolist() == [49, 50, 51, 52]
