"""`PlayedTrack`: what is played into a call of which the carrier sends the caller's side only, as a track of it.

It lies where the caller heard it, as far as that is known (`media.talk.played`), on the outbound channel of
recordings and takes, and ends in the report as any other track does; between plays it is silent. Nobody else gets it:
who listens to calls listens to what comes from the carrier. Where the carrier sends that direction, nothing is kept.
"""

from __future__ import annotations

from collections import deque
from dataclasses import fields
from typing import TYPE_CHECKING, Protocol

import numpy as np

from media.calls import Call
from media.pauses.spans import was_paused_during
from media.sinks.contract import CallInfo, TrackReport
from media.talk.contract import Pcm
from media.talk.played import PlayedTape
from media.talk.playout import Playout
from media.talk.resampler import Resampler
from strep.clock import NS_PER_SECOND
from strep.g711 import Codec
from strep.header import Direction
from strep.ledger import Kind, Ledger
from strep.statistics import TrackStatistics

if TYPE_CHECKING:
    from media.engine import Engine

PATIENCE_NS = NS_PER_SECOND
"""How long the first audio of the caller's is waited for, which says where the call begins."""
PIECE_MS = 500
"""Handed out at a time: it comes late and is patched into files, and a patch costs the same whatever it holds."""
SOURCE = {"played": True}
"""In the report, in place of a sender."""
_NO_PACKETS = TrackStatistics(*[0] * len(fields(TrackStatistics)))


class Rows(Protocol):
    """Takes pieces of all calls; see `media.talk.played_tracks`."""

    def add(self, info: CallInfo, law: Codec | None, position: int, pcm: Pcm) -> None:
        """Take half a second of a call, or less, as code bytes of `law` or linear."""

    def hand_out(self) -> None:
        """Hand out what waits."""


class PlayedTrack:
    """What is played into one call; positions are on the call's timeline, at its rate."""

    def __init__(self, call: Call, engine: Engine, rows: Rows, playout: Playout, law: Codec | None) -> None:
        """Listen to `playout`, and give what was heard to `rows`; `law` is that of the call, None if it has none."""
        self._call, self._engine, self._rows, self._playout = call, engine, rows, playout
        self._law = None if call.info.is_linear else law or Codec.PCMU
        self._from_hz, self._rate_hz = playout.player.sample_rate_hz, call.info.sample_rate_hz
        self._resampler = Resampler(self._from_hz, self._rate_hz)
        self._width = self._rate_hz * PIECE_MS // 1000
        self._early: deque[tuple[int, Pcm]] = deque()
        self._waiting: list[Pcm] = []
        self._start: int | None = None
        self._end = 0  # behind what was handed out
        self._run_ends_ns: int | None = None  # of what came last, if more may follow without a gap
        self._ledger, self._number = Ledger(), -1
        playout.player.tape = PlayedTape(self._from_hz, self)

    # -- what was heard ------------------------------------------------------------------------------

    def heard(self, at_ns: int, pcm: Pcm, earliest_ns: int) -> None:
        """See `media.talk.played.Listener`.

        What was heard while the call was paused, or may have been, is silent here already: positions, by which pauses
        are masked later on, go by the caller's clock, and the commands by ours.
        """
        if self._is_the_carriers():
            return
        if was_paused_during(self._call.info.pauses, earliest_ns, self._engine.now_ns()):
            pcm = np.zeros(len(pcm), np.int16)
        self._early.append((at_ns, pcm))
        if self._call.origin_ns is not None or at_ns - self._early[0][0] >= PATIENCE_NS:
            self._take_early()

    def fell_silent(self) -> None:
        """See `media.talk.played.Listener`."""
        self._end_run()

    def _is_the_carriers(self) -> bool:
        return any(track.direction is Direction.OUTBOUND for track in self._call.tracks)

    def report(self) -> TrackReport | None:
        """Hand out what was heard by now, for the call has ended; None if it was nothing."""
        try:
            self._playout.settle(self._engine.now_ns())
        finally:
            self._playout.player.tape = None  # the index of this call may be another one's in a moment
        if self._is_the_carriers():
            self._early.clear()
            self._waiting.clear()
        self._take_early()
        self._end_run()
        self._rows.hand_out()
        if self._start is None:
            return None
        length = self._end - self._start
        return TrackReport(
            direction=Direction.OUTBOUND,
            codec="L16" if self._law is None else self._law.name,
            start_samples=self._start,
            length_samples=length,
            statistics=dict(_NO_PACKETS.as_dict()),
            ledger=[(start, samples, kind.value) for start, samples, kind in self._ledger.spans],
            totals={kind.value: samples for kind, samples in self._ledger.total(length).items()},
            sources=[dict(SOURCE)],
            ledger_truncated=self._ledger.truncated,
        )

    # -- its place -----------------------------------------------------------------------------------

    def _take_early(self) -> None:
        if self._early and self._call.origin_ns is None:
            self._call.origin_ns = self._early[0][0]
            self._call.info.origin_wall_ns = self._engine.wall_ns(self._call.origin_ns)
        while self._early:
            at_ns, pcm = self._early.popleft()
            if self._run_ends_ns is None or abs(at_ns - self._run_ends_ns) * self._from_hz > NS_PER_SECOND:
                self._end_run()
                self._begin_run(at_ns)
            self._run_ends_ns = at_ns + len(pcm) * NS_PER_SECOND // self._from_hz
            self._put(self._resampler.process(pcm))

    def _begin_run(self, at_ns: int) -> None:
        """Let what comes next lie where it was heard: not before the call, nor over what was heard before."""
        assert self._call.origin_ns is not None
        position = round((at_ns - self._call.origin_ns) * self._rate_hz / NS_PER_SECOND)
        if self._start is None:
            self._start = self._end = max(position, 0)
        elif position > self._end:
            self._ledger.add(self._end, position - self._end, Kind.SILENCE)
            self._end = position

    def _end_run(self) -> None:
        if self._run_ends_ns is not None:
            self._run_ends_ns = None
            self._put(self._resampler.flush(), is_last=True)

    def _put(self, pcm: Pcm, *, is_last: bool = False) -> None:
        """Hand out whole pieces, and at the end the rest."""
        self._waiting.append(pcm)
        count = sum(map(len, self._waiting))
        if count < self._width and not is_last:
            return
        pcm = np.concatenate(self._waiting)
        ready = count if is_last else count - count % self._width
        self._waiting = [pcm[ready:]] if ready < count else []
        if ready:
            self._hand_out(pcm[:ready])

    def _hand_out(self, pcm: Pcm) -> None:
        for first in range(0, len(pcm), self._width):
            self._rows.add(self._call.info, self._law, self._end + first, pcm[first : first + self._width])
        self._end += len(pcm)
        self._tell_account()

    def _tell_account(self) -> None:
        account = self._call.info.account
        if account.is_kept:
            if self._number < 0:
                self._number = account.begin_track(Direction.OUTBOUND, self._start or 0)
            account.tell_spans(self._number, self._ledger.take_changes(), 0)
