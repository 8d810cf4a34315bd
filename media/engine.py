"""The engine: tracks of both doors on one timeline, joined into calls, handed to the sinks. Sans-I/O.

Doors call `open_call`, `open_track`, `receive`, `end_call`; the shell calls `poll` and asks `deadline`.
Per packet nothing happens here: a block of every track that has one ready passes through as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from media.blocks import PcmBatch
from media.calls import Call, CallIndexes, Publish, Track, nobody
from media.codecs import Encoding
from media.decoding.desk import Desk
from media.decoding.payload_types import PayloadTypes
from media.decoding.track import DecodedTrack
from media.events.calls import CallBegan
from media.outlets import Forget, JoinTrack, Outlet, is_sensitive
from media.pauses.mask import PauseMask
from media.reels import Reel, Reels
from media.reports import call_over, call_report
from media.sinks.contract import HANDED_OVER, CallInfo, CallReport
from media.sinks.queue import CallEnded, CallStarted
from media.tapes import CODE_BYTES, TapeFormat, law_of
from strep.clock import NEVER_NS, NS_PER_SECOND, Clock
from strep.frames import FrameBatch
from strep.g711 import Codec
from strep.table import TrackBlocks
from strep.timeline import Timeline

HOUSEKEEPING_NS = NS_PER_SECOND


class Engine:
    """All calls of a process.

    Attributes:
        timeline: all tracks of G.711 that are not decoded on their way in.
        payload_types: what RTP payload types stand for.
        desk: tracks that are decoded on their way in.
        reels: all timelines, with the tracks on them.
        calls: live calls by call_id.
        pauses: what of their audio is not for everybody.
        calls_started, calls_ended: totals; their difference is the number of live calls.
        conservation_errors: tracks whose packets did not add up at their end; always 0.
        draining_since_ns: calls go on, but none begins with what has come since; doors see to that.
        shortage: why no call may begin at present, "" if one may; doors see to that, too. Looked at once a second.
        max_calls: that may live at once; 0 is any number. Kept to the call, whatever comes within that second.
        calls_beginning: of tracks whose call is not decided yet; they count as live ones. Doors see to that.
    """

    def __init__(
        self,
        timeline: Timeline,
        clock: Clock,
        outlets: Iterable[Outlet],
        *,
        idle_timeout_ns: int,
        max_tracks: int,
        patience_ns: int = 0,
        payload_types: PayloadTypes | None = None,
        publish: Publish = nobody,
    ) -> None:
        """Start without calls.

        Args:
            timeline: where tracks of code bytes lie; the timelines of others are made with the same settings.
            clock: only for wall times of calls; decisions use the ``now_ns`` that is given.
            outlets: where blocks and calls go to.
            idle_timeout_ns: a call ends when no track of it got audio for so long.
            max_tracks: tracks that may live at once; more are refused.
            patience_ns: how long a block that is ready may wait, so that more tracks share a batch.
            payload_types: as configured; the static ones unless given.
            publish: whom to tell of what happens in calls; nobody unless given.
        """
        self.timeline = timeline
        self.payload_types = payload_types or PayloadTypes()
        self.desk, self.pauses = Desk(), PauseMask()
        self.calls: dict[str, Call] = {}
        self.draining_since_ns, self.shortage, self.max_calls = NEVER_NS, "", 0
        self.calls_started = self.calls_ended = self.calls_beginning = self.conservation_errors = 0
        self._clock, self._publish, self._outlets = clock, publish, list(outlets)
        self._idle_timeout_ns, self._max_tracks, self._patience_ns = idle_timeout_ns, max_tracks, patience_ns
        self._indexes = CallIndexes()
        self.reels = Reels(timeline)
        self._joiners: dict[Track, JoinTrack] = {}
        self._forgetters: dict[str, Forget] = {}
        self._next_housekeeping_ns = self._next_release_ns = 0

    def now_ns(self) -> int:
        """Return the monotonic time of this process."""
        return self._clock.now_ns()

    def wall_ns(self, now_ns: int) -> int:
        """Return the wall time, in ns since the epoch, of a monotonic moment of this process."""
        return self._clock.wall_ns() - (self._clock.now_ns() - now_ns)

    def touch(self, call: Call) -> None:
        """Take note that the carrier spoke up on `call` otherwise than by audio."""
        call.last_activity_ns = self._clock.now_ns()

    def has_room(self) -> bool:
        """Whether one more track may be opened."""
        return len(self._joiners) < self._max_tracks

    def refusal(self) -> str:
        """Return why no call may begin now, "" if one may: `shortage`, and `max_calls` to the call."""
        if 0 < self.max_calls <= (live := len(self.calls) + self.calls_beginning):
            return f"{live} live calls, at most {self.max_calls}"
        return self.shortage

    def open_call(
        self,
        call_id: str,
        door: str,
        identity: dict[str, Any],
        now_ns: int,
        forget: Forget | None = None,
        tape: TapeFormat = CODE_BYTES,
        dialect: str = "",
    ) -> Call:
        """Begin a call under `call_id`, which gets a number behind it if a live call has it already."""
        name, again = call_id, 1
        while name in self.calls:
            again += 1
            name = f"{call_id}.{again}"
        began = self._indexes.take(), name, door, self.wall_ns(now_ns)
        info = CallInfo(*began, *tape[:1], identity, tape.is_linear, dialect=dialect)
        call = Call(info, started_ns=now_ns, last_activity_ns=now_ns, publish=self._publish)
        self.calls[name] = call
        self.calls_started += 1
        if forget is not None:
            self._forgetters[name] = forget
        self._tell(CallStarted(info))
        self._publish(info, CallBegan(door=door, identity=identity))
        return call

    def open_track(
        self,
        track_of: Callable[[int], Track],
        encoding: Encoding,
        join: JoinTrack,
        tape: TapeFormat = CODE_BYTES,
        *,
        clock_hz: int | None = None,
    ) -> Track:
        """Open a track of `encoding` on a tape of its call's format.

        Args:
            track_of: makes the track from its slot.
            encoding: what it begins with.
            join: names its call when the first block is due.
            tape: the call's format; `media.tapes.format_of` the encoding where there is none yet.
            clock_hz: of its timestamps; that of RTP unless given.
        """
        law = law_of(encoding)
        track = self.reels.at(tape).open(track_of, None if tape.is_linear else law or Codec.PCMU)
        self._joiners[track] = join
        track.handle = track.slot
        if law is None or tape.is_linear:
            self.decode(track, encoding, clock_hz)
            self.desk.add(track)
        if track.call is not None:
            track.call.tracks.append(track)
        return track

    def decode(self, track: Track, encoding: Encoding, clock_hz: int | None = None) -> None:
        """Give `track` a decoder if it has none: payloads come that are not what its tape holds."""
        if track.decoder is None:
            reel, wait_ns = self.reels.of(track), self.timeline.settings.reorder_wait_ns
            law = None if track.tape.is_linear else Codec(int(reel.timeline.codec[track.slot]))
            place = track.slot, encoding, track.tape.sample_rate_hz, law
            track.decoder = DecodedTrack(*place, reel.buffer, wait_ns, clock_hz)

    def end_call(self, call: Call, reason: str) -> None:
        """Finish all tracks of `call`, hand out the rest of their audio and report; a second end does nothing."""
        if call.has_ended:
            return
        call.has_ended = True
        self._finish(self.reels.at(call.tape), call.tracks)
        self._hand_out(self._clock.now_ns())
        statistics = [self.reels.of(track).timeline.statistics(track.slot) for track in call.tracks]
        self.conservation_errors += sum(not s.conserved or s.in_flight != 0 for s in statistics)
        report = self._report(call, reason)
        self._forget(call)
        self._publish(call.info, call_over(report))
        self._tell_end(call, report)

    def let_go(self, call: Call) -> Callable[[], None]:
        """Forget a call that goes on in another process; return what tells outlets, but nobody of events, of it."""
        call.has_ended = True
        report = self._report(call, HANDED_OVER)
        self._forget(call)
        return partial(self._tell_end, call, report)

    def _tell_end(self, call: Call, report: CallReport) -> None:
        self._tell(CallEnded(call.info, report))
        self._indexes.give_back(call.info.index)

    def take_in(self, call: Call, forget: Forget) -> None:
        """Go on with a call that was begun in another process; its tracks follow."""
        info = call.info
        info.index, info.goes_on, call.publish = self._indexes.take(), True, self._publish
        self.calls[info.call_id], self._forgetters[info.call_id] = call, forget
        self.calls_started += 1
        if info.pauses:
            self.pauses.update(info)
        self._tell(CallStarted(info))

    def take_in_track(self, track: Track, join: JoinTrack) -> None:
        """Go on with a track whose slot is on its reel already, with a decoder if it is decoded packet by packet."""
        self._joiners[track] = join
        self.reels.of(track).take_in(track)
        if track.handle != track.slot:
            self.desk.add(track)
        if track.call is not None:
            track.call.tracks.append(track)

    def _report(self, call: Call, reason: str) -> CallReport:
        return call_report(call, reason, self.reels.at(call.tape), self._clock.wall_ns())

    def _forget(self, call: Call) -> None:
        for track in call.tracks:
            self.close_track(track)
        del self.calls[call.info.call_id]
        self.calls_ended += 1
        forget = self._forgetters.pop(call.info.call_id, None)
        if forget is not None:
            forget(call)
        self.pauses.forget(call.info)
        call.tracks = []  # they know the call, and a circle is left to the collector, which hardly ever comes

    def _finish(self, reel: Reel, tracks: Collection[Track]) -> None:
        """Resolve all that tracks of one reel still hold."""
        for track in tracks:
            self.desk.finish(track)
        reel.deliver()
        reel.timeline.finish(*(track.slot for track in tracks))

    def close_track(self, track: Track) -> None:
        """Forget a track."""
        self.desk.remove(track)
        self.reels.close(track)
        del self._joiners[track]

    def end_all(self, reason: str) -> None:
        """End every call, also those of tracks that have not joined one yet."""
        now_ns = self._clock.now_ns()
        homeless = self.homeless()
        for reel in self.reels:
            self._finish(reel, reel.tracks.values())  # where the homeless begin is known only then
        self._hand_out(now_ns)
        for track in homeless:
            self._join(track, now_ns)
        for call in list(self.calls.values()):
            self.end_call(call, reason)

    def receive(self, frames: FrameBatch) -> None:
        """Take frames of known tracks of code bytes, in the order of their arrival."""
        self.timeline.receive(frames)

    def poll(self, now_ns: int, *, at_once: bool = False) -> None:
        """Give up what is overdue, hand out what is ready if that is due, now and then look after idle calls."""
        is_due = at_once or now_ns >= self._next_release_ns
        self.desk.poll(now_ns)
        for reel in self.reels:
            reel.deliver()
            reel.timeline.poll(now_ns, release=is_due)
        if is_due:
            # Due with the next beat, even if that is a little early.
            self._next_release_ns = now_ns + self._patience_ns // 2
            self._hand_out(now_ns)
        if now_ns >= self._next_housekeeping_ns:
            self._next_housekeeping_ns = now_ns + HOUSEKEEPING_NS
            for reel in self.reels:
                reel.timeline.realign()
            self._end_idle_calls(now_ns)

    def deadline(self) -> int:
        """Return when `poll` is due at the latest, in ns."""
        return min(self.audio_deadline(), self._next_housekeeping_ns)

    def audio_deadline(self) -> int:
        """Return when audio that waits for something may wait no longer, in ns; `NEVER_NS` if none does."""
        return min(self.desk.deadline(), *(reel.timeline.deadline() for reel in self.reels))

    def _hand_out(self, now_ns: int) -> None:
        for reel in self.reels:
            for blocks in reel.take_blocks():
                self._hand_out_blocks(reel, blocks, now_ns, late=False)
            for blocks in reel.timeline.take_patches():
                self._hand_out_blocks(reel, blocks, now_ns, late=True)

    def _hand_out_blocks(self, reel: Reel, blocks: TrackBlocks, now_ns: int, *, late: bool) -> None:
        for newcomer in reel.unjoined(blocks.slot):
            self._join(newcomer, now_ns)
        batch = reel.batch(blocks, now_ns, late=late)
        masked = self.pauses.apply(batch) if self.pauses else batch
        for outlet in self._outlets:
            outlet.put(batch if masked is batch or not is_sensitive(outlet) else masked)

    def tell_some(self, batch: PcmBatch, wanted: Callable[[Outlet], bool]) -> None:
        """Hand to some outlets what is for them only."""
        for outlet in self._outlets:
            if wanted(outlet):
                outlet.put(batch)

    def _tell(self, item: CallStarted | CallEnded) -> None:
        for outlet in self._outlets:
            outlet.put(item)

    def _join(self, track: Track, now_ns: int) -> None:
        """The start of a track is known: fix its call and its place there."""
        if track.offset_samples is not None:
            return
        call = track.call or track.join(self._joiners[track](track, now_ns))
        self.reels.of(track).place(track, call)
        if not call.info.origin_wall_ns and call.origin_ns is not None:
            call.info.origin_wall_ns = self.wall_ns(call.origin_ns)

    def last_delivery_ns(self, track: Track) -> int:
        """Return when audio of `track` last found its place: not when packets last arrived."""
        return max(self.reels.of(track).timeline.last_delivery_ns(track.slot), track.first_arrival_ns)

    def homeless(self) -> list[Track]:
        """Return the tracks of which it is not known yet what call they belong to."""
        return [track for track in self._joiners if track.call is None]

    def _end_idle_calls(self, now_ns: int) -> None:
        for track in self.homeless():
            if now_ns - track.first_arrival_ns > NS_PER_SECOND:
                self._join(track, now_ns)
        oldest = now_ns - self._idle_timeout_ns
        for call in [call for call in self.calls.values() if call.last_activity_ns < oldest]:
            heard_ns = [self.last_delivery_ns(track) for track in call.tracks]
            call.last_activity_ns = max([call.last_activity_ns, *heard_ns])  # not asked again before that is too old
            if call.last_activity_ns < oldest:
                self.end_call(call, "idle")

    def snapshot(self) -> dict[str, Any]:
        """Return totals for logs and tables."""
        return {
            "calls": len(self.calls),
            "calls_started": self.calls_started,
            "calls_ended": self.calls_ended,
            "tracks": len(self._joiners),
            "conservation_errors": self.conservation_errors,
        }
