"""`Waiting`: the messages that wait, in memory and on disk; of each subject in the order in which they were offered.

A message waits in memory, at most `Limits.memory_bytes`. When one has waited for `Limits.patience_ns` or memory is
full, all go to the spool as well, and new ones are written there at once, until it is empty again. What finds no room
is refused, as `offer` returns: what waits already is not dropped for it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from media.nats.message import MAX_BODY_BYTES, Message
from media.nats.spool import Spool
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND

ADOPT_EVERY_NS = 5 * NS_PER_SECOND
"""How often it is looked for what other processes left in the spool's directory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds.

    Attributes:
        memory_bytes: of messages in memory.
        patience_ns: a message that waits for longer goes to the spool.
        flying, flying_bytes: messages, and bytes of them, that may be under way at once.
        answer_timeout_ns: a message whose answer is not there by then is in doubt.
        retry_ns: a subject of which a message was refused rests for so long.
    """

    memory_bytes: int = 64 << 20
    patience_ns: int = NS_PER_SECOND
    flying: int = 2048
    flying_bytes: int = 8 << 20
    answer_timeout_ns: int = 10 * NS_PER_SECOND
    retry_ns: int = 500 * NS_PER_MS


@dataclass(slots=True)
class Totals:
    """What became of messages: ``offered + recovered = stored + waiting``, and what was refused was not offered.

    Attributes:
        offered: taken.
        recovered: found in the spool, of an earlier process, and read so far.
        sent: so often one was sent; again and again if need be.
        stored: the stream has them.
        known: of these, so many it turned out to have already.
        dropped, dropped_bytes: there was no room, neither in memory nor in the spool.
        rejected: refusals of the stream; such a message is sent again.
        unanswered: answers that did not come in time.
        spool_errors: the disk would not.
    """

    offered: int = 0
    recovered: int = 0
    sent: int = 0
    stored: int = 0
    known: int = 0
    dropped: int = 0
    dropped_bytes: int = 0
    rejected: int = 0
    unanswered: int = 0
    spool_errors: int = 0


class Waiting:
    """The messages that wait.

    Attributes:
        queues: those in memory, by subject; never an empty queue.
        totals: what became of messages.
        is_spooling: new messages are written to the spool.
    """

    def __init__(self, limits: Limits, spool: Spool | None, wall_minus_now_ns: int) -> None:
        """Begin with what is in the spool; the difference of the clocks is for ages in there."""
        self.queues: dict[str, deque[Message]] = {}
        self.totals = Totals()
        self.is_spooling = spool is not None and spool.unread_bytes > 0
        self._limits, self._spool, self._wall_minus_now_ns = limits, spool, wall_minus_now_ns
        self._messages = self._bytes = self._next_look_ns = self._next_adoption_ns = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, neither in memory nor on disk."""
        return not self.queues and (self._spool is None or not self._spool.unread_bytes)

    def offer(self, message: Message, now_ns: int) -> bool:
        """Take a message, or refuse it: there is no room, or it is longer than `MAX_BODY_BYTES`."""
        message.offered_ns = now_ns
        fits = self._bytes + message.size_bytes <= self._limits.memory_bytes
        if not fits and not self.is_spooling:
            self._spill()
        if len(message.body) > MAX_BODY_BYTES or not self._finds_room(message, fits=fits):
            self.totals.dropped += 1
            self.totals.dropped_bytes += len(message.body)
            return False
        self.totals.offered += 1
        return True

    def _finds_room(self, message: Message, *, fits: bool) -> bool:
        if self._spool is None or not self.is_spooling:
            if fits:
                self._load(message)
            return fits
        is_kept = fits and not self._spool.unread_bytes
        if is_kept:
            self._load(message)  # in memory, even where the disk would not
        return self._write(self._spool, message, is_kept=is_kept) or is_kept

    def _load(self, message: Message) -> None:
        self.queues.setdefault(message.subject, deque()).append(message)
        self._messages += 1
        self._bytes += message.size_bytes

    def _spill(self) -> None:
        """Write all that waits in memory to the spool; it stays in memory as well."""
        if self._spool is None or self._spool.unread_bytes:
            return
        self.is_spooling = True
        waiting = [message for queue in self.queues.values() for message in queue if message.segment is None]
        for message in sorted(waiting, key=lambda message: message.offered_ns):
            if not self._write(self._spool, message, is_kept=True):
                return

    def _write(self, spool: Spool, message: Message, *, is_kept: bool) -> bool:
        try:
            return spool.append(message, message.offered_ns + self._wall_minus_now_ns, is_kept=is_kept)
        except OSError:
            self.totals.spool_errors += 1
            return False

    def refill(self, now_ns: int) -> list[str]:
        """Read from the spool while there is room; return the subjects that had nothing in memory before."""
        woken: list[str] = []
        spool = self._spool
        while spool is not None and spool.unread_bytes and self._bytes < self._limits.memory_bytes // 2:
            for message in spool.read(now_ns, now_ns + self._wall_minus_now_ns):
                if message.subject not in self.queues:
                    woken.append(message.subject)
                self._load(message)
                self.totals.recovered += message.is_doubtful
        return woken

    def settle(self, subject: str) -> None:
        """Forget the first message of a subject: the stream has it."""
        queue = self.queues[subject]
        message = queue.popleft()
        if not queue:
            del self.queues[subject]
        self._messages -= 1
        self._bytes -= message.size_bytes
        self.totals.stored += 1
        if message.segment is not None and self._spool is not None:
            self._spool.release(message.segment)
            self.is_spooling = self._spool.size_bytes > 0

    def poll(self, now_ns: int) -> None:
        """Write to the spool what has waited for long."""
        if now_ns >= self._next_adoption_ns:
            self._next_adoption_ns = now_ns + ADOPT_EVERY_NS
            self._adopt()
        if now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + self._limits.patience_ns // 4
        if not self.is_spooling and now_ns - self._oldest_ns(now_ns) >= self._limits.patience_ns:
            self._spill()

    def _adopt(self) -> None:
        """Take over what a process left that is not there any more."""
        if self._spool is None or self.is_spooling:
            return
        try:
            self.is_spooling = self._spool.adopt()
        except OSError:
            self.totals.spool_errors += 1

    def deadline(self) -> int:
        """Return when `poll` is due next, if something waits."""
        has_to_look = self.queues and not self.is_spooling and self._spool is not None
        return self._next_look_ns if has_to_look else NEVER_NS

    def _oldest_ns(self, now_ns: int) -> int:
        return min((queue[0].offered_ns for queue in self.queues.values()), default=now_ns)

    def close(self) -> int:
        """Write what waits to the spool and let go of it; return how many messages are lost, for they fit nowhere."""
        self._spill()
        lost = sum(message.segment is None for queue in self.queues.values() for message in queue)
        if self._spool is not None:
            self._spool.close()
        return lost

    def snapshot(self, now_ns: int) -> dict[str, int]:
        """Return totals and gauges; the age is of the oldest message."""
        spool = self._spool
        return {
            **{name: getattr(self.totals, name) for name in Totals.__slots__},
            "waiting": self._messages,
            "waiting_bytes": self._bytes,
            "oldest_ms": (now_ns - self._oldest_ns(now_ns)) // NS_PER_MS,
            "spool_bytes": spool.size_bytes if spool else 0,
            "spool_unread_bytes": spool.unread_bytes if spool else 0,
            "spool_torn_bytes": spool.torn_bytes if spool else 0,
        }
