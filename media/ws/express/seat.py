"""`Seat`: one connection in the express lane: what its frames look like, and what follows from those that were taken.

The frames of a connection go the normal way until its stream's sequencer has nothing to learn from the next one of a
track: then how that track's frames look is found out, once, and the next is expected. To find out costs as much as
ten frames the normal way, and to expect anew as much as two, so a connection that is seldom as expected is looked at
ever more seldom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from media.ws.description import DIRECTIONS
from media.ws.express.lane import ExpressLane, Passenger
from media.ws.express.layout import MAX_DIGITS, Layout, find_layout
from media.ws.messages import Frame, Media
from strep.header import Direction

if TYPE_CHECKING:
    from media.ws.host import StreamHandle, StreamHost

FIRST_LOOK = 24
"""Media frames that go the normal way first: timestamps of two tracks are believed no sooner."""
_NEXT_LOOK = 8
_WORTHWHILE = 32
"""So many frames taken have made up for a look."""
_MAX_PATIENCE = 1024
"""Media frames that go the normal way, at most, before the next look."""


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
    text: str | bytes = b""  # of the newest frame that went the normal way
    frame: Media | None = None

    def examine(self, parse: Callable[[str | bytes], Frame]) -> bool:
        """Look at the newest text; return whether it has a layout that is new."""
        frame, self.frame, before = self.frame, None, self.layout
        if frame is None or not self.text.isascii():
            return False
        text = self.text.encode() if isinstance(self.text, str) else self.text
        layout = before.grown(self.template, text) if before is not None else None
        is_known = layout is not None and layout.samples == len(frame.media.payload)
        if not is_known:
            layout = find_layout(text, frame, parse)
        self.layout, self.template = layout, text
        return not is_known or layout != before


class Seat:
    """See the module.

    Attributes:
        row: the first of its two.
        is_in: something is expected.
        frames_left: so many more media frames go the normal way before `look` is to be called.
    """

    def __init__(self, lane: ExpressLane, passenger: Passenger) -> None:
        """Take a seat."""
        self.is_in, self.frames_left = False, FIRST_LOOK
        self._lane, self.row = lane, lane.board(passenger)
        self._tracks = tuple(_Track(self.row + direction) for direction in Direction)
        self._boarding: Boarding | None = None
        self._taken, self._patience, self._counted = 0, 1, 0

    def reserve(self, boarding: Boarding) -> None:
        """Take note of the stream that begins."""
        self._boarding = boarding

    def note(self, text: str | bytes, frame: Media) -> None:
        """Take note of a media frame that has been taken the normal way."""
        track = self._tracks[DIRECTIONS[frame.media.track or ""]]
        track.text, track.frame = text, frame
        self.frames_left -= 1

    def look(self) -> None:
        """Expect of both tracks what can be expected."""
        boarding, self.frames_left = self._boarding, max(_NEXT_LOOK, self._patience)
        if boarding is None or self.is_in:
            return
        for track, direction in zip(self._tracks, Direction, strict=True):
            if track.frame is not None or track.layout is not None:
                self.is_in |= self._expect(boarding, track, direction)
        if self.is_in:
            boarding.handle.sequencer.leave = self.leave

    def _expect(self, boarding: Boarding, track: _Track, direction: Direction) -> bool:
        host, handle, frame = boarding.host, boarding.handle, track.frame
        slot = host.stream_slot(handle, direction, self.leave)
        if slot is None:
            return False
        if frame is not None:
            samples, has_timestamp = len(frame.media.payload), frame.media.timestamp is not None
        else:
            assert track.layout is not None
            samples, has_timestamp = track.layout.samples, track.layout.has_timestamp
        expected = handle.sequencer.expect(direction, samples, boarding.session, has_timestamp=has_timestamp)
        if expected is None or max(expected) >= 10**MAX_DIGITS:
            return False
        is_new = track.examine(boarding.parse)
        if track.layout is None:
            self._be_patient()
            return False
        if is_new:
            self._lane.learn(track.row, track.template, track.layout)
        self._lane.open(track.row, slot, expected)
        return True

    def count(self) -> None:
        """Tell the connection of the frames that were taken."""
        if self._boarding is not None and self.is_in:
            count = sum(self._lane.count(track.row) for track in self._tracks)
            self._boarding.accept(count - self._counted)
            self._counted = count

    def _settle(self) -> None:
        """Tell the sequencer as well."""
        self.count()
        boarding = self._boarding
        if boarding is None or not self.is_in:
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
                self._taken += count

    def leave(self) -> None:
        """Settle, and expect nothing more for a while."""
        if self._boarding is None or not self.is_in:
            return
        try:
            self._settle()
        finally:
            self.is_in, self._boarding.handle.sequencer.leave = False, None
            for track in self._tracks:
                self._lane.close(track.row)
        if self._taken >= _WORTHWHILE:
            self._patience = 1
        else:
            self._be_patient()
        self._taken, self._counted, self.frames_left = 0, 0, self._patience

    def _be_patient(self) -> None:
        self._patience = min(2 * self._patience, _MAX_PATIENCE)

    def give_up(self) -> None:
        """The connection has ended."""
        try:
            self.leave()
        finally:
            self._lane.alight(self.row)
