"""Reception statistics per track, as RFC 3550 defines them (section 6.4.1, appendices A.1, A.3, A.8).

Reading never changes anything: `TrackStatistics` is a frozen copy, and figures over an interval are the
difference of two of them, see `fraction_lost`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from strep.tracks import Tracks

Int64 = NDArray[np.int64]


def update_jitter(
    tracks: Tracks,
    slot: Int64,
    arrival_samples: NDArray[np.float64],
    timestamp: Int64,
) -> None:
    """Take one arrival of each of the distinct `slot` into the interarrival jitter (A.8), in floating point.

    Every packet counts in the order of arrival, duplicates and late ones too, like tshark's. `timestamp`
    is extended, so a wrap at 2**32 is no jump. The first packet of an epoch has no predecessor to differ from.
    """
    transit = arrival_samples - timestamp
    distance = np.abs(transit - tracks.transit[slot])
    jitter = tracks.jitter[slot]
    jitter += (distance - jitter) / 16
    has_predecessor = tracks.has_transit[slot]
    if not has_predecessor.all():
        jitter[~has_predecessor] = 0.0
        tracks.has_transit[slot] = True
    tracks.jitter_count[slot] += has_predecessor
    tracks.transit[slot] = transit
    tracks.jitter[slot] = jitter
    tracks.jitter_sum[slot] += jitter
    tracks.jitter_max[slot] = np.maximum(tracks.jitter_max[slot], jitter)


@dataclass(frozen=True, slots=True)
class TrackStatistics:
    """Counters of one track at one moment; all are totals since the track began.

    ``received = delivered + duplicate + late + invalid + quarantined + in_flight`` at every moment.
    """

    received: int
    delivered: int
    duplicate: int
    late: int
    invalid: int
    quarantined: int
    in_flight: int
    reordered: int
    epochs: int
    expected: int
    """Highest extended sequence number - first + 1, summed over epochs (A.3)."""
    cumulative_lost: int
    """expected - received (A.3): negative when duplicates outnumber losses."""
    never_arrived: int
    """Sequence numbers that were given up and did not come late either."""
    jitter_ms: float
    jitter_mean_ms: float
    jitter_max_ms: float

    @property
    def conserved(self) -> bool:
        """Whether the conservation law holds; a difference of one is a bug."""
        resting = self.invalid + self.quarantined + self.in_flight
        return self.received == self.delivered + self.duplicate + self.late + resting

    def as_dict(self) -> dict[str, int | float]:
        """Return the fields by name, milliseconds rounded to the microsecond."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}


def fraction_lost(earlier: TrackStatistics, later: TrackStatistics) -> float:
    """Return the share of packets expected between two snapshots that did not come (RFC 3550 A.3), 0 to 1.

    Duplicates may hide losses, as the RFC says; an interval in which nothing was expected has lost nothing.
    """
    expected = later.expected - earlier.expected
    lost = expected - (later.received - earlier.received)
    return lost / expected if expected > 0 and lost > 0 else 0.0


def snapshot(tracks: Tracks, slot: int, sample_rate_hz: int) -> TrackStatistics:
    """Return the statistics of `slot`."""
    started = bool(tracks.started[slot])
    in_epoch = int(tracks.highest_sequence[slot] - tracks.base_sequence[slot]) + 1 if started else 0
    expected = int(tracks.expected_before[slot]) + in_epoch
    received = int(tracks.received[slot])
    to_ms = 1000 / sample_rate_hz
    count = max(int(tracks.jitter_count[slot]), 1)
    return TrackStatistics(
        received=received,
        delivered=int(tracks.delivered[slot]),
        duplicate=int(tracks.duplicate[slot]),
        late=int(tracks.late[slot]),
        invalid=int(tracks.invalid[slot]),
        quarantined=int(tracks.quarantined[slot]),
        in_flight=int(tracks.in_flight[slot]),
        reordered=int(tracks.reordered[slot]),
        epochs=int(tracks.epochs[slot]),
        expected=expected,
        cumulative_lost=expected - received,
        never_arrived=int(tracks.lost[slot]),
        jitter_ms=float(tracks.jitter[slot]) * to_ms,
        jitter_mean_ms=float(tracks.jitter_sum[slot]) / count * to_ms,
        jitter_max_ms=float(tracks.jitter_max[slot]) * to_ms,
    )
