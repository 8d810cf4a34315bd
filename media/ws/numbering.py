"""Which number a chunk has on its track: one counter per track, or one for both, restarting or absent.

The documents do not say whether inbound and outbound chunks share a counter; it is decided from what arrives:

* the same number on both tracks, or numbers far apart: each track counts for itself (final);
* two chunks of one track are as far apart in chunk as in sequence number (frames that are no media
  discounted) and chunks of the other track lie between: the counter is shared. Without sequence numbers,
  all numbers between must be the other track's.

Until then each track counts for itself. In a shared counter each track gets *dense* numbers, so that the other
track's chunks are never taken for loss. A number that nobody used is one lost chunk of the track of which it
was to be expected (`media.ws.owners`). That is looked at as late as possible, when the next chunk of the track
arrives, so that mere reordering between the tracks loses nothing.

A jump is a restart of the counting, by RFC 3550 A.1: ahead by more than `MAX_DROPOUT`, or behind by
`MAX_MISORDER` or more; after a reconnect any step back is. Restarted numbers jump in the same way modulo 2**16,
so that the timeline begins a new epoch, and stay equal to the carrier's where they can. Each track's restarts are
counted as its `generation`. The socket before a reconnect may still bring frames of the counting before: they are
known by their socket's `session`, those that were merely overtaken by where their numbers fit.
"""

from __future__ import annotations

from enum import Enum

from media.ws.counter import MAX_REMEMBERED, TrackCounter
from media.ws.owners import MAX_MISORDER, OTHER, NumberOwners, is_jump
from strep.header import Direction
from strep.serial import SEQUENCE_MODULUS

STANDSTILL = 8
"""So many more frames of a track with the same chunk but other sequence numbers, and it is no counter."""


class NumberSource(Enum):
    """What puts the chunks in order; fixed by the first media frame."""

    UNKNOWN = "unknown"
    CHUNK = "chunk"
    SEQUENCE_NUMBER = "sequence_number"
    """Frames have no chunk, or one that stands still."""
    ARRIVAL = "arrival"
    """Frames have neither."""


class CounterMode(Enum):
    """Who counts."""

    UNDECIDED = "undecided"
    PER_TRACK = "per track"
    SHARED = "shared"


# To get a member from its class takes long in Python 3.11; these are asked for every frame.
_UNDECIDED, _PER_TRACK, _SHARED = CounterMode.UNDECIDED, CounterMode.PER_TRACK, CounterMode.SHARED


class ChunkNumbering:
    """Gives every media frame of a stream the number it has on its track.

    Numbers begin with the carrier's modulo 2**16 and do not wrap; one more is the next chunk, a step of more than
    `MAX_DROPOUT` is a restart.

    Attributes:
        source: what puts the chunks in order.
        mode: whether the tracks share a counter, as far as is known.
        restarts: how often a track's counting began anew.
        generation: to which counting of its track the number belongs that was returned last, 0 is the first.
        misattributed: late chunks without a place, because the other track's was expected there.
    """

    def __init__(self) -> None:
        self.source = NumberSource.UNKNOWN
        self.mode = CounterMode.UNDECIDED
        self.restarts = 0
        self.generation = 0
        self.misattributed = 0
        self._tracks = tuple(TrackCounter() for _ in Direction)
        self._owners = NumberOwners()  # of use while the tracks may share a counter
        self._session = 0  # start frames so far
        self._restart_session = 0  # the latest one in which anything restarted
        self._resume_session = 0  # the latest one whose counters may have restarted
        self._owners_session = 0
        self._counts_apart = False  # by chunk, and the other track cannot matter now
        self._others = 0
        self._newest_sequence = -1

    def number(
        self, direction: Direction, chunk: int | None, sequence_number: int | None, session: int | None = None
    ) -> int:
        """Return the number of a media frame on its track; the same frame again gets the same number.

        `session` is what `resume` returned for the frame's socket; None is the newest.
        """
        track = self._tracks[direction]
        if session is None:
            session = self._session
        if self._counts_apart and chunk == track.value + 1 and track.is_started and session == self._session:
            number = track.number + 1
            track.advance(chunk, number, session)
            track.standing = 0
            if self.mode is _UNDECIDED:
                track.remember(chunk, number)
        else:
            old_number = self._old_number(track, chunk, sequence_number, session)
            if old_number is not None:
                return old_number
            number = self._number(direction, track, chunk, sequence_number, session)
        self.generation = track.generation
        if number >= track.number:
            track.sequence_number = sequence_number
            track.others = self._others
        if sequence_number is not None and sequence_number > self._newest_sequence:
            self._newest_sequence = sequence_number
        return number

    def expects(self, direction: Direction, session: int) -> TrackCounter | None:
        """Return where the counting of a track stands if nothing but its own next chunk matters to it."""
        track = self._tracks[direction]
        return track if self._counts_apart and track.is_started and session == self._session else None

    def advance(
        self, direction: Direction, count: int, sequence_number: int | None, highest: int, session: int
    ) -> None:
        """Take note of `count` chunks in a row of a track that `expects` them.

        The last of their sequence numbers is `sequence_number`, the greatest is `highest`.
        """
        track = self._tracks[direction]
        value, number = track.value + count, track.number + count
        if self.mode is _UNDECIDED:
            for back in range(min(count, MAX_REMEMBERED) - 1, -1, -1):
                track.remember(value - back, number - back)
        track.advance(value, number, session)
        track.standing = 0
        track.sequence_number, track.others = sequence_number, self._others
        if sequence_number is not None:
            self._newest_sequence = max(self._newest_sequence, highest)

    def skip(self, sequence_number: int | None) -> None:
        """Take note of a frame that is no media."""
        self._others += 1
        if sequence_number is not None:
            self._newest_sequence = max(self._newest_sequence, sequence_number)
            if self.source is NumberSource.SEQUENCE_NUMBER:
                self._owners.claim_other(sequence_number)

    def resume(self, sequence_number: int | None) -> int:
        """Take note of a start frame, and return its socket's session.

        Counters restart with it unless its sequence number goes on.
        """
        self._session += 1
        if sequence_number is None or sequence_number <= self._newest_sequence:
            self._resume_session = self._session
            self._counts_apart = False
            self._newest_sequence = -1
        if sequence_number is not None:
            self._newest_sequence = sequence_number
        return self._session

    def _old_number(
        self, track: TrackCounter, chunk: int | None, sequence_number: int | None, session: int
    ) -> int | None:
        """Return the number of a frame that is of the counting before the last restart; None if it is not."""
        value = chunk if self.source is NumberSource.CHUNK else sequence_number
        if value is None:
            return None
        earlier = track.earlier
        if earlier is not None and (session < track.session or track.is_straggler(value)):
            counter = earlier
        elif session < self._restart_session and track.is_started:
            counter = track
        else:
            return None
        self.generation = counter.generation
        step = value - counter.value
        if is_jump(step):
            self.misattributed += 1
            return counter.number
        if self.mode is _SHARED and step <= 0:
            return self._late_number(counter, value)
        number = counter.number + (1 if self.mode is _SHARED else step)
        if step > 0:
            counter.advance(value, number, session)
        counter.remember(value, number)
        return number

    def _number(
        self,
        direction: Direction,
        track: TrackCounter,
        chunk: int | None,
        sequence_number: int | None,
        session: int,
    ) -> int:
        value = self._value(track, chunk, sequence_number)
        if self.mode is not _PER_TRACK:
            self._observe(direction, value, sequence_number, session)
        is_shared = self.mode is _SHARED
        number = (self._shared_number if is_shared else self._own_number)(track, direction, value, session)
        is_alone = not all(track.is_started for track in self._tracks)
        self._counts_apart = self.source is NumberSource.CHUNK and not is_shared
        self._counts_apart &= is_alone or self.mode is _PER_TRACK
        return number

    def _value(self, track: TrackCounter, chunk: int | None, sequence_number: int | None) -> int:
        """Return what orders the frame; one that lacks it follows what arrived before."""
        if self.source is NumberSource.UNKNOWN:
            self._use_source(chunk, sequence_number)
        elif chunk is None or chunk != track.value:
            track.standing = 0
        elif self.source is NumberSource.CHUNK and track.is_started:
            track.standing += sequence_number is None or sequence_number != track.sequence_number
            if track.standing >= STANDSTILL:
                self._use_source(None, sequence_number)
                self._owners.forget()
        value = chunk if self.source is NumberSource.CHUNK else sequence_number
        if value is not None and self.source is not NumberSource.ARRIVAL:
            return value
        if self.mode is _PER_TRACK or self._owners.newest is None:
            return track.value + 1
        return self._owners.newest + 1

    def _use_source(self, chunk: int | None, sequence_number: int | None) -> None:
        if chunk is not None:
            self.source = NumberSource.CHUNK
        elif sequence_number is not None:
            self.source, self.mode = NumberSource.SEQUENCE_NUMBER, CounterMode.SHARED
        else:
            self.source, self.mode = NumberSource.ARRIVAL, CounterMode.PER_TRACK

    def _observe(self, direction: Direction, value: int, sequence_number: int | None, session: int) -> None:
        """Learn who used `value`, and from that who counts."""
        owners, other = self._owners, OTHER[direction]
        is_resumed = session >= self._resume_session > self._owners_session
        if owners.newest is None and self.mode is _UNDECIDED:
            companion = self._tracks[other]
            if not companion.is_started:
                self._owners_session = max(session, self._owners_session)
                return  # alone; what it has used is in its own memory
            owners.recall(companion.values, companion.value, other)
        if owners.newest is not None:
            step = value - owners.newest
            if is_jump(step) or (is_resumed and step <= 0):
                if self.mode is _UNDECIDED and owners.is_newest_used_by(other):
                    self.mode = CounterMode.PER_TRACK
                    return
                owners.forget()
            elif step <= 0 and owners.is_used_by(value, other):
                self.mode = CounterMode.PER_TRACK
                return
            elif self.mode is _UNDECIDED and self._shows_sharing(direction, value, sequence_number):
                self.mode = CounterMode.SHARED
        self._owners_session = max(session, self._owners_session)
        owners.claim(value, direction)

    def _shows_sharing(self, direction: Direction, value: int, sequence_number: int | None) -> bool:
        track, other = self._tracks[direction], OTHER[direction]
        step = value - track.value
        if not track.is_started or not 2 <= step <= MAX_MISORDER:
            return False
        used = [self._owners.is_used_by(between, other) for between in range(track.value + 1, value)]
        if sequence_number is None or track.sequence_number is None:
            return all(used)
        frames = sequence_number - track.sequence_number - (self._others - track.others)
        return frames == step and any(used)

    def _own_number(self, track: TrackCounter, direction: Direction, value: int, session: int) -> int:
        """Return the number of `value` on a track that counts for itself."""
        step = value - track.value
        track.epoch = self._owners.epoch
        if not track.is_started:
            track.begin(value, value % SEQUENCE_MODULUS, session)
        elif is_jump(step) or (step <= 0 and session >= self._resume_session > track.newest_session):
            self._restart(track, value, session)
        elif step > 0:
            track.advance(value, track.number + step, session)
        number = track.number + value - track.value
        if self.mode is _UNDECIDED:
            track.remember(value, number)
        return number

    def _shared_number(self, track: TrackCounter, direction: Direction, value: int, session: int) -> int:
        """Return the dense number of `value` on its track of a shared counter."""
        if not track.is_started:
            track.begin(value, value % SEQUENCE_MODULUS, session)
        elif track.epoch != self._owners.epoch:
            self._restart(track, value, session)
        elif value <= track.value:
            return self._late_number(track, value)
        else:
            self._pass_over_missing(direction, track, value)
            track.advance(value, track.number + 1, session)
        track.epoch = self._owners.epoch
        track.remember(value, track.number)
        return track.number

    def _restart(self, track: TrackCounter, value: int, session: int) -> None:
        track.restart(value, session)
        self.restarts += 1
        self._restart_session = max(session, self._restart_session)

    def _pass_over_missing(self, direction: Direction, track: TrackCounter, value: int) -> None:
        """Give numbers to the chunks that the track has lost in front of `value`."""
        is_alone = not self._tracks[OTHER[direction]].is_started
        for missing in self._owners.missing_of(direction, track.value, value, is_alone=is_alone):
            track.number += 1
            track.remember(missing, track.number)

    def _late_number(self, track: TrackCounter, value: int) -> int:
        number = track.remembered(value)
        if number is not None:
            return number
        if value < track.first_value:
            track.first_value, track.first_number = value, track.first_number - 1
            track.remember(value, track.first_number)
            return track.first_number
        # No number is free for it: it shares the one before, and the timeline takes it for a duplicate.
        self.misattributed += 1
        return track.remembered_before(value)
