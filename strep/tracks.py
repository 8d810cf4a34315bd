"""The columns that describe tracks: declared once, with dtype, unit and meaning.

A *slot* is a row number. Slots are handed out and taken back by `Tracks`; every column has one entry per
slot, and grows by doubling. Positions are samples on the track's own tape (see `strep.timeline`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.clock import NEVER_NS

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

#            column                dtype, initial value, unit and meaning
COLUMNS: dict[str, tuple[str, int | float, str]] = {
    "in_use": ("?", 0, "the slot belongs to a track"),
    "started": ("?", 0, "a first packet has arrived"),
    "starting": ("?", 0, "a track or an epoch is young: its first packets may still be out of order"),
    "codec": ("u1", 0, "strep.g711.Codec of the tape, or LINEAR"),
    "ssrc": ("i8", -1, "synchronization source of the current epoch"),
    "highest_sequence": ("i8", 0, "extended highest sequence number received (RFC 3550 A.1)"),
    "next_sequence": ("i8", 0, "first extended sequence number that is neither delivered nor given up"),
    "highest_timestamp": ("i8", 0, "samples: extended timestamp of the packet with highest_sequence"),
    "offset": ("i8", 0, "samples: position = extended timestamp + offset"),
    "epoch_start": ("i8", 0, "samples: no packet of the epoch lies before it"),
    "resolved_end": ("i8", 0, "samples: everything before it is delivered or given up"),
    "released": ("i8", 0, "samples: everything before it was handed to the sinks"),
    "highest_end": ("i8", 0, "samples: end of the last frame placed"),
    "pause_sequence": ("i8", -1, "highest_sequence when a pause was inserted last (strep.realign)"),
    "pause_samples": ("i8", 0, "samples: length of that pause"),
    "paused_samples": ("i8", 0, "samples: length of all pauses that were inserted"),
    "origin": ("i8", 0, "samples: position of the track's first sample"),
    "anchor_position": ("i8", 0, "samples: position that anchor_ns belongs to"),
    "anchor_ns": ("i8", 0, "ns: arrival of the track's first packet"),
    "floating": ("?", 0, "the epoch's position is provisional until its start is over"),
    "epoch_anchor_position": ("i8", 0, "samples: provisional position that epoch_anchor_ns belongs to"),
    "epoch_anchor_ns": ("i8", 0, "ns: arrival of the epoch's first packet"),
    "highest_arrival_ns": ("i8", 0, "ns: arrival of the packet with highest_sequence"),
    "last_delivery_ns": ("i8", 0, "ns: arrival of the last packet that found its place"),
    "lag_arrival_ns": ("i8", 0, "ns: highest_arrival_ns when the lag was last looked at"),
    "last_lag": ("i8", 0, "samples: how far the tape is behind the arrival clock since lag_since_ns, or nearly so"),
    "lag_since_ns": ("i8", 0, "ns: highest_arrival_ns when it was first found there"),
    "settled_lag": ("i8", 0, "samples: the lag that is normal for this track"),
    "deadline_ns": ("i8", NEVER_NS, "ns: when the first hole is given up"),
    "longest": ("i8", 0, "samples: longest payload of the epoch"),
    "audio_samples": ("i8", 0, "samples: sum of the payloads that were placed"),
    "received": ("i8", 0, "packets that reached the track"),
    "delivered": ("i8", 0, "packets in their place in time"),
    "duplicate": ("i8", 0, "packets whose sequence number had come before"),
    "late": ("i8", 0, "packets whose place had been given up; patched where their place is known"),
    "invalid": ("i8", 0, "packets that are no audio we can decode"),
    "quarantined": ("i8", 0, "packets that contradict the stream and were put aside"),
    "in_flight": ("i8", 0, "packets behind a hole, waiting"),
    "reordered": ("i8", 0, "packets that arrived behind one with a higher sequence number"),
    "lost": ("i8", 0, "packets given up and never seen since"),
    "epochs": ("i8", 0, "times that SSRC, sequence number or timestamp started anew"),
    "base_sequence": ("i8", 0, "first extended sequence number of the epoch"),
    "expected_before": ("i8", 0, "packets expected in earlier epochs (RFC 3550 A.3)"),
    "has_transit": ("?", 0, "transit is that of a packet of this epoch"),
    "transit": ("f8", 0.0, "samples: relative transit time of the last packet (RFC 3550 A.8)"),
    "jitter": ("f8", 0.0, "samples: interarrival jitter estimate (RFC 3550 6.4.1)"),
    "jitter_sum": ("f8", 0.0, "samples: sum of the estimate over all packets but each epoch's first"),
    "jitter_max": ("f8", 0.0, "samples: largest estimate so far"),
    "jitter_count": ("i8", 0, "number of estimates in jitter_sum"),
    "delay_base": ("f8", np.inf, "samples: least transit, relative to positions, less 1 ms (strep.quality.delays)"),
    "delay_recent": ("f8", np.inf, "samples: the same of this span of 10 s"),
    "late_packets": ("(5,)i8", 0, "packets later than each of strep.quality.delays.DEPTHS_MS"),
    "late_runs": ("(5,)i8", 0, "stretches of such packets"),
    "late_end": ("i8", -1, "samples: end of the last packet that was later than the least of the depths"),
    "late_depths": ("i8", 0, "how many of the depths the last such packet exceeded"),
    "late_since": ("i8", 0, "packets later than all depths since one in time: forgiven if the sender had paused"),
    "late_runs_since": ("(5,)i8", 0, "stretches that began with them"),
    "missed": ("i8", 0, "packets that were given up, whether they came afterwards or not"),
    "missed_runs": ("i8", 0, "stretches of such packets"),
    "longest_miss": ("i8", 0, "packets of the longest stretch"),
    "bursts": ("i8", 0, "bursts of loss that are over (strep.quality.misses)"),
    "burst_packets": ("i8", 0, "packets from the first to the last lost one, of all of them"),
    "burst_missed": ("i8", 0, "packets given up in them"),
    "burst_start": ("i8", 0, "extended sequence number of the first lost packet of what may be a burst"),
    "burst_end": ("i8", 0, "the same, behind the last one so far"),
    "burst_open": ("i8", 0, "packets given up in what may be a burst"),
}


class Tracks:
    """Columns by name, one row per slot."""

    in_use: Bool
    started: Bool
    starting: Bool
    codec: NDArray[np.uint8]
    ssrc: Int64
    highest_sequence: Int64
    next_sequence: Int64
    highest_timestamp: Int64
    offset: Int64
    epoch_start: Int64
    resolved_end: Int64
    released: Int64
    highest_end: Int64
    pause_sequence: Int64
    pause_samples: Int64
    paused_samples: Int64
    origin: Int64
    anchor_position: Int64
    anchor_ns: Int64
    floating: Bool
    epoch_anchor_position: Int64
    epoch_anchor_ns: Int64
    highest_arrival_ns: Int64
    last_delivery_ns: Int64
    lag_arrival_ns: Int64
    last_lag: Int64
    lag_since_ns: Int64
    settled_lag: Int64
    deadline_ns: Int64
    longest: Int64
    audio_samples: Int64
    received: Int64
    delivered: Int64
    duplicate: Int64
    late: Int64
    invalid: Int64
    quarantined: Int64
    in_flight: Int64
    reordered: Int64
    lost: Int64
    epochs: Int64
    base_sequence: Int64
    expected_before: Int64
    has_transit: Bool
    transit: Float64
    jitter: Float64
    jitter_sum: Float64
    jitter_max: Float64
    jitter_count: Int64
    delay_base: Float64
    delay_recent: Float64
    late_packets: Int64
    late_runs: Int64
    late_end: Int64
    late_depths: Int64
    late_since: Int64
    late_runs_since: Int64
    missed: Int64
    missed_runs: Int64
    longest_miss: Int64
    bursts: Int64
    burst_packets: Int64
    burst_missed: Int64
    burst_start: Int64
    burst_end: Int64
    burst_open: Int64

    def __init__(self, capacity: int = 64) -> None:
        """Allocate columns for `capacity` slots."""
        self.capacity = capacity
        self.count = 0
        """One more than the highest slot ever in use: the length that scans need to look at."""
        self._free: list[int] = []
        self._columns: list[tuple[NDArray[Any], int | float]] = []
        """With their initial values."""
        for name, (dtype, initial, _) in COLUMNS.items():
            # Zeros, as they come from the system, take no memory before a slot is used.
            self._set(name, np.full(capacity, initial, dtype) if initial else np.zeros(capacity, dtype))

    def _set(self, name: str, column: NDArray[Any]) -> None:
        setattr(self, name, column)
        self._columns.append((column, COLUMNS[name][1]))

    def allocate(self) -> int:
        """Return a slot with every column at its initial value."""
        slot = self._free.pop() if self._free else self.count
        if slot == self.count:
            self.count += 1
            if self.count > self.capacity:
                self._grow()
        for column, initial in self._columns:
            column[slot] = initial
        self.in_use[slot] = True
        return slot

    def free(self, slot: int) -> None:
        """Take `slot` back; its columns keep their values until it is handed out again."""
        self.in_use[slot] = False
        self.started[slot] = False
        self.deadline_ns[slot] = NEVER_NS
        self.resolved_end[slot] = self.released[slot]
        self._free.append(slot)

    def _grow(self) -> None:
        self.capacity *= 2
        self._columns.clear()
        for name, (dtype, initial, _) in COLUMNS.items():
            column = np.full(self.capacity, initial, dtype)
            old = getattr(self, name)
            column[: len(old)] = old
            self._set(name, column)
