"""What is sent again, when and where to; nothing here sleeps or opens a socket."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.captures.census import Census
from media.captures.layers import Address
from media.captures.reader import Datagram
from media.captures.schedule import LOOP_PAUSE_NS, Due, Routes, Schedule, choose_routes
from media.carrier.options import Transport
from strep.clock import NS_PER_MS
from strep.errors import ConfigurationError
from tests.captures.making import PORT, RECEIVER, SENDER, START_NS, noise, simulated

TARGET, OTHER = ("127.0.0.1", 9000), ("::1", 9001)
ALL = Routes(ports={PORT: TARGET})


def at(*times_ms: float) -> list[Datagram]:
    return [
        Datagram(START_NS + round(ms * NS_PER_MS), (SENDER, 1), (RECEIVER, PORT), bytes([i]))
        for i, ms in enumerate(times_ms)
    ]


def census_of(datagrams: Iterable[Datagram]) -> Census:
    census = Census()
    for datagram in datagrams:
        census.observe(datagram)
    return census


class TestTimes:
    def test_the_first_leaves_at_once_and_all_others_keep_their_distance(self) -> None:
        dues = list(Schedule(ALL).round(at(5, 25, 45.5)))
        assert [due.at_ns for due in dues] == [0, 20 * NS_PER_MS, 40_500_000]
        assert [due.payload for due in dues] == [b"\0", b"\1", b"\2"]
        assert {(due.source, due.target) for due in dues} == {((SENDER, 1), TARGET)}

    @pytest.mark.parametrize(("speed", "second_ns"), [(2.0, 10 * NS_PER_MS), (0.5, 40 * NS_PER_MS)])
    def test_speed(self, speed: float, second_ns: int) -> None:
        assert [due.at_ns for due in Schedule(ALL, speed).round(at(0, 20))] == [0, second_ns]

    def test_what_is_left_out_is_not_waited_for(self) -> None:
        before = Datagram(START_NS - 10**10, (SENDER, 1), (RECEIVER, 53), b"dns")
        schedule = Schedule(ALL)
        assert [due.at_ns for due in schedule.round([before, *at(0, 20)])] == [0, 20 * NS_PER_MS]
        assert schedule.left_out == 1

    def test_rounds_follow_one_another(self) -> None:
        schedule = Schedule(ALL)
        times = [due.at_ns for _ in range(3) for due in schedule.round(at(0, 20))]
        step = 20 * NS_PER_MS + LOOP_PAUSE_NS
        assert times == [0, 20 * NS_PER_MS, step, step + 20 * NS_PER_MS, 2 * step, 2 * step + 20 * NS_PER_MS]

    @given(times_ms=st.lists(st.floats(-1000, 1000), max_size=30), speed=st.floats(0.1, 10))
    def test_the_order_is_the_capture_s_and_time_never_falls(self, times_ms: list[float], speed: float) -> None:
        dues = list(Schedule(ALL, speed).round(at(*times_ms)))
        assert [due.payload[0] for due in dues] == list(range(len(times_ms)))
        assert all(one.at_ns <= two.at_ns for one, two in pairwise(dues))

    @pytest.mark.parametrize("speed", [0, -1, float("nan")])
    def test_no_such_speed(self, speed: float) -> None:
        with pytest.raises(ConfigurationError, match="--speed"):
            Schedule(ALL, speed)


class TestRoutes:
    @staticmethod
    def sent(datagrams: list[Datagram], routes: Routes) -> list[Due]:
        return list(Schedule(routes).round(datagrams))

    def test_strep_is_found(self) -> None:
        _, datagrams = simulated(seconds=1)
        routes = choose_routes(census_of([*datagrams, *noise(20)]), TARGET)
        dues = self.sent([*datagrams, *noise(20)], routes)
        assert [due.payload for due in dues] == [d.payload for d in datagrams]
        assert {due.target for due in dues} == {TARGET}

    def test_one_call(self) -> None:
        plan, datagrams = simulated(calls=3, seconds=1)
        call_leg_id = plan.scripts[2].call_leg_id
        dues = self.sent(datagrams, choose_routes(census_of(datagrams), TARGET, call_leg_id=call_leg_id))
        assert len(dues) == 100
        assert {UUID(bytes=due.payload[8:24]) for due in dues} == {call_leg_id}

    def test_plain_rtp_goes_to_partners_in_order_of_appearance(self) -> None:
        _, datagrams = simulated(Transport.RTP, seconds=1)
        census = census_of([*datagrams, *noise(20)])
        first, second = dict.fromkeys(d.destination for d in datagrams)
        by_payload = {d.payload: d.destination for d in datagrams}
        expected: dict[Address, Address] = {first: TARGET, second: OTHER}
        dues = self.sent([*datagrams, *noise(20)], choose_routes(census, None, rtp_to=(TARGET, OTHER)))
        assert len(dues) == 100
        assert all(due.target == expected[by_payload[due.payload]] for due in dues)
        only_one = self.sent(datagrams, choose_routes(census, None, rtp_to=(TARGET,)))
        assert {by_payload[due.payload] for due in only_one} == {first}

    def test_ports_take_anything_and_nothing_else(self) -> None:
        _, datagrams = simulated(seconds=1)
        everything = [*datagrams, *noise(3)]
        dues = self.sent(everything, choose_routes(census_of(everything), TARGET, ports=(5060,)))
        assert [due.payload[:7] for due in dues] == [b"OPTIONS"] * 3

    def test_a_map_beside_the_rest(self) -> None:
        _, datagrams = simulated(seconds=1)
        everything = [*datagrams, *noise(3)]
        dues = self.sent(everything, choose_routes(census_of(everything), TARGET, port_map={53: OTHER}))
        assert [sum(due.target == target for due in dues) for target in (TARGET, OTHER)] == [100, 3]

    def test_nothing_to_send(self) -> None:
        plain = census_of(simulated(Transport.RTP, seconds=1)[1])
        with pytest.raises(ConfigurationError, match=r"--to: .* 2 plain RTP streams for --rtp-to"):
            choose_routes(plain, TARGET)
        with pytest.raises(ConfigurationError, match="nor plain RTP"):
            choose_routes(census_of(noise(5)), None, rtp_to=(TARGET,))
