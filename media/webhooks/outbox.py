"""`Outbox`: what is to be delivered to whom, in which order, and when again. Sans-I/O.

Four verbs: `receive` takes deliveries, `poll` at `deadline` returns those to be sent now, `settle` is told how that
went, `snapshot` counts. Rules:

* Each receiver (URL) is for itself; a slow or absent one holds up nobody else.
* A receiver gets the events of a call one after another, in order; one that fails is sent again before the next of
  its call is. Calls do not wait for one another.
* A failure is repeated with exponential back-off and jitter, until it has been answered wrongly too often
  (`RetryPolicy.max_faults`) or has become too old. Then the next of its call has its turn.
* A receiver that cannot be reached, or says that it is too busy, is *held*: nothing is sent to it for a time; then
  one delivery at a time tries whether it is back, and with the first answer all that waits goes out. Time that a
  receiver cannot be reached costs deliveries nothing but age.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush
from random import Random
from typing import Any

from strep.clock import NEVER_NS, NS_PER_SECOND


class Outcome(Enum):
    """How sending a delivery went."""

    TAKEN = "taken"
    """2xx."""
    REFUSED = "refused"
    """Another 4xx than those below: the receiver will not want it the next time either."""
    FAILED = "failed"
    """3xx, 5xx, 408, 425, an answer that did not come or broke off: it may be the event, so its call waits."""
    BUSY = "busy"
    """429 or 503: the receiver wants to be left alone. Another call has its turn first, lest it was the event."""
    UNREACHABLE = "unreachable"
    """No connection: nobody has got anything."""


def outcome_of(status: int) -> Outcome:
    """Return what an HTTP status means, as Telnyx has it: 408, 429 and 5xx are sent again, other 4xx are not.

    Redirects are not followed: where signed events go is for the operator to say, and for nobody else.
    """
    if 200 <= status < 300:
        return Outcome.TAKEN
    if status in (429, 503):
        return Outcome.BUSY
    if 400 <= status < 500 and status not in (408, 425):
        return Outcome.REFUSED
    return Outcome.FAILED


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often.

    Attributes:
        first_ns: back-off after the first failure; it doubles with each, and half of it is random.
        longest_ns: of back-offs, also of those that a receiver asks for.
        max_faults: wrong or missing answers to one delivery before it is given up.
        max_age_ns: since the event, before a delivery is given up.
        max_in_flight: deliveries on their way to one receiver at a time.
    """

    first_ns: int = NS_PER_SECOND
    longest_ns: int = 300 * NS_PER_SECOND
    max_faults: int = 100
    max_age_ns: int = 86_400 * NS_PER_SECOND
    max_in_flight: int = 16


@dataclass(eq=False, slots=True)
class Delivery:
    """One event on its way to one receiver.

    Attributes:
        url: of the receiver.
        call_id: of the event's call.
        key: what the store knows it by.
        born_ns: monotonic time of the event.
        size_bytes: in the store.
        attempt: how often it was sent, this time included.
        faults: how often that brought a wrong answer or none.
        sent_ns: when, the last time.
    """

    url: str
    call_id: str
    key: int
    born_ns: int
    size_bytes: int
    attempt: int = 0
    faults: int = 0
    sent_ns: int = 0


@dataclass(eq=False, slots=True)
class _Lane:
    """Deliveries of one call to one receiver; the first is on its way, or has a ticket in the receiver's heap."""

    waiting: deque[Delivery] = field(default_factory=deque)
    is_in_flight: bool = False
    ticket: int = 0
    due_ns: int = 0


@dataclass(eq=False, slots=True)
class _Route:
    """One receiver."""

    lanes: dict[str, _Lane] = field(default_factory=dict)
    heap: list[tuple[int, int, _Lane]] = field(default_factory=list)
    in_flight: int = 0
    held_since_ns: int = -1
    held_until_ns: int = 0
    holds: int = 0
    """In a row, without an answer between them."""


class Outbox:
    """All deliveries that are not over.

    Attributes:
        delivered, refused, given_up, dropped: deliveries that are over, by how they ended.
        retried: attempts that were not the first.
        unreachable: attempts that found no connection.
        waiting_bytes: of the deliveries that are not over, in the store.
    """

    def __init__(self, policy: RetryPolicy, random: Random) -> None:
        """Start empty; `random` makes jitter."""
        self.delivered = self.refused = self.given_up = self.dropped = self.retried = self.unreachable = 0
        self.waiting_bytes = 0
        self._policy, self._random = policy, random
        self._routes: dict[str, _Route] = {}
        self._all: dict[Delivery, None] = {}  # the oldest first
        self._tickets = 0

    def __len__(self) -> int:
        """Return how many deliveries are not over."""
        return len(self._all)

    @property
    def in_flight(self) -> int:
        """How many are on their way."""
        return sum(route.in_flight for route in self._routes.values())

    def receive(self, deliveries: Iterable[Delivery], now_ns: int) -> None:
        """Take deliveries, those of a call in order."""
        for delivery in deliveries:
            self._all[delivery] = None
            self.waiting_bytes += delivery.size_bytes
            route = self._routes.setdefault(delivery.url, _Route())
            lane = route.lanes.setdefault(delivery.call_id, _Lane())
            lane.waiting.append(delivery)
            if len(lane.waiting) == 1 and not lane.is_in_flight:
                self._schedule(route, lane, now_ns)

    def poll(self, now_ns: int) -> list[Delivery]:
        """Return what is to be sent now; each is then to be settled."""
        due = []
        for route in self._routes.values():
            room = 1 if route.holds else self._policy.max_in_flight
            while route.heap and route.in_flight < room and now_ns >= max(route.held_until_ns, route.heap[0][0]):
                _, ticket, lane = heappop(route.heap)
                if ticket != lane.ticket or not lane.waiting:
                    continue  # it has another one, or none of its deliveries is left
                delivery = lane.waiting[0]
                lane.is_in_flight = True
                route.in_flight += 1
                delivery.attempt, delivery.sent_ns = delivery.attempt + 1, now_ns
                self.retried += delivery.attempt > 1
                due.append(delivery)
        return due

    def deadline(self) -> int:
        """Return when `poll` has something to do, `NEVER_NS` if not before the next `receive` or `settle`."""
        times = [NEVER_NS]
        for route in self._routes.values():
            if route.heap and route.in_flight < (1 if route.holds else self._policy.max_in_flight):
                times.append(max(route.held_until_ns, route.heap[0][0]))
        return min(times)

    def settle(self, delivery: Delivery, outcome: Outcome, now_ns: int, retry_after_ns: int = 0) -> bool:
        """Take note of how sending a delivery went; return whether it is over.

        Args:
            delivery: one that `poll` returned.
            outcome: how it went.
            now_ns: monotonic time.
            retry_after_ns: how long a busy receiver wants to be left alone, if it said so.
        """
        route = self._routes[delivery.url]
        lane = route.lanes[delivery.call_id]
        lane.is_in_flight = False
        route.in_flight -= 1
        due_ns = now_ns
        if outcome is Outcome.UNREACHABLE:
            self.unreachable += 1
            delivery.attempt -= 1
            self._hold(route, now_ns)
            due_ns = lane.due_ns  # it keeps its place among those that wait
        elif outcome is Outcome.BUSY:
            delivery.faults += 1
            self._hold(route, now_ns, retry_after_ns)
        else:
            if delivery.sent_ns > route.held_since_ns:  # others were on their way when it asked to be left alone
                route.holds = route.held_until_ns = 0
            if outcome is Outcome.FAILED:
                delivery.faults += 1
                due_ns += self._back_off_ns(delivery.faults)
        is_over = self._ends(delivery, outcome, now_ns)
        if is_over:
            self._remove(delivery)
            due_ns = now_ns
        if lane.waiting:
            self._schedule(route, lane, due_ns)
        return is_over

    def expire(self, now_ns: int) -> list[Delivery]:
        """Give up what has become too old, and return it; what is on its way stays."""
        gone = []
        while (oldest := self._oldest_at_rest()) is not None and self._is_too_old(oldest, now_ns):
            self.given_up += 1
            self._remove(oldest)
            gone.append(oldest)
        return gone

    def drop_oldest(self, most_bytes: int) -> list[Delivery]:
        """Drop the oldest until no more than `most_bytes` wait, and return them; what is on its way stays."""
        gone = []
        while self.waiting_bytes > most_bytes and (oldest := self._oldest_at_rest()) is not None:
            self.dropped += 1
            self._remove(oldest)
            gone.append(oldest)
        return gone

    def oldest_ns(self) -> int | None:
        """Return when the oldest event that waits was born."""
        return next(iter(self._all)).born_ns if self._all else None

    def snapshot(self, now_ns: int) -> dict[str, Any]:
        """Return counters, and what waits."""
        oldest_ns = self.oldest_ns()
        return {
            "delivered": self.delivered,
            "refused": self.refused,
            "given_up": self.given_up,
            "dropped": self.dropped,
            "retried": self.retried,
            "unreachable": self.unreachable,
            "in_flight": self.in_flight,
            "waiting": len(self._all),
            "waiting_bytes": self.waiting_bytes,
            "oldest_ns": 0 if oldest_ns is None else now_ns - oldest_ns,
            "held": sum(route.holds > 0 for route in self._routes.values()),
        }

    # -- inside --------------------------------------------------------------------------------------

    def _schedule(self, route: _Route, lane: _Lane, due_ns: int) -> None:
        self._tickets += 1
        lane.ticket, lane.due_ns = self._tickets, due_ns
        heappush(route.heap, (due_ns, lane.ticket, lane))

    def _hold(self, route: _Route, now_ns: int, retry_after_ns: int = 0) -> None:
        if now_ns < route.held_until_ns:  # several were on their way when it went: that is one failure, not many
            retry_ns = retry_after_ns
        else:
            route.holds += 1
            retry_ns = max(self._back_off_ns(route.holds), retry_after_ns)
        route.held_since_ns = now_ns
        route.held_until_ns = max(route.held_until_ns, now_ns + min(retry_ns, self._policy.longest_ns))

    def _back_off_ns(self, failures: int) -> int:
        longest = min(self._policy.first_ns << min(failures - 1, 40), self._policy.longest_ns)
        return round(longest * (0.5 + 0.5 * self._random.random()))

    def _ends(self, delivery: Delivery, outcome: Outcome, now_ns: int) -> bool:
        if outcome is Outcome.TAKEN:
            self.delivered += 1
        elif outcome is Outcome.REFUSED:
            self.refused += 1
        elif delivery.faults >= self._policy.max_faults or self._is_too_old(delivery, now_ns):
            self.given_up += 1
        else:
            return False
        return True

    def _is_too_old(self, delivery: Delivery, now_ns: int) -> bool:
        return now_ns - delivery.born_ns > self._policy.max_age_ns

    def _oldest_at_rest(self) -> Delivery | None:
        return next((delivery for delivery in self._all if not self._is_on_its_way(delivery)), None)

    def _is_on_its_way(self, delivery: Delivery) -> bool:
        lane = self._routes[delivery.url].lanes[delivery.call_id]
        return lane.is_in_flight and lane.waiting[0] is delivery

    def _remove(self, delivery: Delivery) -> None:
        del self._all[delivery]
        self.waiting_bytes -= delivery.size_bytes
        lanes = self._routes[delivery.url].lanes
        lane = lanes[delivery.call_id]
        lane.waiting.remove(delivery)  # the first, or near it
        if not lane.waiting and not lane.is_in_flight:
            del lanes[delivery.call_id]
