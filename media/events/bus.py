"""`EventBus`: everything that happens in calls as one stream of typed events, from any thread to whoever subscribed.

Sinks, doors and applications publish; files, webhooks, feeds and applications subscribe. An event is told in the
thread of who publishes it, so a subscriber only puts it somewhere (`media.events.background`, an event loop's
``call_soon_threadsafe``) and returns at once. All subscribers are told the events of a call in the order of their
numbers. A key is published by each of the ways it came by, and told once: `media.events.merging`.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from media.events.kinds import DigitPressed, Event
from media.events.merging import NEAR_MS
from media.sinks.contract import CallInfo
from media.throttle import ThrottledLog
from strep.clock import Clock, iso8601

_LOG = logging.getLogger("strep.events")


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and its place among all of them.

    Attributes:
        event_id: a UUID; whoever gets it twice knows it by that.
        sequence: 1 for the first event of the call, without a gap.
        occurred_at_ns: wall time of its publication, ns since the epoch; where it lies in the call says the event.
        call: whose it is.
        event: what happened, without what is private in it if the call's recording was paused then.
        client_state: what the call was given to tell with its events, base64; None: nothing.
        private: the event as it was, where that differs; only for what acts on it and keeps nothing, see `in_full`.
    """

    event_id: str
    sequence: int
    occurred_at_ns: int
    call: CallInfo
    event: Event
    private: Event | None = field(default=None, repr=False)
    client_state: str | None = None

    @property
    def name(self) -> str:
        """The event's."""
        return self.event.NAME

    @property
    def call_id(self) -> str:
        """The call's."""
        return self.call.call_id

    @property
    def in_full(self) -> Event:
        """The event as it was, for an application: neither to be written down nor to be told to others."""
        return self.private or self.event

    def to_json(self, *, in_full: bool = False) -> dict[str, Any]:
        """Return JSON values: the event's name, its place, then what it says, or what `in_full` says."""
        event = self.in_full if in_full else self.event
        return {
            "event": self.event.NAME,
            "call_id": self.call.call_id,
            "event_id": self.event_id,
            "sequence": self.sequence,
            "occurred_at": iso8601(self.occurred_at_ns),
            **({} if self.client_state is None else {"client_state": self.client_state}),
            **event.to_json(self.call.sample_rate_hz),
        }


Subscriber = Callable[[Told], object]


class EventBus:
    """Who is told of events.

    Attributes:
        published: events told so far, by their names.
    """

    def __init__(self, clock: Clock) -> None:
        """Start without a subscriber."""
        self.published: dict[str, int] = {}
        self._clock = clock
        self._lock = threading.RLock()  # a subscriber may publish
        self._subscribers: tuple[Subscriber, ...] = ()
        self._trouble = ThrottledLog(_LOG, clock)

    def subscribe(self, take: Subscriber) -> Callable[[], None]:
        """Tell `take` of all events from now on; return what ends that."""
        with self._lock:
            self._subscribers += (take,)
        return lambda: self._unsubscribe(take)

    def publish(self, call: CallInfo, event: Event) -> Told | None:
        """Tell an event; from any thread, without waiting. None: it was told before, by another way."""
        with self._lock:
            if isinstance(event, DigitPressed) and not call.told.digits.is_news(event):
                return None
            call.told.events += 1
            now_ns = self._clock.wall_ns()
            private = event if _is_private(call, event) else None
            event = event.without_private() if private else event
            told = Told(str(uuid.uuid4()), call.told.events, now_ns, call, event, private, call.told.client_state)
            self.published[event.NAME] = self.published.get(event.NAME, 0) + 1
            for take in self._subscribers:
                try:
                    take(told)
                except Exception as error:  # one subscriber's trouble is neither the publisher's nor the next one's
                    self._trouble.warning(f"a subscriber of events raised: {error!r}", exc_info=error)
            return told

    def _unsubscribe(self, take: Subscriber) -> None:
        with self._lock:
            self._subscribers = tuple(other for other in self._subscribers if other != take)


def _is_private(call: CallInfo, event: Event) -> bool:
    """Return whether an event has something private, and the call is paused now or may have been when it happened."""
    if not event.PRIVATE or not call.pauses:
        return False
    position = event.position_samples
    if call.is_paused_at(None) or position is None:
        return call.is_paused_at(None) or isinstance(event, DigitPressed)
    if not isinstance(event, DigitPressed):
        return call.is_paused_at(position, 0, event.track)
    # Tones lie where they are heard. What the carrier says comes some time after the key, and may be of one that was
    # pressed, and acted upon, while the call was paused.
    late = 0 if event.source == "inband" else NEAR_MS * call.sample_rate_hz // 1000
    length = event.duration_samples or 0
    early = length if event.source == "ws" else 0  # its position is that of the frame, which may come behind the key
    return call.is_paused_at(position - late - early, late + early + max(length, 1), event.track)
