"""`TakesSink`: records takes, among all calls those that somebody ordered one of.

Orders come from the event loop at any time and are obeyed with the next batch; where a take begins and ends says the
order, in samples, so it does not matter how far this sink is behind. A call without a take costs it nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from media.blocks import PcmBatch
from media.sealing.keys import Recipients
from media.sinks.contract import CallInfo, CallReport, recorder_options
from media.sinks.dozing import Doze
from media.sinks.finisher import Finisher, hand_over
from media.sinks.notes import Wish
from media.sinks.recorded_call import RecordedCall, Trouble
from media.sinks.takes.recent import Recent
from media.sinks.takes.running import Order, RunningTake
from media.sinks.wav import Encoding
from strep.clock import NS_PER_SECOND, Clock

_LOG = logging.getLogger(__name__)
NEVER_COMES_NS = 5 * NS_PER_SECOND
"""A call's start is in the queue before anybody can order a take of it. If it is not here when audio comes that was
released so much later, it was dropped."""


@dataclass(frozen=True, slots=True)
class Stop:
    """That a take is to end at a position of its call."""

    recording_id: str
    end_samples: int


class TakesSink:
    """Writes ``<directory>/<call_id>.<name>.wav`` and ``.json`` for every take.

    Attributes:
        look_back_s: how far a take may look back.
        recipients: for whom they are sealed.
        started, ended: takes; the difference is what goes on.
    """

    def __init__(
        self,
        directory: Path,
        finisher: Finisher,
        clock: Clock,
        look_back_s: float = 0.0,
        recipients: Recipients = (),
    ) -> None:
        """Prepare; the directory is made with the first take.

        Args:
            directory: where the files go.
            finisher: what gets those that are closed.
            clock: for header times.
            look_back_s: how much of all calls to keep for takes that look back; see `Recent`.
            recipients: for whom to seal them; nobody: they are in clear.
        """
        self.recipients = recipients
        self.options = recorder_options("takes", 256 << 20)
        self.look_back_s = look_back_s
        self.started = self.ended = 0
        self._directory, self._finisher, self._clock = directory, finisher, clock
        self._trouble = Trouble()
        self._commands: deque[Order | Stop] = deque()
        self._doze = Doze(is_idle=not look_back_s)
        self._early: list[Order | Stop] = []  # of calls that this thread has not heard of yet
        self._heard_ns = 0  # when what has come so far was released
        self._recent = Recent(look_back_s)
        self._live: dict[int, CallInfo] = {}
        self._takes: dict[int, list[RunningTake]] = {}

    def order(self, command: Order | Stop) -> None:
        """Begin or end a take soon; from any thread."""
        with self._doze.waking():
            self._commands.append(command)

    @property
    def is_idle(self) -> bool:
        """See `media.sinks.dozing`."""
        return self._doze.is_idle

    def call_started(self, call: CallInfo) -> None:
        """Know the call."""
        self._live[call.index] = call
        self._recent.begin(call.index)

    def receive(self, batch: PcmBatch) -> None:
        """Obey what was ordered, write what is wanted of the batch, and finish what is over."""
        self._heard_ns = batch.now_ns
        self._obey(batch.now_ns)
        if batch.follows_dropped:
            for take in self._running():
                take.expect_a_hole()
        if self._takes and len(batch):
            chosen = np.isin(batch.call, np.fromiter(self._takes, np.int32, len(self._takes)))
            if chosen.any():
                for index, takes in self._takes.items():
                    self._give(takes, batch.take(chosen & (batch.call == index)))
        self._recent.add(batch)
        for take in list(self._running()):
            if take.is_over(batch.now_ns):
                self._finish(take, batch.now_ns)
            else:
                take.sweep(batch.now_ns)
        self._doze.look(lambda: self._commands or self._early or self._takes or self.look_back_s)

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        """Finish the call's takes: they end with it."""
        now_ns = self._clock.now_ns()
        self._obey(now_ns)
        for take in self._takes.get(call.index, [])[:]:
            self._finish(take, now_ns, report.length_samples)
        self._live.pop(call.index, None)
        self._recent.end(call.index)

    def close(self) -> None:
        """Finish what goes on; tell those who ordered a take of a call that never came."""
        now_ns = self._clock.now_ns()
        self._obey(now_ns)
        for take in list(self._running()):
            self._finish(take, now_ns)
        for command in self._early:
            if isinstance(command, Order):
                self._refuse(command, "the server ended before the recording could begin")

    def snapshot(self) -> dict[str, Any]:
        """Return counters."""
        return {
            "started": self.started,
            "ended": self.ended,
            "failed": self._trouble.recordings,
            "sidecar_errors": self._trouble.sidecars,
            "look_back_bytes": self._recent.size_bytes,
        }

    def _running(self) -> Iterator[RunningTake]:
        for takes in self._takes.values():
            yield from takes

    def _obey(self, now_ns: int) -> None:
        if not self._commands and not self._early:
            return
        commands, self._early = self._early, []
        while self._commands:
            commands.append(self._commands.popleft())
        for command in commands:
            if isinstance(command, Stop):
                self._stop(command)
            elif self._live.get(command.call.index) is command.call:
                self._begin(command, now_ns)
            elif self._heard_ns - command.begun_ns > NEVER_COMES_NS:
                self._refuse(command, "the recorder fell behind, and never heard of the call")
            else:
                self._early.append(command)

    def _begin(self, order: Order, now_ns: int) -> None:
        self.started += 1
        recording = RecordedCall(
            order.call,
            self._directory,
            Encoding.PCM16,
            self._trouble,
            self._clock,
            order.describe(),
            order.recording_id,
            self._wish(order),
            self.recipients,
        )
        take = RunningTake(order, recording)
        index = order.call.index
        self._takes.setdefault(index, []).append(take)
        for batch in self._recent.of(index):
            if batch.follows_dropped:
                take.expect_a_hole()
            self._give([take], batch)

    def _stop(self, command: Stop) -> None:
        for take in self._running():
            if take.order.recording_id == command.recording_id:
                take.stop_at(command.end_samples, "stop")
                return
        if any(isinstance(order, Order) and order.recording_id == command.recording_id for order in self._early):
            self._early.append(command)  # else it is over already

    def _give(self, takes: list[RunningTake], rows: PcmBatch) -> None:
        for _, channel, position, pcm in rows.pieces():
            for take in takes:
                take.receive(channel, position, pcm, rows.now_ns, late=rows.late)

    def _finish(self, take: RunningTake, now_ns: int, call_end: int | None = None) -> None:
        order, index = take.order, take.order.call.index
        self._takes[index].remove(take)
        if not self._takes[index]:
            del self._takes[index]
        self.ended += 1
        take.finish(now_ns, call_end, self._wish(order))
        if take.recording.closed() is None:
            self._refuse(order, take.recording.error or "there is no file")
        else:
            wishes = _wishes(order)
            hand_over(take.recording, self._finisher, single=order.options.single, saved=order.saved, wishes=wishes)

    def _wish(self, order: Order) -> Wish:
        return self._finisher.wish(order.options.single, **_wishes(order))

    def _refuse(self, order: Order, error: str) -> None:
        self._finisher.give_up(order.call, order.recording_id, error, is_take=True)
        order.failed(error)


def _wishes(order: Order) -> dict[str, Any]:
    return {"trim_silence": order.options.trim_silence, "format": order.options.format}
