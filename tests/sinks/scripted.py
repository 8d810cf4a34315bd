"""Sinks that raise, hang or leave as a test has it, and the runner that replaces them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from media.blocks import PcmBatch
from media.events.kinds import Event
from media.sinks.contract import CallInfo, CallReport, SinkOptions, WhenBehind
from media.sinks.queue import CallStarted
from media.sinks.runner import SinkRunner
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from tests.sinks.rows import call_info

HANG_NS = 30 * NS_PER_SECOND
NEXT_BLOCK_NS = 100 * NS_PER_MS


@dataclass
class World:
    """A runner without a thread, all sinks that were made for it, and what they are to do next.

    Attributes:
        script: of the calls into sinks that come, what happens: "" is good, else "raise", "exit" or "hang".
        got: per call, the positions that a sink took, by the number of the sink.
        known: per sink the calls that it knows.
    """

    max_failures: int = 1
    when_behind: WhenBehind = WhenBehind.DROP_OLDEST
    clock: ManualClock = field(default_factory=ManualClock)
    script: list[str] = field(default_factory=list)
    sinks: list[Scripted] = field(default_factory=list)
    told: list[tuple[str, Event]] = field(default_factory=list)
    got: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    raised_at: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.runner = SinkRunner(self.make(), self.clock, self.make, self._hear)

    def _hear(self, call: CallInfo, event: Event) -> None:
        self.told.append((call.call_id, event))

    def make(self) -> Scripted:
        self.sinks.append(Scripted(self, len(self.sinks)))
        return self.sinks[-1]

    def put(self, *items: Any) -> None:
        for item in items:
            self.runner.put(item)

    def run(self) -> None:
        """Let the thread do what it can do now."""
        while self.runner.step() == 0:
            pass

    def pass_time(self, ns: int) -> None:
        self.clock.advance(ns)
        self.run()

    def names(self) -> list[tuple[str, str]]:
        return [(call, event.NAME) for call, event in self.told]


class Scripted:
    """A sink that does what its world's script says."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.options = SinkOptions("scripted", max_failures=world.max_failures, when_behind=world.when_behind)
        self.entries: list[str] = []
        self.calls: dict[int, CallInfo] = {}

    def _act(self, on_raise: Callable[[], object] = lambda: None) -> None:
        world = self.world
        match world.script.pop(0) if world.script else "":
            case "raise":
                on_raise()
                raise RuntimeError("as the script says")
            case "exit":
                on_raise()
                raise SystemExit
            case "hang":  # the watch finds it, and only then it returns
                world.clock.advance(HANG_NS)
                world.runner.look()

    def call_started(self, call: CallInfo) -> None:
        assert call.index not in self.calls, "told of a call that it knows"
        self.calls[call.index] = call
        self.entries.append(f"start {call.call_id}")
        self._act()

    def receive(self, batch: PcmBatch) -> None:
        if not len(batch):
            return
        places = zip(batch.call.tolist(), batch.positions.tolist(), strict=True)
        rows = [(self.calls[index].call_id, at) for index, at in places]
        lives = self.world.runner.snapshot()

        def note_raise() -> None:
            for call, at in rows:
                self.world.raised_at[call].append(at)

        self._act(note_raise)
        if self.world.runner.snapshot().abandoned > lives.abandoned:
            return  # it hung, and what it makes of its blocks now is nobody's
        if not any(at in self.world.raised_at[call] for call, at in rows):
            for call, at in rows:
                self.world.got[call].append((self.number, at))
        self.entries.append("hole" if batch.follows_dropped else "blocks")

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        assert self.calls.pop(call.index) is call
        self.entries.append(f"end {call.call_id}")
        self._act()

    def close(self) -> None:
        self.entries.append("close")


def start(index: int, call_id: str = "") -> CallStarted:
    return CallStarted(call_info(index, call_id))
