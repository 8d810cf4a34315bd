"""A timeline under observation: what it lets go is collected, and checked while it is.

Whatever the packets were, at every step: the conservation law holds, blocks of a track never overlap nor go
backward, and at the end nothing is in flight, the ledger adds up to the tape and explains every jump of it, and the
blocks told of all loss in them, and of no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from strep.clock import NEVER_NS, NS_PER_MS
from strep.g711 import Codec
from strep.ledger import Kind, Ledger
from strep.statistics import TrackStatistics
from strep.table import TimelineSettings, TrackBlocks
from strep.timeline import Timeline
from tests.strep.packets import Packet, batch_of

Piece = tuple[int, bytes]


@dataclass
class Tape:
    """What one track let go: pieces in order, and patches to them."""

    silence: int
    pieces: list[Piece] = field(default_factory=list)
    patches: list[Piece] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    """Positions that the blocks said are lost."""
    beyond: list[Piece] = field(default_factory=list, compare=False)
    """What blocks said of what lies behind them."""

    @property
    def end(self) -> int:
        return self.pieces[-1][0] + len(self.pieces[-1][1])

    def jumps(self, origin: int, end: int) -> list[tuple[int, int]]:
        """Return (from, to) wherever pieces between `origin` and `end` do not follow one another."""
        ends = [origin, *(start + len(data) for start, data in self.pieces)]
        starts = [*(start for start, _ in self.pieces), end]
        return [(a, b) for a, b in zip(ends, starts, strict=True) if a != b]

    def heard(self, origin: int, length: int) -> bytes:
        """Return what a live sink got; silence where nothing was handed out."""
        tape = bytearray([self.silence]) * length
        for start, data in self.pieces:
            tape[start - origin : start - origin + len(data)] = data
        return bytes(tape)

    def recorded(self, origin: int, length: int) -> bytes:
        """Return what a recording got: with the late packets in their places."""
        tape = bytearray(self.heard(origin, length))
        for start, data in self.patches:
            tape[start - origin : start - origin + len(data)] = data
        return bytes(tape)


class Bench:
    """A timeline, its tracks' tapes, and the caller's duty done as its docstring asks for it."""

    def __init__(self, tracks: int = 1, codec: Codec = Codec.PCMU, settings: TimelineSettings | None = None) -> None:
        self.timeline = Timeline(settings or TimelineSettings(beyond_ms=35))
        self.tapes: dict[int, Tape] = {}
        self.ledgers: dict[int, Ledger] = {}
        for _ in range(tracks):
            self.open(codec)

    def open(self, codec: Codec = Codec.PCMU) -> int:
        slot = self.timeline.open(codec)
        assert slot not in self.tapes
        self.tapes[slot] = Tape(codec.silence)
        self.ledgers[slot] = self.timeline.table.ledgers[slot]
        return slot

    def close(self, slot: int) -> None:
        self.timeline.finish(slot)
        self.collect()
        self.check_end(slot)
        self.timeline.close(slot)
        del self.tapes[slot], self.ledgers[slot]

    def receive(self, *packets: Packet) -> None:
        """Hand over one batch."""
        self.timeline.receive(batch_of(packets))
        self.check_conservation()

    def poll(self, now_ns: int) -> None:
        self.timeline.poll(now_ns)
        assert self.timeline.deadline() > now_ns
        self.collect()
        self.check_conservation()

    def play(self, packets: Iterable[Packet], *, poll_after_ns: int = 5 * NS_PER_MS) -> None:
        """Let packets arrive one by one, polling at every deadline and `poll_after_ns` after each arrival."""
        for packet in packets:
            self.poll_until(packet.arrival_ns)
            self.receive(packet)
            self.poll_until(packet.arrival_ns)
        self.poll_until(packet.arrival_ns + poll_after_ns)

    def poll_until(self, now_ns: int) -> None:
        """Poll at every deadline on the way to `now_ns`, and then."""
        while (deadline_ns := self.timeline.deadline()) < now_ns:
            self.poll(deadline_ns)
        self.poll(now_ns)

    def settle(self) -> None:
        """Let all deadlines pass."""
        while (deadline_ns := self.timeline.deadline()) != NEVER_NS:
            self.poll(deadline_ns)

    def finish(self) -> None:
        """End every track and check what must hold at an end."""
        for slot in self.tapes:
            self.timeline.finish(slot)
        self.collect()
        for slot in self.tapes:
            self.check_end(slot)

    def collect(self) -> None:
        tracks = self.timeline.table.tracks
        for blocks in self.timeline.take_blocks():
            for slot, start, data in _rows(blocks, self.timeline.settings.block_samples):
                tape = self.tapes[slot]
                assert data, "an empty row"
                assert not tape.pieces or start >= tape.end, "blocks overlap or go backward"
                tape.pieces.append((start, data))
            for row, first, last in blocks.lost.tolist():
                assert blocks.first[row] <= first < last <= blocks.last[row]
                start = int(blocks.position[row])
                self.tapes[int(blocks.slot[row])].lost.update(range(start + first, start + last))
            for row, beyond in blocks.beyond.items():
                assert row in blocks.lost[:, 0]
                start = int(blocks.position[row] + blocks.last[row]) + beyond.lost_samples
                self.tapes[int(blocks.slot[row])].beyond.append((start, beyond.encoded.tobytes()))
        for blocks in self.timeline.take_patches():
            for slot, start, data in _rows(blocks, None):
                assert self.origin(slot) <= start < start + len(data) <= tracks.released[slot], "not released yet"
                self.tapes[slot].patches.append((start, data))

    # -- what must hold --------------------------------------------------------------------------------

    def check_conservation(self) -> None:
        for slot in self.tapes:
            statistics = self.timeline.statistics(slot)
            assert statistics.conserved, statistics
            counters = {name: value for name, value in statistics.as_dict().items() if name != "cumulative_lost"}
            assert min(counters.values()) >= 0, statistics
            assert sum(self.timeline.ledger_totals(slot).values()) == self.timeline.length(slot)

    def check_end(self, slot: int) -> None:
        self.check_conservation()
        timeline, tape, ledger = self.timeline, self.tapes[slot], self.ledgers[slot]
        assert timeline.statistics(slot).in_flight == 0
        length = timeline.length(slot)
        totals = timeline.ledger_totals(slot)
        assert min(totals.values()) >= 0, totals
        origin = self.origin(slot)
        assert not tape.pieces or tape.pieces[0][0] >= origin
        assert not tape.pieces or tape.end <= origin + length
        heard = tape.heard(origin, length) if tape.beyond else b""
        for start, data in tape.beyond:
            assert heard[start - origin : start - origin + len(data)] == data, "not what came then"
        check_ledger(ledger, origin, length)
        if not ledger.truncated:
            for start, end in tape.jumps(origin, origin + length):
                check_is_gap(ledger, start, end)
            check_lost(ledger, tape)

    # -- what came out ---------------------------------------------------------------------------------

    def origin(self, slot: int = 0) -> int:
        return int(self.timeline.table.tracks.origin[slot])

    def length(self, slot: int = 0) -> int:
        return self.timeline.length(slot)

    def statistics(self, slot: int = 0) -> TrackStatistics:
        return self.timeline.statistics(slot)

    def heard(self, slot: int = 0) -> bytes:
        return self.tapes[slot].heard(self.origin(slot), self.length(slot))

    def recorded(self, slot: int = 0) -> bytes:
        return self.tapes[slot].recorded(self.origin(slot), self.length(slot))

    def spans(self, slot: int = 0) -> list[tuple[int, int, Kind]]:
        """Return the ledger's spans, counted from the track's first sample."""
        origin = self.origin(slot)
        return [(start - origin, length, kind) for start, length, kind in self.ledgers[slot].spans]

    def totals(self, slot: int = 0) -> dict[Kind, int]:
        """Return the ledger's totals without those that are zero."""
        return {kind: samples for kind, samples in self.timeline.ledger_totals(slot).items() if samples}


def check_ledger(ledger: Ledger, origin: int, length: int) -> None:
    """Spans ascend without overlap, lie on the tape, and are what the totals say."""
    end = origin
    sums = dict.fromkeys(Kind, 0)
    for start, samples, kind in ledger.spans:
        assert start >= end
        assert samples > 0
        end = start + samples
        sums[kind] += samples
    assert end <= origin + length
    if not ledger.truncated:
        assert sums == ledger.totals


def check_lost(ledger: Ledger, tape: Tape) -> None:
    """What the blocks said is lost is what the ledger says, of what was handed out, and what was patched since."""
    by_kind: dict[Kind, set[int]] = {Kind.LOST: set(), Kind.LATE_PATCHED: set()}
    for start, samples, kind in ledger.spans:
        if kind in by_kind:
            by_kind[kind].update(range(start, start + samples))
    if by_kind[Kind.LOST]:
        heard = {position for start, data in tape.pieces for position in range(start, start + len(data))}
        assert by_kind[Kind.LOST] & heard <= tape.lost
    assert tape.lost <= by_kind[Kind.LOST] | by_kind[Kind.LATE_PATCHED]


def check_is_gap(ledger: Ledger, start: int, end: int) -> None:
    """Everything in [start, end) is in some span."""
    for span_start, samples, _ in ledger.spans:
        if span_start <= start < span_start + samples:
            start = span_start + samples
    assert start >= end, "the tape jumps where the ledger knows of no gap"


def _rows(blocks: TrackBlocks, block_samples: int | None) -> Sequence[tuple[int, int, bytes]]:
    rows = []
    for i, slot in enumerate(blocks.slot.tolist()):
        position, first, last = int(blocks.position[i]), int(blocks.first[i]), int(blocks.last[i])
        if block_samples is not None:
            assert position % block_samples == 0
            assert 0 <= first < last <= block_samples
        rows.append((slot, position + first, blocks.encoded[i, first:last].tobytes()))
    return rows


def expected_tape(packets: Sequence[Packet], silence: int = Codec.PCMU.silence) -> bytes:
    """Return the tape that packets of one epoch make: each at its timestamp, silence between them."""
    origin = min(packet.timestamp for packet in packets)
    tape = bytearray([silence]) * (max(packet.end for packet in packets) - origin)
    for packet in packets:
        tape[packet.timestamp - origin : packet.end - origin] = packet.payload
    return bytes(tape)
