"""`TrackTable`: everything the timeline knows about its tracks, in one place and without behaviour."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.frames import Samples
from strep.g711 import SAMPLE_RATE_HZ
from strep.ledger import Ledger
from strep.quality.delays import Delays
from strep.tape import Tape
from strep.tracks import Tracks
from strep.window import Window

Int64 = NDArray[np.int64]

LOST_AT_ONCE_S = 10
"""A backlog so long is believed to be lost that the sequence numbers miss, whatever the arrival clock says."""
START_POSITION_BLOCKS = 64
"""Blocks before a track's first packet: positions stay positive when earlier packets arrive after it."""


@dataclass(frozen=True, slots=True)
class TimelineSettings:
    """What the timeline may be told; the defaults suit telephone calls."""

    sample_rate_hz: int = SAMPLE_RATE_HZ
    block_ms: int = 100
    """Length of the blocks handed to sinks."""
    ring_ms: int = 1600
    """Length of each track's ring of tape, at least; it is made of whole blocks, and is never shorter than
    sixteen reorder waits or eight blocks."""
    reorder_wait_ms: int = 60
    """A hole is given up this long after the first packet behind it arrived."""
    jump_tolerance_ms: int = 1000
    """How far media time may run ahead of arrival time before a timestamp is not believed."""
    max_dropout: int = 3000
    """RFC 3550 A.1: sequence numbers may jump ahead by so many before it counts as a new start."""
    takeover_ms: int = 200
    """An earlier SSRC comes back only after the present one was silent for so long."""
    is_linear: bool = False
    """The tapes hold 16-bit linear PCM instead of code bytes."""
    beyond_ms: int = 0
    """How much of what follows a loss goes along with the block that has it; for concealment (`Beyond`)."""

    @property
    def block_samples(self) -> int:
        """Samples per block."""
        return self.sample_rate_hz * self.block_ms // 1000

    @property
    def ring_blocks(self) -> int:
        """Blocks in each track's ring of tape."""
        length_ms = max(self.ring_ms, 16 * self.reorder_wait_ms, 8 * self.block_ms)
        return -(-length_ms // self.block_ms)

    @property
    def reorder_wait_ns(self) -> int:
        """`reorder_wait_ms` in nanoseconds."""
        return self.reorder_wait_ms * NS_PER_MS

    @property
    def jump_tolerance_samples(self) -> int:
        """`jump_tolerance_ms` in samples."""
        return self.sample_rate_hz * self.jump_tolerance_ms // 1000

    def samples(self, duration_ns: Int64 | int) -> Int64 | int:
        """Return a duration in whole samples, rounded down."""
        return duration_ns * self.sample_rate_hz // NS_PER_SECOND


class Beyond(NamedTuple):
    """What is known, when a block leaves, of the tape behind its end, where the block's last loss is near.

    A hole is given up when something behind it has come, so that is there even where the block ends within the hole.

    Attributes:
        lost_samples: how far the block's last hole goes on behind its end.
        encoded: (k,) uint8 code bytes or int16 PCM from there on, up to the next hole.
    """

    lost_samples: int
    encoded: Samples


@dataclass(slots=True)
class TrackBlocks:
    """Blocks that left the timeline; the columns of `media.blocks.PcmBatch` by slot and tape position.

    Attributes:
        slot: (n,) int64.
        position: (n,) int64, tape position of the row's column 0.
        first, last: (n,) int64, valid columns.
        encoded: (n, block_samples) uint8 code bytes, or int16 PCM.
        lost: (k, 3) int64: row, first and end column of what was lost; see `strep.ledger.Kind.LOST`.
        beyond: by row, if `TimelineSettings.beyond_ms` says so.
    """

    slot: Int64
    position: Int64
    first: Int64
    last: Int64
    encoded: Samples
    lost: Int64 = field(default_factory=lambda: np.empty((0, 3), np.int64))
    beyond: dict[int, Beyond] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mapping:
    """How an earlier epoch turned timestamps into positions; for its stragglers."""

    ssrc: int
    highest_sequence: int
    highest_timestamp: int
    offset: int
    epoch_start: int


@dataclass(frozen=True, slots=True)
class HeldFrame:
    """A packet that contradicts its stream, put aside until a second one agrees with it."""

    sequence_number: int
    timestamp: int
    ssrc: int
    arrival_ns: int
    is_audio: bool
    payload: Samples


@dataclass(slots=True)
class TrackTable:
    """Columns, window, tape and ledgers of all tracks, and what is waiting to be taken by the caller."""

    settings: TimelineSettings
    capacity: int = 64
    tracks: Tracks = field(init=False)
    window: Window = field(init=False)
    tape: Tape = field(init=False)
    delays: Delays = field(init=False)
    ledgers: dict[int, Ledger] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    """Slots of ledgers that have changed; who looks takes them out."""
    previous: dict[int, Mapping] = field(default_factory=dict)
    held: dict[int, HeldFrame] = field(default_factory=dict)
    lost: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """By slot, start and end of what was lost on the tape and is not released yet."""
    blocks: deque[TrackBlocks] = field(default_factory=deque)
    patches: deque[TrackBlocks] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Allocate the first slots."""
        self.tracks = Tracks(self.capacity)
        self.window = Window(self.tracks.capacity)
        self.delays = Delays(self.settings.sample_rate_hz)
        shape = self.settings.block_samples, self.settings.ring_blocks, self.tracks.capacity
        self.tape = Tape(*shape, is_linear=self.settings.is_linear)

    @property
    def start_position(self) -> int:
        """Tape position of a track's first packet: a multiple of the ring."""
        return START_POSITION_BLOCKS * self.settings.ring_blocks * self.settings.block_samples

    @property
    def lookback_samples(self) -> int:
        """How far before the first packet of an epoch there is room for packets that it overtook."""
        return self.tape.ring_samples // 4

    def position_by_arrival(self, slot: int, arrival_ns: int) -> int:
        """Return where the tape of `slot` should be at `arrival_ns`, by the clock alone."""
        elapsed_ns = arrival_ns - int(self.tracks.anchor_ns[slot])
        return int(self.tracks.anchor_position[slot]) + int(self.settings.samples(elapsed_ns))

    def believable(
        self, slot: Int64, position: Int64, arrival_ns: Int64, missing_samples: Int64 | int = 0
    ) -> NDArray[np.bool_]:
        """Return whether media time may be at `position` at `arrival_ns`.

        It may if it did not run ahead of the arrival clock since the last packet, or since the track began
        (a stalled network that delivers its backlog at once is behind the clock, not ahead of it). Nor may
        it run ahead little by little: all that was not received is no longer than the clock ran. If its sender
        began late and sends its backlog, the clock cannot tell how much of that is lost; then the sequence numbers
        can: they miss `missing_samples` at the most.
        """
        tracks, settings = self.tracks, self.settings
        since_last = settings.samples(np.maximum(arrival_ns - tracks.highest_arrival_ns[slot], 0))
        since_start = settings.samples(arrival_ns - tracks.anchor_ns[slot])
        clock = tracks.anchor_position[slot] + since_start
        shift = self._expected_shift(slot)
        end = tracks.highest_end[slot] + shift
        limit = np.minimum(np.maximum(end + since_last, clock), clock + tracks.audio_samples[slot])
        missed = clock + tracks.audio_samples[slot] + LOST_AT_ONCE_S * settings.sample_rate_hz
        limit = np.maximum(limit + settings.jump_tolerance_samples, np.minimum(end + missing_samples, missed))
        believed: NDArray[np.bool_] = position + shift <= np.maximum(limit, end)
        return believed

    def _expected_shift(self, slot: Int64) -> Int64:
        """Return how far an epoch whose position is provisional will move when its start is over; else 0."""
        tracks = self.tracks
        elapsed = self.settings.samples(tracks.epoch_anchor_ns[slot] - tracks.anchor_ns[slot])
        place = np.maximum(tracks.resolved_end[slot], tracks.anchor_position[slot] + elapsed)
        shift: Int64 = np.where(tracks.floating[slot], place - tracks.epoch_anchor_position[slot], 0)
        return shift
