"""`Desk`: the pools of all engines, and the thread that looks after them and writes transcripts.

The sink's thread calls the methods, which never wait for an engine or a disk; `step` is the whole of the thread's
work and needs no thread: tests call it.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from media.events.bus import EventBus
from media.events.kinds import Event
from media.sealing.keys import Recipients
from media.sinks.contract import CallInfo
from media.throttle import ThrottledLog
from media.transcribing.contract import Pcm
from media.transcribing.limits import Limits
from media.transcribing.plugins import EngineChoice
from media.transcribing.pool import Pool
from media.transcribing.process import EngineProcess
from media.transcribing.slots import Link
from media.transcribing.streams import Ended, Outcome, Stream
from media.transcribing.transcript import Transcript
from strep.clock import NS_PER_MS, NS_PER_SECOND, Clock
from strep.errors import UsageError

_LOG = logging.getLogger("strep.transcribing")
LONGEST_NAP_NS = NS_PER_SECOND
DISMISS_NS = NS_PER_SECOND
"""A worker that is dismissed is killed if it has not ended by then."""
_SURELY_IDLE_NS = NS_PER_SECOND
"""Who prepares an engine has opened a stream of it by then."""


class Desk:
    """See above.

    Attributes:
        unwritten: outcomes that could not be written into their files.
    """

    def __init__(
        self,
        limits: Limits,
        directory: Path | None,
        bus: EventBus,
        clock: Clock,
        start: Callable[[], Link] = EngineProcess,
        recipients: Recipients = (),
    ) -> None:
        """Write into `directory`, which exists, if there is one; `start` starts a worker; see `Transcript`."""
        self.unwritten = 0
        self._recipients = recipients
        self._limits, self._directory, self._bus, self._clock, self._start = limits, directory, bus, clock, start
        self._trouble = ThrottledLog(_LOG, clock)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()  # of everything below
        self._pools: dict[EngineChoice, Pool] = {}
        self._idle_from_ns: dict[EngineChoice, int] = {}  # of those that have no streams
        self._kept: set[EngineChoice] = set()  # those that are not dismissed though they have none
        self._retired: list[Pool] = []  # whose workers the thread will dismiss
        self._leaving: list[tuple[Link, int]] = []  # dismissed, and until when they are waited for
        self._outcomes: deque[Outcome] = deque()
        self._transcripts: dict[int, Transcript] = {}  # by the id() of a call, which they keep
        self._is_stopping = False
        self._sockets: tuple[socket.socket, socket.socket] | None = None  # what is written to one wakes up the other
        self._thread = threading.Thread(target=self._run, name="transcribing", daemon=True)

    # -- for the sink ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread; once."""
        self._sockets = socket.socketpair()
        for end in self._sockets:
            end.setblocking(False)
        self._thread.start()

    def warm(self, choice: EngineChoice) -> None:
        """Let the workers of an engine load it now, and not when the first call comes."""
        with self._lock:
            self._kept.add(choice)
            self._pool(choice).warm()
        self.wake()

    def prepare(self, choice: EngineChoice) -> None:
        """See that there is room for an engine, which is used within a moment; one that is idle makes way for it.

        Raises:
            UsageError: there are too many at a time.
        """
        now_ns = self._clock.now_ns()
        with self._lock:
            if choice not in self._pools and len(self._pools) >= self._limits.engines:
                idle = self._idle(now_ns - _SURELY_IDLE_NS)
                if not idle:
                    raise UsageError(
                        f"{len(self._pools)} engines are at work, each with options of its own, and more are not "
                        "started: use the same options for calls that can do with the same"
                    )
                self._retire(min(idle, key=self._idle_from_ns.__getitem__))
            self._pool(choice)

    def open(self, call: CallInfo, track: str, choice: EngineChoice, *, wants_partials: bool) -> Stream:
        """Begin with a track."""
        stream = Stream(next(self._numbers), call, track, choice.name, wants_partials)
        with self._lock:
            self._pool(choice).add(stream)
            known = self._transcripts.get(id(call))
            if known is None:
                known = self._transcripts[id(call)] = Transcript(
                    call, self._bus, self._directory, recipients=self._recipients
                )
            known.streams.append(stream)
        return stream

    def put(self, choice: EngineChoice, stream: Stream, position_samples: int, pcm: Pcm | None) -> None:
        """Take some speech of a stream, or None for its end; see `Pool.put`. Then `wake`."""
        with self._lock:
            self._outcomes += self._pools[choice].put(stream, position_samples, pcm, self._clock.now_ns())

    def close(self, choice: EngineChoice, stream: Stream) -> None:
        """Take note that nothing follows of a stream; see `Pool.close`."""
        with self._lock:
            self._pools[choice].close(stream, self._clock.now_ns())
        self.wake()

    def end(self, call: CallInfo, notes: Iterable[Event] = ()) -> None:
        """Take note that a call has ended; its streams are closed. `notes` are written behind what was said."""
        with self._lock:
            known = self._transcripts.get(id(call))
            if known is not None:
                known.has_ended, known.notes = True, tuple(notes)
        self.wake()

    def stop(self) -> None:
        """Wait for what is being closed, then end all workers and the thread."""
        with self._lock:
            for pool in self._pools.values():
                pool.close_all(self._clock.now_ns())
            self._is_stopping = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join()
        for end in self._sockets or ():
            end.close()

    def snapshot(self) -> dict[str, Any]:
        """Return counters of each engine, JSON values; see `Pool.snapshot`."""
        with self._lock:
            now_ns = self._clock.now_ns()
            engines = {str(choice): pool.snapshot(now_ns) for choice, pool in self._pools.items()}
            return {"calls": len(self._transcripts), "unwritten": self.unwritten, "engines": engines}

    def _pool(self, choice: EngineChoice) -> Pool:
        if choice not in self._pools:
            self._pools[choice] = Pool(choice, self._start, self._limits, self._clock)
            self._idle_from_ns[choice] = self._clock.now_ns()
        return self._pools[choice]

    def _idle(self, since_ns: int) -> list[EngineChoice]:
        return [
            choice
            for choice, from_ns in self._idle_from_ns.items()
            if from_ns <= since_ns and choice not in self._kept and not self._pools[choice].is_busy
        ]

    def _retire(self, choice: EngineChoice) -> None:
        del self._idle_from_ns[choice]
        self._retired.append(self._pools.pop(choice))

    def wake(self) -> None:
        """Let the thread look at what there is to do."""
        if self._sockets is not None:
            with contextlib.suppress(OSError):  # it has enough to wake up for, or is gone
                self._sockets[0].send(b"!")

    # -- of the thread -----------------------------------------------------------------------------------

    def step(self) -> int:
        """Do what there is to be done.

        Returns:
            When there is more to do though nobody says anything; negative: never again.
        """
        now_ns = self._clock.now_ns()
        with self._lock:
            for pool in self._pools.values():
                self._outcomes += pool.poll(now_ns)
            self._look_for_idle(now_ns)
            is_over = self._is_stopping and not any(pool.is_busy for pool in self._pools.values())
            if is_over:
                for pool in self._pools.values():
                    self._outcomes += pool.stop()
                self._retired += self._pools.values()
            self._leaving += [(link, now_ns + DISMISS_NS) for pool in self._retired for link in pool.dismiss()]
            self._retired.clear()
            outcomes, self._outcomes = self._outcomes, deque()
            deadline = min((pool.deadline() for pool in self._pools.values()), default=now_ns + LONGEST_NAP_NS)
        for outcome in outcomes:
            self._deliver(outcome)
        self._release()
        self._leaving = [one for one in self._leaving if not self._is_buried(*one, is_last=is_over)]
        return -1 if is_over else min(deadline, now_ns + LONGEST_NAP_NS)

    def _look_for_idle(self, now_ns: int) -> None:
        for choice, pool in self._pools.items():
            if pool.is_busy:
                self._idle_from_ns.pop(choice, None)
            else:
                self._idle_from_ns.setdefault(choice, now_ns)
        for choice in self._idle(now_ns - round(self._limits.idle_s * NS_PER_SECOND)):
            self._retire(choice)

    def _is_buried(self, link: Link, until_ns: int, *, is_last: bool) -> bool:
        """Take leave of a worker, unless that has time."""
        left_ns = max(until_ns - self._clock.now_ns(), 0)
        if left_ns and not is_last and link.end() is None:
            return False
        link.bury(left_ns / NS_PER_SECOND)
        return True

    def _deliver(self, outcome: Outcome) -> None:
        with self._lock:
            transcript = self._transcripts[id(outcome.stream.call)]
            if isinstance(outcome, Ended):
                transcript.streams.remove(outcome.stream)
                return
        try:
            transcript.take(outcome)
        except (OSError, UnicodeEncodeError) as error:
            self._failed(transcript, error)

    def _release(self) -> None:
        """Write the cues that may be written, and forget the calls that are over."""
        with self._lock:
            # Of one moment: what a stream says from here on lies behind where it is open from.
            concerned = [
                (transcript, {stream.number: stream.first_open_samples for stream in transcript.streams})
                for transcript in self._transcripts.values()
                if transcript.has_waiting or transcript.is_over
            ]
        for transcript, open_from in concerned:
            try:
                transcript.release(open_from)
                if transcript.is_over:
                    transcript.write(transcript.notes)
            except (OSError, UnicodeEncodeError) as error:
                self._failed(transcript, error)
            if transcript.is_over:
                with self._lock:
                    del self._transcripts[id(transcript.call)]

    def _failed(self, transcript: Transcript, error: Exception) -> None:
        self.unwritten += 1
        self._trouble.warning(f"transcript of call {transcript.call.call_id} is not written: {error}")

    def _run(self) -> None:
        while True:
            try:
                deadline = self.step()
            except Exception:  # a mistake of ours; what it was about is lost, the other calls go on
                _LOG.exception("transcribing failed")
                deadline = self._clock.now_ns() + LONGEST_NAP_NS
            if deadline < 0:
                return
            self._wait(max(deadline - self._clock.now_ns(), 0))

    def _wait(self, nap_ns: int) -> None:
        """Wait until somebody says something."""
        poller = select.poll()  # select() knows no descriptor beyond 1023
        assert self._sockets is not None
        woken = self._sockets[1]
        poller.register(woken, select.POLLIN)
        with self._lock:
            links = [link for pool in self._pools.values() for link in pool.links()]
        processes = [link for link in links if isinstance(link, EngineProcess)]
        for process in processes:
            poller.register(process.socket, select.POLLIN | (select.POLLOUT if process.has_unsent else 0))
        poller.poll(nap_ns / NS_PER_MS)
        for process in processes:
            process.flush()
        with contextlib.suppress(BlockingIOError):
            while woken.recv(4096):
                pass
