"""What the network did to one track: loss, bursts, jitter, and the opinion of it through several jitter buffers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.quality.bursts import Bursts
from strep.quality.delays import DEPTHS_MS
from strep.quality.emodel import Opinion, concealed_scores, opinion
from strep.quality.misses import bursts_so_far
from strep.statistics import TrackStatistics, snapshot
from strep.tracks import Tracks

HEADLINE_MS = 60
"""The buffer whose opinion is told where there is room for one only: near what telephones have."""
MAX_BURST_RATIO = 8.0
"""No burst ratio beyond it is believed: the E-model was not made for such."""


@dataclass(frozen=True, slots=True)
class Buffered:
    """What a jitter buffer would have made of a track.

    Attributes:
        buffer_ms: its depth: how much longer than the fastest one of late a packet may take.
        late: packets that came later than that.
        missed: share of the expected packets that it would have had to do without, 0 to 1; lost ones included.
        burst_ratio: of these, see `strep.quality.bursts.Bursts.burst_ratio`.
        concealed, silent: opinion of who hears losses concealed as by G.711 Appendix I, and of who hears silence.
    """

    buffer_ms: int
    late: int
    missed: float
    burst_ratio: float
    concealed: Opinion
    silent: Opinion


@dataclass(frozen=True, slots=True)
class NetworkQuality:
    """One track up to one moment.

    Attributes:
        statistics: its counters.
        bursts: how what was not there in time is spread; after the timeline's own wait, `reorder_wait_ms`.
        packet_ms: mean length of a packet.
        buffers: through jitter buffers of `DEPTHS_MS`; empty if no packet was expected.
    """

    statistics: TrackStatistics
    bursts: Bursts
    packet_ms: float
    buffers: tuple[Buffered, ...]

    @property
    def headline(self) -> Buffered | None:
        """Through a buffer of `HEADLINE_MS`; None if no packet was expected."""
        return next((buffered for buffered in self.buffers if buffered.buffer_ms == HEADLINE_MS), None)

    @property
    def loss(self) -> float:
        """Share of the expected packets that never came, 0 to 1."""
        expected = self.statistics.expected
        return self.statistics.never_arrived / expected if expected else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; docs/quality.md explains them."""
        statistics, bursts, headline = self.statistics, self.bursts, self.headline
        gaps_ms = (bursts.packets - bursts.burst_packets) / (bursts.bursts + 1) * self.packet_ms
        return {
            "mos": round(headline.concealed.mos, 2) if headline else None,
            "mos_buffer_ms": HEADLINE_MS,
            "loss_percent": _percent(self.loss),
            "expected_packets": statistics.expected,
            "lost_packets": statistics.never_arrived,
            "late_packets": statistics.late,
            "duplicate_packets": statistics.duplicate,
            "reordered_packets": statistics.reordered,
            "jitter_mean_ms": round(statistics.jitter_mean_ms, 3),
            "jitter_max_ms": round(statistics.jitter_max_ms, 3),
            "jitter_last_ms": round(statistics.jitter_ms, 3),
            "bursts": {
                "count": bursts.bursts,
                "mean_ms": round(bursts.mean_burst_packets * self.packet_ms),
                "loss_percent": _percent(bursts.burst_density),
                "gap_mean_ms": round(gaps_ms),
                "gap_loss_percent": _percent(bursts.gap_density),
                "longest_loss_ms": round(bursts.longest_run * self.packet_ms),
            },
            "buffers": [_buffered(buffered) for buffered in self.buffers],
        }


def network_quality(tracks: Tracks, slot: int, sample_rate_hz: int) -> NetworkQuality:
    """Return the quality of `slot`, whose columns are up to date."""
    statistics = snapshot(tracks, slot, sample_rate_hz)
    bursts = bursts_so_far(tracks, slot, statistics.expected)
    placed = max(statistics.delivered + statistics.in_flight, 1)
    packet_ms = int(tracks.audio_samples[slot]) / placed * 1000 / sample_rate_hz
    buffers = [
        _through(statistics, bursts, depth_ms, late, runs)
        for depth_ms, late, runs in zip(
            DEPTHS_MS, tracks.late_packets[slot].tolist(), tracks.late_runs[slot].tolist(), strict=True
        )
    ]
    return NetworkQuality(statistics, bursts, packet_ms, tuple(buffers) if statistics.expected > 0 else ())


def headline_scores(tracks: Tracks, slot: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the MOS of `NetworkQuality.headline` of many tracks at once; NaN where no packet was expected.

    Args:
        tracks: whose columns are up to date.
        slot: (n,) int64.
    """
    depth = DEPTHS_MS.index(HEADLINE_MS)
    in_epoch = (tracks.highest_sequence[slot] - tracks.base_sequence[slot] + 1) * tracks.started[slot]
    expected = tracks.expected_before[slot] + in_epoch
    lost, late, missed = tracks.lost[slot], tracks.late_packets[slot, depth], tracks.missed[slot]
    runs = tracks.missed_runs[slot] * lost / np.maximum(missed, 1) + tracks.late_runs[slot, depth]
    count = np.minimum(lost + late, expected)
    share = count / np.maximum(expected, 1)
    ratio = np.clip(count / np.where(runs > 0, runs, 1) * (1 - share), 1.0, MAX_BURST_RATIO)
    return np.where(expected > 0, concealed_scores(share, np.where(runs > 0, ratio, 1.0)), np.nan)


def _through(statistics: TrackStatistics, bursts: Bursts, depth_ms: int, late: int, late_runs: int) -> Buffered:
    """Return what a buffer would have made of it.

    Stretches of lost packets are taken to be as long, on average, as those of packets that were given up. Where a
    late packet stands beside a lost one, two stretches are counted that are one.
    """
    if not late and not statistics.never_arrived:
        return _faultless(depth_ms)
    expected, lost = max(statistics.expected, 1), statistics.never_arrived
    lost_runs = bursts.runs * lost / bursts.lost if bursts.lost else 0.0
    count = min(lost + late, expected)
    missed = count / expected
    runs = lost_runs + late_runs
    ratio = min(max(count / runs * (1 - missed), 1.0), MAX_BURST_RATIO) if runs else 1.0
    return Buffered(depth_ms, late, missed, ratio, *_heard(missed, ratio))


def _heard(missed: float, burst_ratio: float) -> tuple[Opinion, Opinion]:
    return opinion(missed, burst_ratio, is_concealed=True), opinion(missed, burst_ratio)


@cache
def _faultless(depth_ms: int) -> Buffered:
    """Return what most tracks have, which end by the thousand."""
    return Buffered(depth_ms, 0, 0.0, 1.0, *_heard(0.0, 1.0))


@cache
def _faultless_figures(depth_ms: int) -> dict[str, Any]:
    return _figures(_faultless(depth_ms))


def _buffered(buffered: Buffered) -> dict[str, Any]:
    if not buffered.missed and not buffered.late:
        return dict(_faultless_figures(buffered.buffer_ms))
    return _figures(buffered)


def _figures(buffered: Buffered) -> dict[str, Any]:
    return {
        "buffer_ms": buffered.buffer_ms,
        "late_packets": buffered.late,
        "missed_percent": _percent(buffered.missed),
        "burst_ratio": round(buffered.burst_ratio, 2),
        "rating": round(buffered.concealed.rating, 1),
        "mos": round(buffered.concealed.mos, 2),
        "mos_without_concealment": round(buffered.silent.mos, 2),
    }


def _percent(share: float) -> float:
    return round(100 * share, 3)
