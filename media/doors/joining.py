"""Which call a plain RTP track belongs to, found without looking through all calls."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict

from media.calls import Call, Track
from media.tapes import TapeFormat
from strep.clock import NS_PER_SECOND
from strep.header import Direction

PARTNER_WINDOW_NS = 10 * NS_PER_SECOND
"""The other direction of a call is expected to begin within this time; later it is a call of its own."""
PREDECESSORS = 8
"""So many of the last tracks of a source are considered as predecessors of its newest."""

Source = tuple[Direction, str, int]
Waiting = tuple[int, str]
"""When a call started, in ns, and its call_id."""
Kind = tuple[str, Direction, TapeFormat]


class Joining:
    """Calls by the sources of their tracks, and calls that have one direction only by host and start."""

    def __init__(self) -> None:
        """Start without a call."""
        self._by_source: defaultdict[Source, list[Track]] = defaultdict(list)
        self._one_sided: defaultdict[tuple[str, Direction], list[Waiting]] = defaultdict(list)
        self._calls: dict[str, Call] = {}
        self._beginners: Counter[Kind] = Counter()
        self._followers: Counter[Kind] = Counter()
        self._waiting: dict[Track, bool] = {}  # whether they are beginners

    def begins(self, track: Track) -> bool:
        """Tell whether `track`, which has just come, will begin a call, as far as one can tell already.

        Not if a call waits for it, or another track that will begin one does, and no other track takes that place.
        """
        partner, (host, direction, tape) = self.partner(track), _kind(track)
        places = self._beginners[host, _opposite(track), tape] + (partner is not None and partner.tape == tape)
        return places <= self._followers[host, direction, tape]

    def wait(self, track: Track, *, begins: bool) -> None:
        """Take note of a track whose call is not decided yet."""
        self._waiting[track] = begins
        (self._beginners if begins else self._followers)[_kind(track)] += 1

    def decide(self, track: Track) -> bool:
        """Take note that its call is decided now; return whether it was to begin one."""
        begins = self._waiting.pop(track, None)
        if begins is None:  # another process took note of it
            return False
        counter, kind = self._beginners if begins else self._followers, _kind(track)
        counter[kind] -= 1
        if not counter[kind]:
            del counter[kind]
        return begins

    def predecessors(self, track: Track) -> list[Track]:
        """Return the last tracks from the same address and port, the newest first."""
        return self._by_source.get(_source(track), [])[: -PREDECESSORS - 1 : -1]

    def partner(self, track: Track) -> Call | None:
        """Return the live call from the same host that has nobody in this direction and began nearest in time."""
        waiting = self._one_sided.get((_host(track), track.direction), [])
        place = bisect_left(waiting, (track.first_arrival_ns, ""))
        near = [
            (abs(started_ns - track.first_arrival_ns), call_id)
            for started_ns, call_id in waiting[max(place - 1, 0) : place + 1]
        ]
        distance_ns, call_id = min(near, default=(PARTNER_WINDOW_NS + 1, ""))
        return self._calls[call_id] if distance_ns <= PARTNER_WINDOW_NS else None

    def add(self, track: Track, call: Call) -> None:
        """Take note that `track` is of `call` now."""
        self._by_source[_source(track)].append(track)
        name = call.info.call_id
        if name not in self._calls:
            self._calls[name] = call
            insort(self._one_sided[_host(track), _opposite(track)], (call.started_ns, name))
        else:
            self._settle(call, _host(track), track.direction)

    def remove(self, call: Call) -> None:
        """Forget a call that has ended."""
        for track in call.tracks:
            source = _source(track)
            tracks = self._by_source.get(source, [])
            if track in tracks:
                tracks.remove(track)
            if not tracks:
                self._by_source.pop(source, None)
            for direction in Direction:
                self._settle(call, _host(track), direction)
        self._calls.pop(call.info.call_id, None)

    def _settle(self, call: Call, host: str, direction: Direction) -> None:
        """Let `call` wait for `direction` from `host` no longer."""
        waiting = self._one_sided.get((host, direction), [])
        entry = call.started_ns, call.info.call_id
        place = bisect_left(waiting, entry)
        if place < len(waiting) and waiting[place] == entry:
            del waiting[place]
        if not waiting:
            self._one_sided.pop((host, direction), None)


def _source(track: Track) -> Source:
    return track.direction, track.source["address"], track.source["port"]


def _host(track: Track) -> str:
    address: str = track.source["address"]
    return address


def _kind(track: Track) -> Kind:
    return _host(track), track.direction, track.tape


def _opposite(track: Track) -> Direction:
    return Direction.OUTBOUND if track.direction is Direction.INBOUND else Direction.INBOUND
