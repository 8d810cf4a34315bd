"""Shell: `Postman`, the thread that takes events from the bus and delivers them.

The bus hands an event over and goes on; all else - names, files, signatures, HTTP - happens in this thread, in an
event loop of its own, so that neither a slow disk nor a slow receiver is ever in the way of a packet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from random import Random
from traceback import format_tb
from typing import Any

from msgspec import Raw

from media.events.bus import Told
from media.throttle import ThrottledLog
from media.webhooks.envelope import Selection, body_of, data_of, without_password
from media.webhooks.outbox import Delivery, Outbox, Outcome, RetryPolicy
from media.webhooks.posting import Answer, Poster
from media.webhooks.signing import Signer
from media.webhooks.spool import Kept, Memory, Record
from strep.clock import NEVER_NS, NS_PER_SECOND, Clock

_LOG = logging.getLogger("strep.webhooks")
MAX_WAITING = 100_000
"""Events that may wait for the thread; it takes tens of microseconds for each, unless the disk is stuck."""
ADOPT_INTERVAL_NS = 10 * NS_PER_SECOND
"""How often to look whether another process has died and left deliveries."""
GRACE_NS = 5 * NS_PER_SECOND
"""How long the end of the server waits for deliveries."""
STOP_TIMEOUT_S = 10.0
"""And for the thread, whose disk may be stuck."""
RESTART_S = 1.0
"""Between a mistake of ours and going on."""


class Postman:
    """Delivers events to URLs.

    Attributes:
        overflowed: events that came faster than the thread took them.
        failed: events that could not be put into words.
        orphaned: deliveries left behind by other processes for receivers that are not configured; they stay.
    """

    def __init__(
        self,
        urls: tuple[str, ...],
        clock: Clock,
        *,
        make_poster: Callable[[], Poster],
        wanted: Selection,
        store: Memory,
        max_bytes: int,
        policy: RetryPolicy,
        signer: Signer | None = None,
        random: Random | None = None,
    ) -> None:
        """Prepare; nothing is delivered before `start`.

        Args:
            urls: of the receivers.
            clock: the machine's.
            make_poster: called in the thread's event loop.
            wanted: which events are delivered.
            store: where deliveries are kept until they are over.
            max_bytes: of what is kept; beyond it the oldest are dropped.
            policy: how long and how often to try.
            signer: signs; None sends without signatures.
            random: of the jitter.
        """
        self.overflowed = self.failed = self.orphaned = 0
        self._urls, self._clock, self._make_poster = urls, clock, make_poster
        self._wanted, self._store, self._max_bytes = wanted, store, max_bytes
        self._signer, self._max_age_ns = signer, policy.max_age_ns
        self._outbox = Outbox(policy, random or Random())
        self._inbox: deque[Told] = deque()
        self._lock = threading.Lock()  # of the inbox
        self._books = threading.Lock()  # of the outbox, held for moments
        self._stopping = threading.Event()
        self._next_adoption_ns = 0
        self._wake: Callable[[], None] = lambda: None
        self._trouble = ThrottledLog(_LOG, clock)
        self._troubled: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    # -- from other threads --------------------------------------------------------------------------

    def put(self, told: Told) -> None:
        """Subscribe to the event bus: queue an event, without waiting."""
        with self._lock:
            if len(self._inbox) >= MAX_WAITING:
                self._inbox.popleft()
                self.overflowed += 1
            self._inbox.append(told)
            if len(self._inbox) == 1:
                self._wake()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Deliver what can be delivered within `GRACE_NS`, and end; wait for that."""
        with self._lock:
            self._stopping.set()
            self._wake()
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT_S)
            if self._thread.is_alive():
                _LOG.error("webhooks: the thread does not end; is the disk of the spool stuck?")

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        with self._books:
            books = self._outbox.snapshot(self._clock.now_ns())
        return {
            **books,
            "overflowed": self.overflowed,
            "failed": self.failed,
            "orphaned": self.orphaned,
            "store_errors": self._store.errors,
        }

    # -- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                asyncio.run(self._work())
                break
            except Exception:
                _LOG.exception("webhooks: a mistake of ours; it goes on")
            if self._stopping.wait(RESTART_S):
                break
        self._store.close()
        self._say_what_is_left()

    async def _work(self) -> None:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: this thread has ended
                loop.call_soon_threadsafe(changed.set)

        with self._lock:
            self._wake = wake
        poster = self._make_poster()
        tasks: set[asyncio.Task[None]] = set()

        def settle(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            changed.set()

        until_ns = NEVER_NS
        try:
            while True:
                changed.clear()
                if self._stopping.is_set():
                    until_ns = min(until_ns, self._clock.now_ns() + GRACE_NS)
                for delivery in self._step():
                    task = loop.create_task(self._deliver(poster, delivery))
                    tasks.add(task)
                    task.add_done_callback(settle)
                now_ns, due_ns = self._clock.now_ns(), self._outbox.deadline()
                if now_ns >= until_ns or (self._stopping.is_set() and not tasks and due_ns > until_ns):
                    break
                wait_ns = min(due_ns, until_ns, self._next_adoption_ns) - now_ns
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_ns / NS_PER_SECOND):
                        await changed.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await poster.close()

    def _step(self) -> list[Delivery]:
        """Take what has come, and return what is to be sent; the whole of the thread's work but the sending."""
        now_ns = self._clock.now_ns()
        news: list[Kept] = []
        if now_ns >= self._next_adoption_ns:
            self._next_adoption_ns = now_ns + ADOPT_INTERVAL_NS
            news += self._adopted()
        with self._lock:
            batch = list(self._inbox)
            self._inbox.clear()
        for told in batch:
            news += self._kept(told)
        deliveries = list(self._deliveries(news, now_ns))
        with self._books:
            self._outbox.receive(deliveries, now_ns)
            old, surplus = self._outbox.expire(now_ns), self._outbox.drop_oldest(self._max_bytes)
            due = self._outbox.poll(now_ns)
        for gone, why in ((old, "too old and given up"), (surplus, "dropped: too many wait (--webhook-backlog)")):
            for delivery in gone:
                self._store.remove(delivery.key)
                self._complain(delivery, why)
        return due

    def _kept(self, told: Told) -> Iterable[Kept]:
        try:
            data = data_of(told, self._wanted)
        except Exception as error:  # an event of somebody else's making
            self.failed += 1
            self._trouble.warning(f"event {told.event.NAME} is no webhook: {error!r}", exc_info=error)
            return
        if data is None:
            return
        for url in self._urls:
            yield self._store.put(Record(url, told.call.call_id, told.occurred_at_ns, Raw(data)))

    def _adopted(self) -> Iterable[Kept]:
        """Take over what others left behind; what is for receivers that are not configured stays there."""
        orphans = Counter[str]()
        for kept in self._store.adopt():
            url = kept.record.url
            if url in self._urls:
                yield kept
            elif self._clock.wall_ns() - kept.record.born_wall_ns > self._max_age_ns:
                self._store.remove(kept.key)
            else:
                orphans[url] += 1
        for url, count in orphans.items():
            self.orphaned += count
            _LOG.warning(
                "webhooks: %d deliveries in the spool are for %s, which is no --webhook now; they stay until they are"
                " too old, and are delivered if it is one again",
                count,
                shown(url),
            )

    def _deliveries(self, kept: Iterable[Kept], now_ns: int) -> Iterable[Delivery]:
        wall_ns = self._clock.wall_ns()
        for key, size_bytes, record in kept:
            born_ns = now_ns - max(wall_ns - record.born_wall_ns, 0)
            yield Delivery(record.url, record.call_id, key, born_ns, size_bytes)

    async def _deliver(self, poster: Poster, delivery: Delivery) -> None:
        try:
            answer = await self._post(poster, delivery)
        except asyncio.CancelledError:  # whoever goes on sends it again
            with self._books:
                self._outbox.settle(delivery, Outcome.UNREACHABLE, self._clock.now_ns())
            raise
        except KeyError:  # the disk does not give it back
            answer = Answer(Outcome.REFUSED, detail="its file cannot be read")
        except Exception as error:
            name, places = type(error).__name__, "".join(format_tb(error.__traceback__))
            self._trouble.warning(f"webhooks: posting failed: {name}\n{places}")  # its text may have the URL
            answer = Answer(Outcome.FAILED, detail=name)
        with self._books:
            is_over = self._outbox.settle(delivery, answer.outcome, self._clock.now_ns(), answer.retry_after_ns)
        if is_over:
            self._store.remove(delivery.key)
        self._note(delivery, answer, is_over=is_over)

    async def _post(self, poster: Poster, delivery: Delivery) -> Answer:
        data, wall_ns = self._store.get(delivery.key).data, self._clock.wall_ns()
        body = body_of(bytes(data), delivery.attempt, delivery.url)
        headers = self._signer.headers(body, wall_ns // NS_PER_SECOND) if self._signer else {}
        return await poster.post(delivery.url, headers, body, wall_ns)

    # -- saying so -----------------------------------------------------------------------------------

    def _note(self, delivery: Delivery, answer: Answer, *, is_over: bool) -> None:
        """Say when a receiver's trouble begins and when it is over."""
        url = delivery.url
        if answer.outcome is Outcome.TAKEN:
            if url in self._troubled:
                self._troubled.discard(url)
                _LOG.info("webhooks: %s takes events again", shown(url))
        elif is_over:
            self._complain(delivery, f"not taken ({answer.detail}) and given up")
        elif url not in self._troubled:
            self._troubled.add(url)
            _LOG.warning("webhooks: %s does not take events (%s); they wait", shown(url), answer.detail)

    def _complain(self, delivery: Delivery, text: str) -> None:
        self._trouble.warning(f"webhooks: call {delivery.call_id}: an event for {shown(delivery.url)} is {text}")

    def _say_what_is_left(self) -> None:
        left, lost = len(self._outbox), self._store.in_memory
        if lost:
            why = "--webhook-spool keeps them" if type(self._store) is Memory else "the disk did not take them"
            _LOG.warning("webhooks: %d deliveries are lost with this process; %s", lost, why)
        if left > lost:
            _LOG.info("webhooks: %d deliveries stay in the spool for the next start", left - lost)


def shown(url: str) -> str:
    """Return a URL for logs: without a password and without its query, which may be one."""
    return without_password(url).partition("?")[0]
