"""`Pool`: the streams of one engine and the workers that listen to them. Sans-I/O: links and time are given.

The rules, with the figures of `Limits`:

* A call's streams go to the worker that has the fewest, and stay there.
* A worker has at most `ahead_s` of speech that it has not answered; the rest waits here, taken of each stream in
  turn. More than `backlog_s` of one stream is dropped, the oldest first, and told to be `Missing`; what a worker had
  that was replaced does not count.
* A worker that says nothing for `hang_s` while it has something to answer, or dies, is killed and replaced: at once
  if it was about the audio of a stream, whose speech is told to be missing then; else later and later. The other
  streams go on where they were: what was not final is given to the next worker.
* A stream that `strikes` workers in a row hang or die with is given up, so that it harms the others no more. One
  whose recognizer fails harms nobody else: it goes on with another one, later and later.
* A stream that closes is waited for at most `close_s`.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from media.throttle import ThrottledLog
from media.transcribing.contract import Pcm
from media.transcribing.limits import Limits
from media.transcribing.messages import Close, Done, Finish, Give, Said, Setup
from media.transcribing.plugins import EngineChoice
from media.transcribing.slots import Link, Slot, WorkerFailed
from media.transcribing.streams import Ended, Item, Missing, Outcome, Stream, Transcribed
from strep.clock import NEVER_NS, NS_PER_SECOND, Clock

_LOG = logging.getLogger("strep.transcribing")


@dataclass(slots=True)
class Counters:
    """What happened, over all streams that there were.

    Attributes:
        given_seconds, missing_seconds: speech that engines were given, and that there is no text of.
        finals, partials, words: results, and words in final ones.
        hung, died, refused: workers that were replaced.
        recognizers_failed: exceptions of engines.
        streams_given_up: see `Limits.strikes`.
        late_closes: streams whose last results did not come in time.
    """

    given_seconds: float = 0.0
    missing_seconds: float = 0.0
    finals: int = 0
    partials: int = 0
    words: int = 0
    hung: int = 0
    died: int = 0
    refused: int = 0
    recognizers_failed: int = 0
    streams_given_up: int = 0
    late_closes: int = 0


class Pool:
    """See above.

    Attributes:
        choice: the engine.
        counters: what happened.
    """

    def __init__(self, choice: EngineChoice, start: Callable[[], Link], limits: Limits, clock: Clock) -> None:
        """Use workers that `start` returns; it may raise OSError."""
        self.choice, self.counters = choice, Counters()
        self._limits, self._start = limits, start
        self._slots = [Slot(index, limits) for index in range(limits.workers)]
        self._streams: dict[int, Stream] = {}  # by the number of the recognizer
        self._items = itertools.count(1)
        self._is_cold = True  # no workers are wanted beforehand
        self._log = ThrottledLog(_LOG, clock)

    # -- what is to be done ------------------------------------------------------------------------------

    def add(self, stream: Stream) -> None:
        """Take a stream."""
        same = next((slot for slot in self._slots for other in slot.streams if other.call is stream.call), None)
        slot = same or min(self._slots, key=lambda slot: len(slot.streams))
        slot.streams.append(stream)
        stream.slot = slot.index
        self._streams[stream.recognizer] = stream

    def put(self, stream: Stream, position_samples: int, pcm: Pcm | None, now_ns: int) -> list[Outcome]:
        """Take some speech of a stream, or None for its end; return what was dropped for it."""
        if stream.recognizer not in self._streams or stream.closing_until_ns is not None:
            return []
        told: list[Outcome] = []
        stream.take(Item(position_samples, pcm, now_ns))
        if stream.is_given_up:
            told += self._drop(stream, "given up")
        limit_samples = self._limits.backlog_s * stream.rate_hz + stream.again_samples
        while stream.waiting_samples > limit_samples and len(stream.waiting) > 1:
            told += self._drop(stream, "the engine is too slow")
        return self._counted(told)

    def close(self, stream: Stream, now_ns: int) -> None:
        """Take note that nothing follows; `poll` returns the last, then `Ended`, within `Limits.close_s`."""
        if stream.closing_until_ns is None:
            stream.closing_until_ns = now_ns + round(self._limits.close_s * NS_PER_SECOND)

    def close_all(self, now_ns: int) -> None:
        """Close all streams."""
        for stream in self._streams.values():
            self.close(stream, now_ns)

    @property
    def is_busy(self) -> bool:
        """Whether there are streams."""
        return bool(self._streams)

    def warm(self) -> None:
        """Start all workers with the next `poll`, and not when the first call comes."""
        self._is_cold = False

    def stop(self) -> list[Outcome]:
        """End all streams; what is not finished is told to be missing."""
        told = [
            outcome for stream in list(self._streams.values()) for outcome in self._end(stream, "the server ended")
        ]
        return self._counted(told)

    def dismiss(self) -> list[Link]:
        """Let all workers end, of which nothing is wanted any more; return them."""
        return [link for slot in self._slots if (link := slot.dismiss()) is not None]

    # -- what has happened -------------------------------------------------------------------------------

    def poll(self, now_ns: int) -> list[Outcome]:
        """Look at the workers, give them what waits; return what is to be told, in order for each stream."""
        told: list[Outcome] = []
        for slot in self._slots:
            told += self._look_at(slot, now_ns)
            if (slot.streams or not self._is_cold) and now_ns >= slot.retry_ns:
                told += self._begin(slot, now_ns)
            told += self._feed(slot, now_ns)
        self._is_cold = True
        for stream in [s for s in self._streams.values() if s.closing_until_ns is not None]:
            told += self._finish(stream, now_ns)
        return self._counted(told)

    def deadline(self) -> int:
        """Return when `poll` has something to do though no worker says anything."""
        closing = [s.closing_until_ns for s in self._streams.values() if s.closing_until_ns is not None]
        return min([slot.deadline() for slot in self._slots] + closing, default=NEVER_NS)

    def links(self) -> list[Link]:
        """Return the workers that there are."""
        return [slot.link for slot in self._slots if slot.link is not None]

    def snapshot(self, now_ns: int) -> dict[str, Any]:
        """Return counters, and what waits: JSON values. The age is that of the oldest speech without an answer."""
        streams = list(self._streams.values())
        oldest = [stream.waiting[0].put_ns for stream in streams if stream.waiting]
        oldest += [item.put_ns for slot in self._slots for _, item in slot.unanswered.values()]
        return {
            "workers": sum(slot.engine_rate_hz is not None for slot in self._slots),
            "streams": len(streams),
            "backlog_seconds": round(sum(stream.waiting_samples / stream.rate_hz for stream in streams), 3),
            "backlog_age_seconds": round(max(now_ns - min(oldest, default=now_ns), 0) / NS_PER_SECOND, 3),
            **asdict(self.counters),
        }

    # -- workers -----------------------------------------------------------------------------------------

    def _begin(self, slot: Slot, now_ns: int) -> list[Outcome]:
        if slot.link is not None:
            return []
        try:
            slot.begin(self._start, Setup(self.choice.name, dict(self.choice.options)), now_ns)
        except WorkerFailed as failure:
            return self._replace(slot, failure, now_ns)
        return []

    def _look_at(self, slot: Slot, now_ns: int) -> list[Outcome]:
        told: list[Outcome] = []
        try:
            for reply, item in slot.answers(now_ns):
                stream = self._streams.get(reply.stream)
                if stream is not None:  # else it is closed, or goes on with another recognizer
                    told += self._answered(stream, item, reply, now_ns)
        except WorkerFailed as failure:
            told += self._replace(slot, failure, now_ns)
        return told

    def _replace(self, slot: Slot, failure: WorkerFailed, now_ns: int) -> list[Outcome]:
        """Kill a worker and tell what is lost with it; another one comes."""
        setattr(self.counters, failure.kind, getattr(self.counters, failure.kind) + 1)
        culprit, pause_s = slot.fail(now_ns)
        self._log.warning(f"transcribe: the engine {self.choice.name} {failure}; another one begins in {pause_s:g} s")
        told: list[Outcome] = []
        for stream in slot.streams:
            stream.unanswered = 0
            if stream is not culprit:
                stream.take_back()
        if culprit is not None and culprit.recognizer in self._streams:
            told += culprit.lose_given(f"the engine {failure}")
            told += culprit.tell_missing()
            told += self._struck(culprit, f"the engine {failure}")
        return told

    # -- streams -----------------------------------------------------------------------------------------

    def _feed(self, slot: Slot, now_ns: int) -> list[Outcome]:
        """Give a worker what waits, of each stream in turn."""
        told: list[Outcome] = []
        idle = 0
        while slot.has_room and idle < len(slot.streams):
            stream = slot.streams[0]
            slot.streams.rotate(-1)
            if stream.waiting and now_ns >= stream.retry_ns:
                told += stream.tell_missing()
                self._give(slot, stream, now_ns)
                idle = 0
            else:
                idle += 1
        return told

    def _give(self, slot: Slot, stream: Stream, now_ns: int) -> None:
        item, number = stream.next(), next(self._items)
        stream.give(item, slot.engine_rate_hz or 0)
        if item.pcm is None:
            slot.give(number, stream, item, Finish(number, stream.recognizer), now_ns)
            return
        self.counters.given_seconds += len(item.pcm) / stream.rate_hz
        give = Give(number, stream.recognizer, stream.rate_hz, item.pcm.tobytes())
        slot.give(number, stream, item, give, now_ns)

    def _answered(self, stream: Stream, item: Item | None, reply: Done | Said, now_ns: int) -> list[Outcome]:
        told: list[Outcome] = []
        for result in reply.results:
            placed = stream.place(result, item)
            told += [placed] if placed is not None else []
        stream.is_settled = reply.settled
        if item is not None and item.pcm is None:
            stream.answered_pause = item
        if reply.error:
            self.counters.recognizers_failed += 1
            self._log.warning(f"transcribe: {self.choice.name} failed in call {stream.call.call_id}: {reply.error}")
            told += stream.lose_given(f"the engine failed: {reply.error}")
            told += stream.tell_missing()
            self._renew(stream)
            stream.failures += 1
            stream.retry_ns = now_ns + self._limits.pause_ns(stream.failures)
        elif reply.settled:
            stream.settle()
        return told

    def _renew(self, stream: Stream) -> None:
        """Let a stream go on with a new recognizer; what was in flight when the last one failed went to another."""
        self._let_go(stream)
        stream.recognizer = -next(self._items)  # no stream has such a number
        self._streams[stream.recognizer] = stream

    def _let_go(self, stream: Stream) -> None:
        del self._streams[stream.recognizer]
        slot = self._slots[stream.slot]
        if slot.link is not None and slot.engine_rate_hz is not None:
            slot.link.send(Close(stream.recognizer))

    def _struck(self, stream: Stream, how: str) -> list[Outcome]:
        """Give up a stream that workers hang or die with again and again."""
        stream.strikes += 1
        if stream.strikes < self._limits.strikes or stream.is_given_up:
            return []
        stream.is_given_up = True
        self.counters.streams_given_up += 1
        reason = f"given up, for with this {stream.strikes} workers in a row failed: {how}"
        here = stream.waiting[0].position_samples if stream.waiting else stream.end_samples
        told: list[Outcome] = [*stream.miss(here, here, reason)]
        while stream.waiting:
            told += self._drop(stream, reason)
        return [*told, *stream.tell_missing()]

    def _drop(self, stream: Stream, reason: str) -> list[Missing]:
        item = stream.next()
        if item.pcm is None:
            return []
        return stream.miss(item.position_samples, item.position_samples + len(item.pcm), reason)

    def _finish(self, stream: Stream, now_ns: int) -> list[Outcome]:
        """Close a stream when all of it is said, or when it is time."""
        assert stream.closing_until_ns is not None
        is_done = not stream.waiting and not stream.unanswered and stream.is_settled
        if is_done and (not stream.given or stream.is_given_up):
            return self._end(stream, "")
        again_ns = max(stream.retry_ns, self._slots[stream.slot].retry_ns if stream.waiting else 0)
        if now_ns < stream.closing_until_ns and again_ns < stream.closing_until_ns:
            return []
        self.counters.late_closes += 1
        return self._end(stream, "the engine did not finish in time")

    def _end(self, stream: Stream, reason: str) -> list[Outcome]:
        told: list[Outcome] = [*stream.lose_given(reason)]
        while stream.waiting:
            told += self._drop(stream, reason)
        told += stream.tell_missing()
        self._let_go(stream)
        self._slots[stream.slot].streams.remove(stream)
        return [*told, Ended(stream)]

    def _counted(self, told: list[Outcome]) -> list[Outcome]:
        for outcome in told:
            if isinstance(outcome, Missing):
                length = outcome.end_samples - outcome.start_samples
                self.counters.missing_seconds += length / outcome.stream.rate_hz
            elif isinstance(outcome, Transcribed) and outcome.is_final:
                self.counters.finals += 1
                self.counters.words += len(outcome.text.split())
            elif isinstance(outcome, Transcribed):
                self.counters.partials += 1
        return told
