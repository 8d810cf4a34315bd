"""What happens to a track between the carrier and us: a seeded model that is given times and returns times.

Definitions, the same that the truth uses:

* **dropped**: never delivered. Losses are independent, or come in bursts (Gilbert-Elliott with a bad state
  that loses everything).
* **duplicate**: any delivery of a packet but its first.
* **reordered**: a first delivery that comes after one of the same track with a higher sequence number.

A receiver cannot know of packets lost before the first or after the last one it got. The model therefore
never drops the first and the last packet of a track, unless told so (``keep_ends=False``). It is as gentle
with every *epoch* (a stretch under one SSRC, without resets or jumps): the last packet is not dropped; the
first three are neither dropped nor delayed nor duplicated, because a receiver may want to see some packets
in sequence before it believes in a new numbering (RFC 3550 appendix A.1); and no packet overtakes the epoch
behind its own. What becomes of packets otherwise would be a matter of taste, and a truth must not be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.clock import NEVER_NS, NS_PER_MS
from strep.errors import ConfigurationError

Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


SETTLING_PACKETS = 3
"""At the beginning of an epoch, what the network leaves alone."""


class Span(NamedTuple):
    """A stretch of simulated time: nanoseconds since the call's beginning, and how long."""

    start_ns: int
    duration_ns: int

    @property
    def end_ns(self) -> int:
        """The first nanosecond after it."""
        return self.start_ns + self.duration_ns


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What arrives of one track, in the order of arrival.

    Attributes:
        times_ns: (m,) int64, on the clock of the send times, never falling.
        packets: (m,) int64, which packet of the track.
        is_duplicate: (m,) bool, every delivery of a packet but its first.
        dropped: (k,) int64, the packets that never arrive, rising.
        sent: packets given to the network.
    """

    times_ns: Int64
    packets: Int64
    is_duplicate: Mask
    dropped: Int64
    sent: int

    @property
    def delivered(self) -> int:
        """Packets that arrive at least once."""
        return self.sent - len(self.dropped)

    @property
    def duplicated(self) -> int:
        """Deliveries beyond a packet's first."""
        return int(self.is_duplicate.sum())

    @property
    def is_reordered(self) -> Mask:
        """(m,) bool: first deliveries that come after a later packet."""
        highest = np.maximum.accumulate(self.packets)
        return (self.packets < highest) & ~self.is_duplicate

    @property
    def reordered(self) -> int:
        """Number of reordered deliveries, as defined at the top of this file."""
        return int(self.is_reordered.sum())

    def waits_ns(self) -> Int64:
        """Return (reordered,) int64: for how long a later packet had been there when each one came.

        A receiver that gives a hole up after a deadline loses nothing as long as none of these exceeds it.
        """
        first = self.packets[~self.is_duplicate]
        times = self.times_ns[~self.is_duplicate]
        earliest = np.full(self.sent, NEVER_NS, np.int64)
        earliest[first] = times
        earliest_from = np.minimum.accumulate(earliest[::-1])[::-1]
        is_reordered = first < np.maximum.accumulate(first) if len(first) else np.empty(0, np.bool_)
        rows = first[is_reordered]
        return times[is_reordered] - earliest_from[rows + 1]

    def shifted(self, offset_ns: int) -> Deliveries:
        """Return the same, `offset_ns` later."""
        return replace(self, times_ns=self.times_ns + offset_ns)

    def first(self, deliveries: int) -> Deliveries:
        """Return what there is if no more than so many are made; what was to come later counts as never sent."""
        if deliveries == len(self.packets):
            return self
        packets = self.packets[:deliveries]
        sent = int(packets.max(initial=-1)) + 1
        dropped = np.setdiff1d(np.arange(sent), packets)
        return Deliveries(self.times_ns[:deliveries], packets, self.is_duplicate[:deliveries], dropped, sent)

    def without(self, span: Span) -> Deliveries:
        """Return what is left if nothing gets through during `span`; what that loses counts as dropped."""
        stays = (self.times_ns < span.start_ns) | (self.times_ns >= span.end_ns)
        packets = self.packets[stays]
        is_duplicate = np.ones(len(packets), np.bool_)
        is_duplicate[np.unique(packets, return_index=True)[1]] = False
        dropped = np.setdiff1d(np.arange(self.sent), packets)
        return Deliveries(self.times_ns[stays], packets, is_duplicate, dropped, self.sent)


@dataclass(frozen=True, slots=True)
class NetworkModel:
    """A lossy, jittery path. Every default means "does nothing"."""

    loss: float = 0.0
    """Share of the packets that never arrive, 0 to 0.9."""
    burst_loss: float = 0.0
    """Mean number of consecutive packets lost at a time, at least 1; 0 for independent losses."""
    reorder: float = 0.0
    """Share of the packets held back, by a third of `reorder_delay_ms` up to all of it."""
    reorder_delay_ms: float = 60.0
    """How long a packet is held back at most, milliseconds."""
    duplicate: float = 0.0
    """Share of the packets that arrive twice, the copy up to `reorder_delay_ms` later."""
    jitter_ms: float = 0.0
    """Every packet is delayed by a random time, uniform from 0 to this, milliseconds."""
    max_delay_ms: float = 60.0
    """Bound on all random delay of a packet together. A wait is then shorter than this, so a receiver whose
    deadline is as long (60 ms by default) finds no packet late."""
    stall: Span | None = None
    """Packets sent within it are delivered in one burst at its end."""
    keep_ends: bool = True
    """Never drop the first and last packet of a track, so that a receiver can know of every loss."""

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate"):
            share = getattr(self, name)
            if not 0 <= share <= (0.9 if name == "loss" else 1):
                raise ConfigurationError(f"{name}: {share} is not a share from 0 to {'0.9' if name == 'loss' else 1}")
        if self.burst_loss and self.burst_loss < 1:
            raise ConfigurationError(f"burst_loss: a mean burst of {self.burst_loss} packets; at least 1")
        if self.burst_loss and self.loss > self.burst_loss / (self.burst_loss + 1):
            raise ConfigurationError(f"loss: {self.loss} cannot come in bursts of only {self.burst_loss} packets")
        for name in ("reorder_delay_ms", "jitter_ms", "max_delay_ms"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name}: {getattr(self, name)} ms is negative")

    def deliver(self, send_times_ns: Int64, random: np.random.Generator, epochs: Int64 | None = None) -> Deliveries:
        """Send a track through the network.

        Args:
            send_times_ns: (n,) int64, rising.
            random: the track's own stream; the same stream gives the same deliveries.
            epochs: (n,) int64, never falling, number of the epoch of each packet; one epoch by default.
        """
        count = len(send_times_ns)
        if epochs is None:
            epochs = np.zeros(count, np.int64)
        starts = np.concatenate([[True], epochs[1:] != epochs[:-1]])[:count]
        settling = _settling(starts)
        dropped = self._dropped(random, self._keep(starts, settling))
        arrivals_ns, order_ns = self._arrivals(send_times_ns, random, settling)
        copies, copy_times_ns = self._copies(send_times_ns, arrivals_ns, random, dropped | settling)
        latest_ns = _latest_arrivals(arrivals_ns, starts)
        firsts = np.flatnonzero(~dropped)
        packets = np.concatenate([firsts, copies])
        times_ns = np.minimum(np.concatenate([arrivals_ns[firsts], copy_times_ns]), latest_ns[packets])
        is_duplicate = np.arange(len(packets)) >= len(firsts)
        # Packets of one burst keep the order in which they would have come.
        order = np.lexsort((order_ns[packets], is_duplicate, times_ns))
        return Deliveries(times_ns[order], packets[order], is_duplicate[order], np.flatnonzero(dropped), count)

    def _keep(self, starts: Mask, settling: Mask) -> Mask:
        ends = np.concatenate([starts[1:], [self.keep_ends]])[: len(starts)]
        is_first_epoch = np.cumsum(starts) == 1
        keep: Mask = ends | (settling & (self.keep_ends | ~is_first_epoch))
        return keep

    def _dropped(self, random: np.random.Generator, keep: Mask) -> Mask:
        if self.burst_loss and self.loss:
            lost = _bursts(random, len(keep), self.loss, self.burst_loss)
        else:
            lost = random.random(len(keep)) < self.loss
        return lost & ~keep

    def _arrivals(self, send_times_ns: Int64, random: np.random.Generator, settling: Mask) -> tuple[Int64, Int64]:
        """Return when each packet arrives if it does, and the same without a stall."""
        count = len(send_times_ns)
        delay_ms = random.random(count) * self.jitter_ms
        held = random.random(count) < self.reorder
        delay_ms += held * random.uniform(self.reorder_delay_ms / 3, self.reorder_delay_ms, count)
        delay_ms[settling] = 0
        bounded_ns = np.minimum(delay_ms, self.max_delay_ms) * NS_PER_MS
        undisturbed_ns = send_times_ns + bounded_ns.astype(np.int64)
        return self._stalled(send_times_ns, undisturbed_ns), undisturbed_ns

    def _stalled(self, send_times_ns: Int64, arrivals_ns: Int64) -> Int64:
        # The stall sits at the sender's door: what left before it is not caught, so nobody waits
        # through a stall for a packet whose successors had passed already.
        if self.stall is None:
            return arrivals_ns
        caught = (send_times_ns >= self.stall.start_ns) & (send_times_ns < self.stall.end_ns)
        return np.where(caught, np.maximum(arrivals_ns, self.stall.end_ns), arrivals_ns)

    def _copies(
        self, send_times_ns: Int64, arrivals_ns: Int64, random: np.random.Generator, never: Mask
    ) -> tuple[Int64, Int64]:
        count = len(send_times_ns)
        twice = (random.random(count) < self.duplicate) & ~never
        extra_ns = (random.random(count) * self.reorder_delay_ms * NS_PER_MS).astype(np.int64)
        bound_ns = np.maximum(arrivals_ns, send_times_ns + int(self.max_delay_ms * NS_PER_MS))
        times_ns = np.minimum(arrivals_ns + extra_ns, bound_ns)
        rows = np.flatnonzero(twice)
        return rows, times_ns[rows]


def _settling(starts: Mask) -> Mask:
    """Return (n,) bool: the first SETTLING_PACKETS packets of each epoch."""
    settling = starts.copy()
    for distance in range(1, min(SETTLING_PACKETS, len(starts))):
        settling[distance:] |= starts[:-distance]
    return settling


def _latest_arrivals(arrivals_ns: Int64, starts: Mask) -> Int64:
    """Return for each packet the last moment before the next epoch's first packet arrives."""
    firsts = np.flatnonzero(starts)
    ends_ns = np.append(arrivals_ns[firsts[1:]] - 1, NEVER_NS)
    epoch_lengths = np.diff(np.append(firsts, len(starts)))
    return np.repeat(ends_ns[: len(firsts)], epoch_lengths)


def _bursts(random: np.random.Generator, count: int, loss: float, mean_burst: float) -> Mask:
    """Return (count,) bool, the bad states of a Gilbert-Elliott chain that begins in the good one."""
    leave_bad = 1 / mean_burst
    leave_good = min(1.0, loss * leave_bad / (1 - loss))
    lengths: list[Int64] = []
    total = 0
    while total < count:
        pairs = 16 + int(count * leave_good)
        runs = np.column_stack([random.geometric(leave_good, pairs), random.geometric(leave_bad, pairs)])
        lengths.append(runs.ravel())
        total += int(runs.sum())
    runs = np.concatenate(lengths)
    is_bad = np.arange(len(runs)) % 2 == 1
    return np.repeat(is_bad, np.minimum(runs, count))[:count]
