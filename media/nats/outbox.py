"""`Outbox`: messages from when they are offered until the stream has them: bounded, in order, nothing doubled.

No network and no clock: time is given, and whoever holds the connection sends what `take` returns and reports every
answer to `answered`.

**Order.** Of each subject one message at a time is under way, the next one leaves when the stream has answered. So
the stream has them in order, whatever breaks. (Two under way could be swapped: the first refused because a cluster
had no leader, the second stored by the new one.)

**Nothing doubled.** A message that was sent without an answer is in doubt. Before it is sent again, the stream is
asked for the last message of its subject. As they are there in order, that says whether it has this one, however
long the connection was gone. Its message id is the second guard, within the stream's duplicate window.

**Nothing lost.** `media.nats.waiting`: in memory, then on disk.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from media.nats.answers import Answer, Refused, Stored
from media.nats.message import Message
from media.nats.names import Place, place_of
from media.nats.spool import Spool
from media.nats.waiting import Limits, Totals, Waiting
from strep.clock import NEVER_NS


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is to be sent: a message, or the question for the last one of its subject; the answer names `number`."""

    number: int
    message: Message
    is_question: bool


@dataclass(slots=True)
class _Flight:
    subject: str
    sent_ns: int
    size_bytes: int
    is_question: bool


class Outbox:
    """The messages of one publisher; not synchronized, the caller holds a lock.

    Attributes:
        last_refusal: what the stream said when it last refused one.
    """

    def __init__(self, limits: Limits, spool: Spool | None = None, wall_minus_now_ns: int = 0) -> None:
        """Begin with what is in the spool.

        Args:
            limits: bounds.
            spool: where to put what cannot be sent; None: memory is all there is.
            wall_minus_now_ns: the difference of the clocks, for ages in the spool.
        """
        self.last_refusal = ""
        self._limits = limits
        self._waiting = Waiting(limits, spool, wall_minus_now_ns)
        self._ready: deque[str] = deque()
        self._resting: deque[tuple[int, str]] = deque()
        self._flights: dict[int, _Flight] = {}
        self._flying_bytes = self._next_number = 0
        self._last_places: dict[str, Place | None] = {}

    @property
    def totals(self) -> Totals:
        """What became of messages."""
        return self._waiting.totals

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, neither in memory nor on disk."""
        return self._waiting.is_empty

    def offer(self, message: Message, now_ns: int) -> bool:
        """Take a message, or refuse it, see `Waiting.offer`."""
        was_there = message.subject in self._waiting.queues
        is_taken = self._waiting.offer(message, now_ns)
        if not was_there and message.subject in self._waiting.queues:
            self._ready.append(message.subject)
        return is_taken

    def take(self, now_ns: int) -> list[Shipment]:
        """Return what is to be sent now, in this order."""
        self._ready.extend(self._waiting.refill(now_ns))
        shipments = []
        limits = self._limits
        while self._ready and len(self._flights) < limits.flying and self._flying_bytes < limits.flying_bytes:
            subject = self._ready.popleft()
            message = self._next_of(subject)
            if message is None:
                continue
            is_question = message.is_doubtful and subject not in self._last_places
            self._flights[self._next_number] = _Flight(subject, now_ns, message.size_bytes, is_question)
            self._flying_bytes += message.size_bytes
            shipments.append(Shipment(self._next_number, message, is_question))
            self._next_number += 1
            self.totals.sent += not is_question
        return shipments

    def _next_of(self, subject: str) -> Message | None:
        """Return the first message of a subject that the stream has not; None if it has them all."""
        while (queue := self._waiting.queues.get(subject)) is not None:
            last = self._last_places.get(subject)
            if last is None or not _is_behind(queue, last):
                if subject in self._last_places:
                    self._last_places[subject] = None  # none of those that follow is, either
                return queue[0]
            self.totals.known += 1
            self._settle(subject)
        return None

    def answered(self, number: int, answer: Answer, now_ns: int) -> None:
        """Take the answer to a shipment; one that nobody waits for any more means nothing."""
        flight = self._flights.pop(number, None)
        if flight is None:
            return
        self._flying_bytes -= flight.size_bytes
        if isinstance(answer, Refused):
            self.totals.rejected += 1
            self.last_refusal = answer.reason
            self._resting.append((now_ns + self._limits.retry_ns, flight.subject))
            return
        if isinstance(answer, Stored):
            self._settle(flight.subject)
        else:
            self._last_places[flight.subject] = answer.place
        if flight.subject in self._waiting.queues:
            self._ready.append(flight.subject)

    def _settle(self, subject: str) -> None:
        self._waiting.settle(subject)
        if subject not in self._waiting.queues and not self._waiting.is_spooling:
            self._last_places.pop(subject, None)

    def connection_lost(self) -> None:
        """Put what is under way in doubt; it leaves again, in order, by the next connection."""
        for flight in self._flights.values():
            self._doubt(flight)
        self._flights.clear()
        self._flying_bytes = 0
        self._last_places.clear()

    def _doubt(self, flight: _Flight) -> None:
        self._waiting.queues[flight.subject][0].is_doubtful |= not flight.is_question
        self._ready.append(flight.subject)

    def poll(self, now_ns: int) -> None:
        """Do what is due: spool what has waited for long, give up answers, wake subjects that rested."""
        self._waiting.poll(now_ns)
        while self._flights:
            number, flight = next(iter(self._flights.items()))
            if now_ns - flight.sent_ns < self._limits.answer_timeout_ns:
                break
            del self._flights[number]
            self._flying_bytes -= flight.size_bytes
            self._last_places.pop(flight.subject, None)
            self._doubt(flight)
            self.totals.unanswered += 1
        while self._resting and self._resting[0][0] <= now_ns:
            self._ready.append(self._resting.popleft()[1])

    def deadline(self) -> int:
        """Return when `poll` is due next; `NEVER_NS` while nothing waits."""
        due = [self._resting[0][0]] if self._resting else []
        if self._flights:
            due.append(next(iter(self._flights.values())).sent_ns + self._limits.answer_timeout_ns)
        return min(*due, self._waiting.deadline(), NEVER_NS)

    def snapshot(self, now_ns: int) -> dict[str, int]:
        """Return totals and gauges."""
        return {**self._waiting.snapshot(now_ns), "under_way": len(self._flights)}

    def close(self) -> int:
        """Write what waits to the spool and let go of it; return how many messages are lost, for they fit nowhere."""
        self.connection_lost()
        return self._waiting.close()


def _is_behind(queue: deque[Message], last: Place) -> bool:
    """Whether the stream has the first message of a queue, when it has the one at `last`, and all in order.

    Of another instance of the call than `last` it is behind that if `last`'s own instance is in the queue as well.
    Which one began first says nothing: wall clocks are set back.
    """
    message = queue[0]
    place = place_of(message.message_id) if message.is_doubtful else None
    if place is None:
        return False
    if place.origin_wall_ns == last.origin_wall_ns:
        return place.number <= last.number
    later = (place_of(one.message_id) for one in queue)
    return any(one is not None and one.origin_wall_ns == last.origin_wall_ns for one in later)
