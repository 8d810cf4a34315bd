"""`Intake`: what the feed and the event bus have for JetStream, as messages with subject and id."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from media.events.publishing import AudioUnpublished
from media.feed.subscription import CallBegan, CallOver, Subscription
from media.nats.bundles import Bundle, Bundler
from media.nats.message import Message
from media.nats.names import EVENT, Place, Subjects, message_id, token
from media.sinks.contract import CallInfo
from strep.clock import Clock
from strep.header import Direction

TellGap = Callable[[CallInfo, AudioUnpublished], None]
MAX_EVENTS = 100_000
"""That may wait; at most 100 MB."""


@dataclass(slots=True)
class _Gap:
    """Messages of a track that were refused."""

    call: CallInfo
    start_seconds: float
    end_seconds: float
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message, and the bundle that it holds; None: it is an event."""

    message: Message
    bundle: Bundle | None = None


class Intake:
    """What is to be published, taken in the publisher's thread.

    Attributes:
        dropped_events: that waited for too long.
    """

    def __init__(
        self, subscription: Subscription, subjects: Subjects, bundle_ms: int, clock: Clock, tell_gap: TellGap
    ) -> None:
        """Take from now on.

        Args:
            subscription: to the feed.
            subjects: where messages go.
            bundle_ms: audio in one, about.
            clock: for when the instances of calls began.
            tell_gap: told of audio that found no room, in the thread that takes.
        """
        self.dropped_events = 0
        self._subscription, self._subjects, self._clock, self._tell_gap = subscription, subjects, clock, tell_gap
        self._bundler = Bundler(bundle_ms)
        self._events: deque[Message] = deque()
        self._last_origin_ns = 0
        self._calls: dict[str, tuple[CallInfo, int]] = {}
        self._subject_of: dict[tuple[str, Direction], str] = {}
        self._gaps: dict[tuple[str, Direction], _Gap] = {}
        self._ended: list[CallInfo] = []

    @property
    def has_more(self) -> bool:
        """Whether `take` has something at once."""
        return bool(self._subscription.waiting_bytes or self._events or self._ended)

    @property
    def is_over(self) -> bool:
        """Whether nothing comes any more."""
        return bool(self._subscription.why_over) and not self.has_more

    def tell(self, call_id: str, place: Place, body: bytes) -> None:
        """Queue an event; from another thread."""
        if len(self._events) >= MAX_EVENTS:
            self._events.popleft()
            self.dropped_events += 1
        self._events.append(Message(self._subjects.events(call_id), message_id(token(call_id), EVENT, place), body))

    def take(self, now_ns: int) -> list[Outgoing]:
        """Return what is to be offered now, in order; empty if nothing waits."""
        for call in self._ended:
            self._forget(call)
        self._ended.clear()
        found = [Outgoing(self._events.popleft()) for _ in range(len(self._events))]
        for item in self._subscription.take().items:
            if isinstance(item, bytes):
                found += self._audio(self._bundler.add(item, now_ns))
            elif isinstance(item, CallBegan):
                # Of this instance of publishing: one that died, and counted from 0 as well, is another.
                self._last_origin_ns = max(self._clock.wall_ns(), self._last_origin_ns + 1)
                self._calls[item.call.call_id] = item.call, self._last_origin_ns
            elif isinstance(item, CallOver):
                found += self._audio(self._bundler.end(item.call.call_id))
                self._ended.append(item.call)  # until it is known whether there was room for the last of it
        return found + self._audio(self._bundler.poll(now_ns))

    def deadline(self) -> int:
        """Return when `take` has something even if nothing comes."""
        return 0 if self.has_more else self._bundler.deadline()

    def end(self) -> None:
        """Take what waits, and no more."""
        self._subscription.end("closed")

    def snapshot(self) -> dict[str, int]:
        """Return what was lost before it could be offered, and what waits for that."""
        return {
            "dropped_events": self.dropped_events,
            "dropped_audio_messages": self._subscription.dropped_messages,
            "intake_bytes": self._subscription.waiting_bytes,
        }

    def _audio(self, bundles: Iterable[Bundle]) -> list[Outgoing]:
        return [Outgoing(self._message(bundle), bundle) for bundle in bundles]

    def _message(self, bundle: Bundle) -> Message:
        key = bundle.call_id, bundle.track
        subject = self._subject_of.get(key)
        if subject is None:
            subject = self._subject_of[key] = self._subjects.pcm(*key)
        _, call_token, kind = subject.rsplit(".", 2)
        place = Place(self._calls[bundle.call_id][1], bundle.number)
        return Message(subject, message_id(call_token, kind, place), bundle.data)

    def _forget(self, call: CallInfo) -> None:
        if self._calls.get(call.call_id, (None,))[0] is call:
            del self._calls[call.call_id]
            for track in Direction:
                self._subject_of.pop((call.call_id, track), None)
                self._tell(self._gaps.pop((call.call_id, track), None), track)

    # -- what found no room ------------------------------------------------------------------------------

    def answered(self, outgoing: Outgoing, *, is_taken: bool) -> None:
        """Note whether a message was taken; the end of a gap is told."""
        bundle = outgoing.bundle
        if bundle is None or (is_taken and not self._gaps):
            return
        key = bundle.call_id, bundle.track
        if is_taken:
            self._tell(self._gaps.pop(key, None), bundle.track)
            return
        if bundle.call_id in self._calls:
            call, _ = self._calls[bundle.call_id]
            start, end = (place / bundle.sample_rate_hz for place in (bundle.position_samples, bundle.end_samples))
            gap = self._gaps.setdefault(key, _Gap(call, start, end))
            gap.end_seconds = max(gap.end_seconds, end)
            gap.messages += 1

    def _tell(self, gap: _Gap | None, track: Direction) -> None:
        if gap is None:
            return
        rate_hz = gap.call.sample_rate_hz
        start, end = round(gap.start_seconds * rate_hz), round(gap.end_seconds * rate_hz)
        event = AudioUnpublished(
            track=track.name.lower(),
            position_samples=start,
            to="nats",
            messages=gap.messages,
            duration_samples=end - start,
        )
        self._tell_gap(gap.call, event)
