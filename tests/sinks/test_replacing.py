"""Sinks that raise, hang or die are replaced, and nothing is lost that is not counted; no threads but at the end."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from media.events.sinks import SinkDetached, SinkFailed
from media.sinks.contract import CallInfo, WhenBehind
from media.sinks.lives import FIRST_PAUSE_NS, LONGEST_PAUSE_NS, MAX_ABANDONED, WELL_NS
from media.sinks.queue import CallEnded, CallStarted
from strep.clock import NS_PER_SECOND
from tests.sinks.rows import Row, batch_of, call_info, call_report
from tests.sinks.scripted import HANG_NS, NEXT_BLOCK_NS, Scripted, World, start


class TestRaising:
    def test_replaced_after_so_many_in_a_row(self) -> None:
        world = World(max_failures=3)
        begun = start(0)
        world.put(begun)
        world.script = ["", "raise", "raise", "", "raise", "raise", "raise"]
        for block in range(6):
            world.put(batch_of(Row(0, 0, 800 * block)))
        world.run()
        assert len(world.sinks) == 1, "there is a pause"
        assert world.sinks[0].entries[-1] == "close"
        world.put(batch_of(Row(0, 0, 4800)))
        world.pass_time(FIRST_PAUSE_NS)
        assert world.sinks[1].entries == ["start call-0", "hole"]
        snapshot = world.runner.snapshot()
        assert (snapshot.errors, snapshot.restarts, snapshot.dropped_blocks, snapshot.abandoned) == (5, 1, 0, 0)
        assert world.names() == [("call-0", "sink_failed"), ("call-0", "sink_restarted")]
        assert world.told[0][1] == SinkFailed(
            sink="scripted", reason="raised", error="RuntimeError('as the script says')", retry_after_ms=100
        )
        use = world.runner.use_of(begun.call)
        assert (use.delivered_blocks, use.errors, use.restarts, use.dropped_blocks) == (7, 5, 1, 0)

    def test_one_that_is_useless_with_holes_is_detached(self) -> None:
        world = World(when_behind=WhenBehind.DETACH)
        begun = start(0)
        world.script = ["", "raise"]
        world.put(begun, batch_of(Row(0, 0, 0)), batch_of(Row(0, 0, 800)))
        world.run()
        world.put(start(1), CallEnded(begun.call, call_report(1600)))
        world.run()
        assert world.sinks[0].entries == ["start call-0", "end call-0"]
        assert world.names() == [("call-0", "sink_detached")]
        use = world.runner.use_of(begun.call)
        assert (use.delivered_blocks, use.dropped_blocks, use.dropped_seconds, use.detached) == (1, 1, 0.1, True)
        assert world.runner.snapshot().dropped_calls == 1

    def test_pauses_grow_and_begin_anew(self) -> None:
        world = World()
        pauses = []

        def fail() -> None:
            world.script = ["raise"]
            world.put(batch_of())
            world.put(batch_of(Row(0, 0, 0)))
            world.run()
            count, before_ns = len(world.sinks), world.clock.now_ns()
            while len(world.sinks) == count:
                world.pass_time(world.runner.step())
            pauses.append(world.clock.now_ns() - before_ns)

        world.put(start(0))
        world.run()
        for _ in range(11):
            fail()
        world.pass_time(WELL_NS)
        fail()
        expected = [min(FIRST_PAUSE_NS << n, LONGEST_PAUSE_NS) for n in range(11)] + [FIRST_PAUSE_NS]
        assert pauses == expected

    def test_one_that_cannot_be_made_is_tried_again(self) -> None:
        world = World()
        make, world.script = world.make, ["", "exit"]
        failures = iter([True, True, False])

        def try_to_make() -> Scripted:
            if next(failures):
                raise OSError("no model")
            return make()

        world.runner._recovery.make = try_to_make
        world.put(start(0), batch_of(Row(0, 0, 0)))
        world.run()
        for n in range(3):
            assert len(world.sinks) == 1
            world.put(batch_of(Row(0, 0, 800 * (n + 1))))
            world.pass_time(FIRST_PAUSE_NS << n)
        assert world.sinks[1].entries == ["start call-0", "hole", "blocks", "blocks"]
        assert world.runner.snapshot().errors == 3
        assert isinstance(world.told[0][1], SinkFailed)
        assert world.told[0][1].reason == "ended"


class TestHanging:
    def test_what_it_hangs_over_is_dropped(self) -> None:
        world = World()
        calls = start(0), start(1)
        world.script = ["", "", "hang"]
        world.put(*calls, batch_of(Row(0, 0, 0), Row(1, 0, 0)))
        world.run()
        world.put(batch_of(Row(0, 0, 800)))
        world.pass_time(FIRST_PAUSE_NS)
        assert world.sinks[0].entries[-1] == "close", "when it returned"
        assert world.sinks[1].entries == ["start call-0", "start call-1", "hole"]
        for begun, delivered in zip(calls, (1, 0), strict=True):
            use = world.runner.use_of(begun.call)
            assert (use.delivered_blocks, use.dropped_blocks, use.errors, use.restarts) == (delivered, 1, 1, 1)
        world.put(CallEnded(calls[0].call, call_report(1600)))
        world.run()
        assert world.runner.use_of(calls[0].call).dropped_blocks == 1
        assert world.runner.snapshot().dropped_blocks == 2

    def test_threads_that_never_return_are_few(self) -> None:
        world = World()
        clock = world.clock
        world.put(start(0))
        world.run()

        for _ in range(MAX_ABANDONED + 1):
            world.put(batch_of(Row(0, 0, 0)))
            with world.runner._changed:  # as the thread does, which then does not return
                life = world.runner._life
                assert world.runner._next(life, clock.now_ns())
                life.called_ns = clock.now_ns()
            clock.advance(HANG_NS)
            world.runner.look()
            world.runner.look()  # it is said once
            if not world.runner.snapshot().detached:
                while world.runner._life.sink is None or world.runner._life.untold:
                    clock.advance(max(world.runner.step(), 0))
        snapshot = world.runner.snapshot()
        assert (snapshot.abandoned, snapshot.detached, snapshot.restarts) == (MAX_ABANDONED, True, MAX_ABANDONED)
        assert snapshot.errors == MAX_ABANDONED + 1
        assert isinstance(world.told[-1][1], SinkDetached)

    def test_one_that_cannot_be_replaced_is_waited_for(self, caplog: Any) -> None:
        world = World()
        world.runner._recovery.make = None
        world.script = ["hang"]
        world.put(start(0), batch_of(Row(0, 0, 0)))
        world.run()
        assert world.sinks[0].entries == ["start call-0", "blocks"]
        assert world.runner.snapshot().errors == 1
        assert "sink scripted hangs" in caplog.text


@settings(deadline=None, max_examples=150)
@given(
    script=st.lists(st.sampled_from(["", "", "", "raise", "exit", "hang"]), max_size=60),
    steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, NEXT_BLOCK_NS, NS_PER_SECOND])), max_size=60),
    max_failures=st.integers(0, 3),
)
def test_whatever_fails_nothing_is_lost_that_is_not_counted(
    script: list[str], steps: list[tuple[int, int]], max_failures: int
) -> None:
    """Of three calls that come and go: what was taken, in order, is what was sent but for what was counted."""
    world = World(max_failures=max_failures, script=script)
    live: dict[int, CallInfo] = {}
    sent: dict[str, list[int]] = defaultdict(list)
    infos: dict[str, CallInfo] = {}
    for number, (what, pause_ns) in enumerate(steps):
        if what < 3 and what not in live:
            live[what] = call_info(what, f"call-{number}")
            infos[live[what].call_id] = live[what]
            world.put(CallStarted(live[what]))
        elif what < 3:
            call = live.pop(what)
            world.put(CallEnded(call, call_report(800)))
        elif live:
            world.put(batch_of(*[Row(index, 0, 800 * number) for index in live]))
            for call in live.values():
                sent[call.call_id].append(800 * number)
        world.pass_time(pause_ns)
    for _ in range(2 * len(script) + 2):
        world.pass_time(LONGEST_PAUSE_NS)
    snapshot, total = world.runner.snapshot(), 0
    for call_id, info in infos.items():
        use = world.runner.use_of(info)
        got = [at for _, at in world.got[call_id]]
        assert sorted(got) == got
        assert set(got) | set(world.raised_at[call_id]) <= set(sent[call_id])
        assert not set(got) & set(world.raised_at[call_id])
        assert use.waiting_blocks == 0
        assert use.delivered_blocks + use.dropped_blocks == len(sent[call_id])
        if not snapshot.detached:
            lost = len(sent[call_id]) - len(got) - len(world.raised_at[call_id])
            assert lost == use.dropped_blocks
        total += use.dropped_blocks
    assert snapshot.dropped_blocks == total
    known = world.runner.sink
    assert isinstance(known, Scripted)
    if not snapshot.detached:
        assert known.calls == live
