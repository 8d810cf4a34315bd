"""Random mixes of everything the simulated carrier can do: the engine finds out the truth, to the packet.

Invariant: for every track of every simulation, each counter equals the simulator's; for every datagram of rubbish,
so does the reason. Brief by default, at length with the hypothesis profile "long" (make fuzz).
"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from media.carrier.faults import Faults
from media.carrier.network import NetworkModel, Span
from media.carrier.options import BLeg, SimulationOptions
from media.carrier.plan import Plan, make_plan
from media.doors.strep import StrepDoor
from media.engine import Engine
from media.sinks.queue import Item
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import DatagramBatch
from strep.errors import ConfigurationError
from strep.reject import Reject
from strep.timeline import Timeline
from tests.searching import brief

AFTERMATH_NS = 200 * NS_PER_MS
NO_SOURCE = np.zeros(28, np.uint8)

moments = st.none() | st.integers(1100, 3900).map(lambda ms: ms * NS_PER_MS)
networks = st.builds(
    NetworkModel,
    loss=st.sampled_from([0, 0.02, 0.1]),
    burst_loss=st.sampled_from([0, 3]),
    reorder=st.sampled_from([0, 0.05]),
    duplicate=st.sampled_from([0, 0.05]),
    jitter_ms=st.sampled_from([0, 10]),
    stall=st.sampled_from([None, Span(2 * NS_PER_SECOND, NS_PER_SECOND)]),
)
faults = st.builds(
    Faults,
    dtx=st.sampled_from([0, 0.3]),
    hold=st.sampled_from([None, Span(1500 * NS_PER_MS, NS_PER_SECOND)]),
    ssrc_change_at_ns=moments,
    sequence_reset_at_ns=moments,
    timestamp_jump_at_ns=moments,
    near_wrap=st.booleans(),
    extras=st.sampled_from([0, 0.05]),
    malformed=st.sampled_from([0, 0.05]),
)


class Nowhere:
    def put(self, item: Item) -> None:
        pass


def receive(plan: Plan) -> tuple[Engine, StrepDoor]:
    """Feed `plan` to an engine without sinks, and let every deadline pass."""
    clock = ManualClock()
    engine = Engine(Timeline(), clock, [Nowhere()], idle_timeout_ns=NS_PER_SECOND * 3600, max_tracks=1000)
    door = StrepDoor(engine)
    for now_ns, start, stop in plan.batches():
        clock.monotonic_ns = now_ns
        if stop > start:
            table, source = plan.table(start, stop), np.broadcast_to(NO_SOURCE, (stop - start, 28))
            times_ns = plan.times_ns[start:stop]
            door.receive(DatagramBatch(table.rows, table.lengths.astype(np.int64), times_ns, source), now_ns)
        engine.poll(now_ns)
    engine.poll(clock.advance(AFTERMATH_NS))
    return engine, door


@brief(10)
@given(
    seed=st.integers(0, 10_000),
    network=networks,
    fault=faults,
    ptime_ms=st.sampled_from([10, 20, 30, 60]),
    b_leg=st.sampled_from(list(BLeg)),
)
def test_every_counter_is_the_truth(
    seed: int, network: NetworkModel, fault: Faults, ptime_ms: int, b_leg: BLeg
) -> None:
    options = {"seed": seed, "network": network, "faults": fault, "ptime_ms": ptime_ms, "b_leg": b_leg}
    try:
        plan = make_plan(SimulationOptions(calls=2, seconds=5, audio=None, **options))  # type: ignore[arg-type]
    except ConfigurationError:
        return  # restarts too close to one another: there is no truth about that
    engine, door = receive(plan)
    truth = plan.truth()
    assert {Reject(i).name: int(n) for i, n in enumerate(door.rejected) if n} == truth.malformed
    tracks = {
        (call.info.identity["call_leg_id"], call.info.identity["leg"], track.direction.name.lower()): track
        for call in engine.calls.values()
        for track in call.tracks
    }
    assert len(tracks) == len(truth.tracks)
    for expected in truth.tracks:
        track = tracks[expected.call_leg_id, expected.leg, expected.direction]
        found = engine.timeline.statistics(track.slot)
        assert found.conserved
        assert found.received == expected.delivered + expected.duplicated
        assert found.delivered == expected.delivered
        assert found.duplicate == expected.duplicated
        assert found.reordered == expected.reordered
        assert found.never_arrived == expected.lost
        assert found.expected == expected.delivered + expected.lost
        assert found.epochs == len(expected.epochs) - 1
        assert found.late == found.invalid == found.quarantined == found.in_flight == 0
        length = engine.timeline.length(track.slot)
        assert sum(engine.timeline.ledger_totals(track.slot).values()) == length
        if expected.has_exact_positions:
            assert length == expected.total_samples
