"""A course for media streams: one load, its sender, and a server at a time that is measured under it and judged."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec

from benchmarks.child import Child, ChildError
from benchmarks.receiver import Mark
from benchmarks.referee import limited
from benchmarks.websocket_frames import StreamLoad
from benchmarks.websocket_referee import StreamTruth, check
from strep.clock import NS_PER_SECOND

_POLL_S = 0.05
_FINISH_TIMEOUT_S = 120.0


class StreamRun(msgspec.Struct, frozen=True):
    """One contender, once, under one load; of one that died there is nothing but the complaint."""

    contender: str
    calls: int
    repeat: int
    sent: int = 0
    """Media frames."""
    received: int = 0
    offered_per_s: float = 0.0
    """Media frames, on the plateau."""
    received_per_s: float = 0.0
    """On the plateau."""
    cpu_ns: float = 0.0
    """Processor time per received media frame, on the plateau: every call is open, none begins or ends."""
    whole_ns: float = 0.0
    """The same from before the first connection until everything is finished: for recordings, all files closed."""
    threads_ns: dict[str, float] = {}
    """`cpu_ns` by thread."""
    busy: float = 0.0
    """Processor time per wall time on the plateau: 1 is a core."""
    lateness_ms: dict[str, float] = {}
    """Of the sender on the plateau, against each frame's deadline: p50_ms, p99_ms, max_ms."""
    lag_ms: dict[str, float] = {}
    """From a ping to its pong on the plateau, one per call and second: p50, p99, max."""
    stalled: int = 0
    """Frames that had to wait because their socket was full: the server had not read for long."""
    pinned: bool = False
    referee_ns: float = 0.0
    complaints: list[str] = []
    """What the referee found; a run with complaints does not count."""

    @property
    def received_share(self) -> float:
        """Of what was offered on the plateau: what is missing was taken later, or lost."""
        return min(self.received_per_s / self.offered_per_s, 1.0) if self.offered_per_s else 0.0


class StreamCourse:
    """A load, its sender, and the truth about it."""

    def __init__(self, load: StreamLoad, scratch: Path) -> None:
        """Start the sender, which takes a few seconds to write all frames."""
        self.load = load
        self._scratch = scratch
        log = scratch / f"sender-{load.calls}.log"
        self._sender = Child("benchmarks.websocket_load", msgspec.json.encode(load).decode(), log=log)
        self.truth = StreamTruth(load.plan())
        self._sender.answer(300)

    def close(self) -> None:
        """End the sender."""
        self._sender.close()

    def run(self, contender: str, repeat: int) -> StreamRun:
        """Measure one contender once, and let the referee look at what it left."""
        directory = Path(mkdtemp(prefix=f"{contender}-", dir=self._scratch))
        log = self._scratch / f"{directory.name}.log"
        server = Child("benchmarks.websocket_receiver", contender, str(directory), log=log)
        try:
            return self._run(server, directory, StreamRun(contender, self.load.calls, repeat))
        except ChildError as error:
            return StreamRun(contender, self.load.calls, repeat, complaints=[str(error)])
        finally:
            server.close()
            shutil.rmtree(directory, ignore_errors=True)

    def _run(self, server: Child, directory: Path, run: StreamRun) -> StreamRun:
        ready = server.answer()
        begin = _mark(server)
        started_ns = int(self._sender.ask("send", port=ready["port"])["started_ns"])
        first, last = (self._mark_at(server, started_ns + offset_ns) for offset_ns in self.load.plateau_ns)
        sent = self._sender.answer(self.load.ramp_seconds + _FINISH_TIMEOUT_S)
        end = _when_still(server)
        server.tell("stop")
        finished = msgspec.convert(server.answer(_FINISH_TIMEOUT_S), Mark)
        evidence = server.answer(_FINISH_TIMEOUT_S)
        complaints = [*_connections(sent), *check(self.truth, run.contender, evidence, directory)]
        frames, wall_ns = last.received - first.received, last.now_ns - first.now_ns
        return msgspec.structs.replace(
            run,
            sent=sent["sent"],
            received=end.received,
            offered_per_s=sent["plateau_per_s"],
            received_per_s=frames * NS_PER_SECOND / wall_ns,
            cpu_ns=_ratio(last.cpu_ns - first.cpu_ns, frames),
            whole_ns=_ratio(finished.cpu_ns - begin.cpu_ns, end.received),
            threads_ns={name: _ratio(ns, frames) for name, ns in _threads(first, last).items()},
            busy=(last.cpu_ns - first.cpu_ns) / wall_ns,
            lateness_ms=sent["lateness"],
            lag_ms=sent["lag_ms"],
            stalled=sent["stalled"],
            pinned=ready["pinned"],
            referee_ns=evidence.get("referee_ns", 0.0),
            complaints=limited(iter(complaints)),
        )

    def _mark_at(self, server: Child, moment_ns: int) -> Mark:
        time.sleep(max(moment_ns - time.monotonic_ns(), 0) / NS_PER_SECOND)
        return _mark(server)


def _mark(server: Child) -> Mark:
    return msgspec.convert(server.ask("mark"), Mark)


def _when_still(server: Child) -> Mark:
    """Return the mark at which the last frame had been taken: nobody sends any more, and the count stands still."""
    mark = _mark(server)
    while True:
        time.sleep(_POLL_S)
        again = _mark(server)
        if again.received == mark.received:
            return again
        mark = again


def _threads(first: Mark, last: Mark) -> dict[str, int]:
    return {name: ns - first.threads_ns.get(name, 0) for name, ns in last.threads_ns.items() if name != "meter"}


def _connections(sent: dict[str, Any]) -> list[str]:
    found = []
    if sent["closed_early"] or sent["left_open"]:
        found.append(f"{sent['closed_early']} connections broke, {sent['left_open']} were not closed by the server")
    if sent["pongs"] != sent["pings"]:
        found.append(f"{sent['pings']} pings were sent, {sent['pongs']} pongs came back")
    return found


def _ratio(amount: float, of: float) -> float:
    return amount / of if of else 0.0
