"""A course: one load, its sender, and a receiver at a time that is measured under it and judged."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import msgspec

from benchmarks.ages import latency_of
from benchmarks.child import Child, ChildError
from benchmarks.contenders import OURS, RECORDING, WRITING
from benchmarks.kernel import queue
from benchmarks.load import Load
from benchmarks.receiver import OBSERVED, WORKERS, Mark
from benchmarks.recordings import check_recordings, check_server
from benchmarks.referee import Truth, check_decoded, check_floor, limited
from benchmarks.results import Conditions, Run
from benchmarks.written import check_written
from strep.clock import NS_PER_SECOND

Watch = Callable[[Child, int, int], None]
"""Called several times a second with the receiver, its port, and the time since the first packet in ns."""

_POLL_S = 0.02
_WATCH_S = 0.25
_FINISH_TIMEOUT_S = 120.0


class Course:
    """A load, its sender, and the truth about it."""

    def __init__(self, load: Load, scratch: Path) -> None:
        """Start the sender, which takes a few seconds to write all datagrams."""
        self.load = load
        self._scratch = scratch
        self._sender = Child(
            "benchmarks.load", msgspec.json.encode(load).decode(), log=scratch / f"sender-{load.legs}.log"
        )
        self.truth = Truth(load.steady())
        self.datagrams = int(self._sender.answer(300)["datagrams"])

    def close(self) -> None:
        """End the sender."""
        self._sender.close()

    def run(
        self, contender: str, repeat: int, options: str = "{}", *, idle_seconds: float = 0, watch: Watch | None = None
    ) -> Run:
        """Measure one contender once, and let the referee look at what it left.

        Args:
            contender: one of `CONTENDERS`, `OBSERVED` or `WORKERS`.
            repeat: number, for the report.
            options: of the last two, see there.
            idle_seconds: wait so long before the first packet, and measure that.
            watch: called while packets are sent.
        """
        directory = Path(mkdtemp(prefix=f"{contender}-", dir=self._scratch))
        log = self._scratch / f"{directory.name}.log"
        receiver = Child("benchmarks.receiver", contender, str(directory), options, log=log)
        try:
            return self._run(receiver, directory, Run(contender, self.load.legs, repeat), idle_seconds, watch)
        except ChildError as error:
            return Run(contender, self.load.legs, repeat, complaints=[str(error)])
        finally:
            receiver.close()
            shutil.rmtree(directory, ignore_errors=True)

    def _run(self, receiver: Child, directory: Path, run: Run, idle_seconds: float, watch: Watch | None) -> Run:
        ready = receiver.answer()
        port, contender = int(ready["port"]), run.contender
        idle_share = _idle(receiver, idle_seconds) if idle_seconds else None
        begin = _mark(receiver.ask("mark"))
        if contender == "prefilled":
            sent, first, last = self._fill_repeatedly(receiver, port, ready["buffer_bytes"]), begin, begin
        else:
            sent, first, last = self._send(receiver, port, watch)
        end = _when_empty(receiver, port)
        kernel_drops = queue(port).drops
        receiver.tell("stop")
        finished = _mark(receiver.answer(_FINISH_TIMEOUT_S))
        evidence = receiver.answer(_FINISH_TIMEOUT_S)
        conditions = msgspec.convert(ready, Conditions)
        run = _figures(run, conditions, Marks(begin, first, last, end, finished), sent)
        complaints = limited(self._judge(contender, evidence, sent["sent"], kernel_drops, directory))
        run = msgspec.structs.replace(
            run,
            kernel_drops=kernel_drops,
            referee_ns=evidence.get("referee_ns", 0.0),
            idle_share=idle_share,
            workers=evidence.get("workers", []),
            latency=latency_of(Path(evidence["ages"]), first.now_ns, last.now_ns) if "ages" in evidence else None,
            complaints=complaints,
        )
        return _prefilled_figures(run, evidence) if contender == "prefilled" else run

    def _send(self, receiver: Child, port: int, watch: Watch | None) -> tuple[dict[str, Any], Mark, Mark]:
        """Send everything in real time; read the meter at both ends of the plateau as well."""
        load = self.load
        started_ns = int(self._sender.ask("send", port=port)["started_ns"])
        moments = [started_ns + offset_ns for offset_ns in load.plateau_ns]
        marks: list[Mark] = []
        while not self._sender.has_answer(0):
            wait_s = (moments[len(marks)] - time.monotonic_ns()) / NS_PER_SECOND if len(marks) < 2 else _WATCH_S
            time.sleep(min(max(wait_s, 0), _WATCH_S))
            if len(marks) < 2 and time.monotonic_ns() >= moments[len(marks)]:
                marks.append(_mark(receiver.ask("mark")))
            elif watch is not None:
                watch(receiver, port, time.monotonic_ns() - started_ns)
        while len(marks) < 2:
            marks.append(_mark(receiver.ask("mark")))
        return self._sender.answer(60), marks[0], marks[1]

    def _fill_repeatedly(self, receiver: Child, port: int, buffer_bytes: int) -> dict[str, Any]:
        """Send bursts that fit the queue, each after the one before was read."""
        # A datagram of 196 bytes takes some 830 of the kernel's memory, of which it gives twice what was asked for.
        burst = min(max(2 * buffer_bytes // 1024, 1), 32_768)
        sent = 0
        while sent < self.datagrams:
            sent = self._sender.ask("burst", port=port, start=sent, count=burst)["next"]
            _when_empty(receiver, port)
        return {"sent": sent, "plateau_per_s": 0.0, "lateness": {}}

    def _judge(
        self, contender: str, evidence: dict[str, Any], sent: int, kernel_drops: int, directory: Path
    ) -> Iterator[str]:
        if contender in (*RECORDING, OBSERVED, WORKERS):
            yield from check_server(self.truth, evidence, kernel_drops)
            yield from check_recordings(self.truth, directory, contender if contender in RECORDING else OURS)
        elif contender in ("floor", "prefilled"):
            yield from check_floor(self.truth, evidence, sent, kernel_drops)
        elif contender in WRITING:
            yield from check_written(self.truth, directory, sent, kernel_drops)
        else:
            yield from check_decoded(self.truth, evidence, sent, kernel_drops)


class Marks(NamedTuple):
    """The meter before the first packet, at both ends of the plateau, after the last packet, after everything."""

    begin: Mark
    first: Mark
    last: Mark
    end: Mark
    finished: Mark


class _Span(NamedTuple):
    first: Mark
    last: Mark

    @property
    def packets(self) -> int:
        return self.last.received - self.first.received

    @property
    def cpu_ns(self) -> int:
        return self.last.cpu_ns - self.first.cpu_ns

    def threads_ns(self) -> dict[str, int]:
        """Return processor time by thread, without the meter's own."""
        before, after = self.first.threads_ns, self.last.threads_ns
        return {name: ns - before.get(name, 0) for name, ns in after.items() if name != "meter"}


def _idle(receiver: Child, seconds: float) -> float:
    """Return processor time per wall time of a receiver to which nothing is sent, a second after its start."""
    time.sleep(1)
    before = _mark(receiver.ask("mark"))
    time.sleep(seconds)
    after = _mark(receiver.ask("mark"))
    return (after.cpu_ns - before.cpu_ns) / (after.now_ns - before.now_ns)


def _mark(answer: dict[str, Any]) -> Mark:
    return msgspec.convert(answer, Mark)


def _when_empty(receiver: Child, port: int) -> Mark:
    """Return the mark at which the last datagram had been read: queue empty, and the count stands still."""
    mark = _mark(receiver.ask("mark"))
    while True:
        was_empty = queue(port).waiting_bytes == 0
        time.sleep(_POLL_S)
        again = _mark(receiver.ask("mark"))
        if was_empty and again.received == mark.received:
            return mark
        mark = again


def _figures(run: Run, conditions: Conditions, marks: Marks, sent: dict[str, Any]) -> Run:
    plateau = _Span(marks.first, marks.last)
    return msgspec.structs.replace(
        run,
        sent=sent["sent"],
        received=marks.end.received,
        offered_per_s=sent["plateau_per_s"],
        received_per_s=_ratio(plateau.packets * NS_PER_SECOND, plateau.last.now_ns - plateau.first.now_ns),
        cpu_ns=_ratio(plateau.cpu_ns, plateau.packets),
        between_ns=_ratio(_Span(marks.begin, marks.end).cpu_ns, marks.end.received),
        whole_ns=_ratio(_Span(marks.begin, marks.finished).cpu_ns, marks.end.received),
        threads_ns={name: _ratio(ns, plateau.packets) for name, ns in plateau.threads_ns().items()},
        lateness_ms=sent["lateness"],
        conditions=conditions,
    )


def _prefilled_figures(run: Run, evidence: dict[str, Any]) -> Run:
    """Return the run with the times of draining alone; the process also waits for the queue to fill."""
    cpu_ns = _ratio(evidence["drain_cpu_ns"], run.received)
    rate = _ratio(run.received * 1e9, evidence["drain_wall_ns"])
    return msgspec.structs.replace(
        run,
        received_per_s=rate,
        offered_per_s=rate,
        cpu_ns=cpu_ns,
        between_ns=cpu_ns,
        whole_ns=cpu_ns,
        threads_ns={"MainThread": cpu_ns},
    )


def _ratio(amount: float, of: float) -> float:
    return amount / of if of else 0.0
