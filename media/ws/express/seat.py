"""`Seat`: one connection in the express lane: what its frames look like, and what follows from those that were taken.

A frame that went the normal way is looked at here. If it looks like the last one of its track, and the stream's
sequencer has nothing to learn from the next, the next is expected. To find out how frames look costs as much as ten
frames the normal way, so a track whose looks change all the time is looked at ever more seldom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from media.ws.description import DIRECTIONS
from media.ws.express.lane import ExpressLane, Passenger
from media.ws.express.layout import Layout, find_layout
from media.ws.framing import head_of
from media.ws.messages import Frame, Media
from strep.header import Direction

if TYPE_CHECKING:
    from media.ws.host import StreamHandle, StreamHost

_WORTHWHILE = 32
"""So many frames taken by a template have made up for it."""
_MAX_PATIENCE = 4096
"""Frames that go the normal way, at most, before their looks are examined again."""


@dataclass(frozen=True, slots=True)
class Boarding:
    """A connection's stream, once it has begun.

    Attributes:
        host, handle: the stream.
        session: which of its sockets this is; see `ChunkSequencer.resume`.
        parse: reads a text, whatever came before it.
        accept: is told how many frames have been taken.
    """

    host: StreamHost
    handle: StreamHandle
    session: int
    parse: Callable[[str | bytes], Frame]
    accept: Callable[[int], None]


@dataclass
class _Track:
    row: int
    layout: Layout | None = None
    template: bytes = b""
    length: int = 0  # of the last text
    taken: int = 0  # frames, by this layout
    patience: int = 1
    waits: int = 0

    def examine(self, text: bytes, frame: Media, parse: Callable[[str | bytes], Frame]) -> bool:
        """Look at the text of `frame`; return whether it has a layout that is new."""
        before, self.length, length = self.layout, len(text), self.length
        layout = before.grown(self.template, text) if before is not None else None
        if layout is not None and layout.samples == len(frame.media.payload):
            self.layout, self.template = layout, text
            return layout != before
        self.waits -= self.waits > 0
        if len(text) != length or self.waits:
            return False
        self.patience = 1 if self.taken >= _WORTHWHILE else min(2 * self.patience, _MAX_PATIENCE)
        self.waits, self.taken = self.patience, 0
        self.layout, self.template = find_layout(text, frame, parse), text
        return self.layout is not None


class Seat:
    """See the module.

    Attributes:
        expected: by the length of a whole frame, in bytes, row and `media.ws.framing.head_of` what is expected.
    """

    def __init__(self, lane: ExpressLane, passenger: Passenger) -> None:
        """Take a seat."""
        self.expected: dict[int, tuple[int, bytes]] = {}
        self._lane, self._row = lane, lane.board(passenger)
        self._tracks = tuple(_Track(self._row + direction) for direction in Direction)
        self._boarding: Boarding | None = None
        self._is_in = self._may_wait = False

    def reserve(self, boarding: Boarding) -> None:
        """Take note of the stream that begins."""
        self._boarding = boarding

    def learn(self, text: str | bytes, frame: Media) -> None:
        """Take note of a media frame that has been taken the normal way."""
        if self._boarding is None or not text.isascii():
            return
        if isinstance(text, str):
            text = text.encode()
        track = self._tracks[DIRECTIONS[frame.media.track or ""]]
        self.leave()
        if track.examine(text, frame, self._boarding.parse):
            assert track.layout is not None
            self._lane.learn(track.row, text, track.layout)
        self._enter(self._boarding)

    def _enter(self, boarding: Boarding) -> None:
        """Expect of both tracks what can be expected."""
        host, handle, session = boarding.host, boarding.handle, boarding.session
        for direction, track in zip(Direction, self._tracks, strict=True):
            layout = track.layout
            if layout is None:
                continue
            expected = handle.sequencer.expect(direction, layout.samples, session, has_timestamp=layout.has_timestamp)
            slot = host.stream_slot(handle, direction, self.leave) if expected is not None else None
            if expected is not None and slot is not None:
                self._lane.open(track.row, slot, expected)
                self.expected[layout.frame_bytes] = track.row, head_of(layout.length)
        if self.expected:
            self._is_in, handle.sequencer.leave = True, self.leave

    def settle(self) -> None:
        """Tell the sequencer and the connection of the frames that were taken."""
        boarding = self._boarding
        if boarding is None or not self._is_in:
            return
        for direction, track in zip(Direction, self._tracks, strict=True):
            count, last, highest = self._lane.settle(track.row)
            if count:
                layout = track.layout
                assert layout is not None
                number = last if layout.has_sequence_number else None
                step = self._lane.step_units(track.row)
                sequencer, session = boarding.handle.sequencer, boarding.session
                sequencer.advance(direction, count, layout.samples, step, number, highest, session)
                boarding.accept(count)
                track.taken += count

    def leave(self) -> None:
        """Settle, and expect nothing more."""
        if self._boarding is not None and self._is_in:
            self.settle()
            self._may_wait = True
            self._is_in, self._boarding.handle.sequencer.leave = False, None
            self.expected.clear()
            for track in self._tracks:
                self._lane.close(track.row)

    def take_back(self) -> list[tuple[bytes, int]]:
        """Return what waits, with the times at which it came, to be taken the normal way."""
        if not self._is_in and not self._may_wait:
            return []
        self._may_wait = False
        return self._lane.take_back(self._row)

    def give_up(self) -> None:
        """The connection has ended, and nothing of it waits."""
        self.leave()
        self._lane.alight(self._row)
