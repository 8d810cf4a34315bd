"""Can one core offer 100,000 media frames a second over 1,000 WebSockets? This sender does.

All frames are masked and laid out beforehand (`benchmarks.websocket_frames`), and each is written by a call of
``send(2)`` of its own at its absolute deadline, so the server gets them one by one, as it would from a carrier. Every
call dials a little before its first frame, and once a second sends a ping: the time until its pong is how far the
server lags behind what was sent to it.

As a program it is the process on the other core; see `benchmarks.child` for how it is spoken to.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.child import answer
from benchmarks.kernel import SENDER_CPU, pin
from benchmarks.websocket_client import Client
from benchmarks.websocket_frames import Frames, StreamLoad
from media.carrier.pacing import Lateness
from strep.clock import NS_PER_MS, NS_PER_SECOND

_DIAL_AHEAD_NS = 250 * NS_PER_MS
_PING_EVERY_NS = NS_PER_SECOND
_REST_S = 0.0003
"""Slept beyond the next deadline, so that waking up is worth it."""
_BATCH = 64
"""Frames between two looks at what the servers say."""
_CLOSING_S = 30.0


class Sender:
    """All calls of a plan; each `send` is a run of its own."""

    def __init__(self, load: StreamLoad) -> None:
        """Write all frames."""
        self._load = load
        self._frames = Frames(load.plan())
        self._data = memoryview(self._frames.data.data)
        dials = [(ns - _DIAL_AHEAD_NS, 0, call) for call, ns in enumerate(self._frames.begin_ns)]
        ends = [(ns, 2, call) for call, ns in enumerate(self._frames.end_ns)]
        pings = [
            (ns, 1, call)
            for call, (begin, end) in enumerate(zip(self._frames.begin_ns, self._frames.end_ns, strict=True))
            # Not all at the same moment: the call's number spreads them.
            for ns in range(begin + call * 7_919_000 % _PING_EVERY_NS, end, _PING_EVERY_NS)
        ]
        self._errands = sorted(dials + pings + ends)
        """(when, 0 dial, 1 ping or 2 say goodbye, call)."""

    def __len__(self) -> int:
        """Return the number of media frames."""
        return len(self._frames)

    def send(self, port: int, started: Callable[[int], None]) -> dict[str, Any]:
        """Send everything; `started` is told the monotonic moment of the first call's beginning, ahead of it."""
        return _Run(self._load, self._frames, self._data, self._errands, port).send(started)


class _Run:
    def __init__(
        self, load: StreamLoad, frames: Frames, data: memoryview, errands: list[tuple[int, int, int]], port: int
    ) -> None:
        self._load, self._frames, self._data, self._errands, self._port = load, frames, data, errands, port
        self._clients: list[Client] = []
        self._poll = select.epoll()
        self._by_descriptor: dict[int, Client] = {}
        self._started_ns = time.monotonic_ns() + _DIAL_AHEAD_NS + 50 * NS_PER_MS
        self._lateness = Lateness()
        self._edges_ns, self._sent_by = load.plateau_ns, [0, 0]
        self._next_errand = 0
        self._closed_early = 0
        self._stuck: set[Client] = set()

    def send(self, started: Callable[[int], None]) -> dict[str, Any]:
        started(self._started_ns)
        times_ns, sent = self._frames.times_ns, 0
        while sent < len(times_ns):
            now_ns = time.monotonic_ns() - self._started_ns
            self._run_errands(min(now_ns, int(times_ns[sent])))  # in order with the frames, however late
            self._listen(0)
            due = int(np.searchsorted(times_ns, now_ns, side="right"))
            if due == sent:
                next_ns = min(int(times_ns[sent]), self._errand_ns())
                time.sleep(max(next_ns - now_ns, 0) / NS_PER_SECOND + _REST_S)
                continue
            stop = min(due, sent + _BATCH)
            self._send(sent, stop)
            after_ns = time.monotonic_ns() - self._started_ns
            self._record(times_ns[sent:stop], after_ns)
            sent = stop
            for edge, edge_ns in enumerate(self._edges_ns):
                if after_ns <= edge_ns:
                    self._sent_by[edge] = sent
        self._finish()
        return self._report(sent)

    def _send(self, start: int, stop: int) -> None:
        frames, data, clients = self._frames, self._data, self._clients
        rows = slice(start, stop)
        for call, begin, end in zip(
            frames.calls[rows].tolist(), frames.starts[rows].tolist(), frames.stops[rows].tolist(), strict=True
        ):
            clients[call].send(data[begin:end])

    def _record(self, due_ns: NDArray[np.int64], sent_ns: int) -> None:
        """Take note of how late frames of the plateau were."""
        first_ns, last_ns = self._edges_ns
        self._lateness.record(sent_ns - due_ns[(due_ns >= first_ns) & (due_ns < last_ns)])

    def _errand_ns(self) -> int:
        return self._errands[self._next_errand][0] if self._next_errand < len(self._errands) else sys.maxsize

    def _run_errands(self, now_ns: int) -> None:
        while self._errand_ns() <= now_ns:
            _, kind, call = self._errands[self._next_errand]
            self._next_errand += 1
            if kind == 0:
                self._dial(call)
            elif kind == 1:
                self._clients[call].ping()
            else:
                self._clients[call].send(self._frames.goodbye[call])

    def _dial(self, call: int) -> None:
        client = Client(self._port, self._frames.hello[call], self._stuck)
        self._clients.append(client)
        self._by_descriptor[client.fileno()] = client
        self._poll.register(client.fileno(), select.EPOLLIN)

    def _listen(self, timeout_s: float) -> None:
        for descriptor, _ in self._poll.poll(timeout_s):
            client = self._by_descriptor[descriptor]
            client.receive()
            if client.is_gone:
                self._poll.unregister(descriptor)
                self._closed_early += not client.said_close
        for client in list(self._stuck):
            client.flush()

    def _finish(self) -> None:
        """Say goodbye to all, and wait until all have answered it."""
        deadline = time.monotonic() + _CLOSING_S
        while time.monotonic() < deadline and not all(client.is_gone for client in self._clients):
            self._run_errands(time.monotonic_ns() - self._started_ns)
            self._listen(0.01)

    def _report(self, sent: int) -> dict[str, Any]:
        clients, (first_ns, last_ns) = self._clients, self._edges_ns
        lags_ns = [
            lag_ns
            for client in clients
            for sent_ns, lag_ns in client.lags_ns
            if first_ns <= sent_ns - self._started_ns < last_ns
        ]
        lags_ms = np.array(lags_ns or [0]) / NS_PER_MS
        left_open = sum(not client.is_gone for client in clients)
        for client in clients:
            client.close()
        self._poll.close()
        return {
            "sent": sent,
            "plateau_per_s": (self._sent_by[1] - self._sent_by[0]) * NS_PER_SECOND / (last_ns - first_ns),
            "lateness": self._lateness.summary(),
            "lag_ms": dict(zip(("p50", "p99", "max"), np.percentile(lags_ms, [50, 99, 100]).tolist(), strict=True)),
            "pings": sum(client.pings for client in clients),
            "pongs": sum(len(client.lags_ns) for client in clients),
            "stalled": sum(client.stalled for client in clients),
            "closed_early": self._closed_early,
            "left_open": left_open,
        }


def _say_started(started_ns: int) -> None:
    answer({"started_ns": started_ns})


def main() -> None:
    """Write the frames of the load in the argument, then send them as often as asked."""
    pin(SENDER_CPU)
    sender = Sender(msgspec.json.decode(sys.argv[1], type=StreamLoad))
    answer({"frames": len(sender)})
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line)
        answer(sender.send(request["port"], _say_started))


if __name__ == "__main__":
    main()
