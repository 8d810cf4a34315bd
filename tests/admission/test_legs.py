"""The STREP port: which legs begin, where their packets may come from, and what a flood of made-up ones costs."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.admission import quarantine
from media.admission.desk import status_of
from media.admission.legs import SILENT_NS, LegGuard
from media.admission.quarantine import Held, Quarantine
from media.doors.packets import TURNED_AWAY
from media.doors.rtp import RtpDoor
from media.doors.sources import pack_source, source_and
from media.doors.strep import StrepDoor
from strep import header
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.datagrams import collect
from strep.g711 import Codec, decode
from strep.header import Direction, Leg, StrepHeader
from strep.reject import Reject
from tests.media.world import FRAME, HERE, THERE, World, audio

HOUR_NS = 3600 * NS_PER_SECOND
ELSEWHERE = pack_source("198.51.100.9", 4000)
OTHER_PORT = pack_source("192.0.2.1", 4002)


class Port:
    """A STREP port with a guard."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.world = World(options.pop("max_tracks", 100))
        self.door = StrepDoor(self.world.engine, LegGuard(*arguments, **options))

    def send(
        self,
        number: int,
        leg: int = 1,
        source: bytes = HERE,
        direction: Direction = Direction.INBOUND,
        ssrc: int = 7,
        side: Leg = Leg.A,
    ) -> None:
        wrapped = header.serialize(StrepHeader(UUID(int=leg), side, direction)) + audio(number, ssrc=ssrc)
        now_ns = self.world.clock.now_ns()
        self.door.receive(collect([(wrapped, now_ns, source)]), now_ns)

    def rejected(self) -> dict[str, int]:
        return {Reject(code).name: int(count) for code, count in enumerate(self.door.rejected) if count}

    def heard(self, leg: int = 1) -> np.ndarray[Any, Any]:
        return self.world.ear.pcm(str(UUID(int=leg)), 0)

    def end(self) -> None:
        self.world.engine.end_all("shutdown")
        assert self.world.engine.conservation_errors == 0


def expected(*numbers: int) -> np.ndarray[Any, Any]:
    code = np.concatenate([np.full(FRAME, number % 200, np.uint8) for number in numbers])
    return decode(code, Codec.PCMU)


class TestSources:
    def test_somebody_else_with_the_legs_id_is_not_heard(self) -> None:
        port = Port()
        for number in range(50):
            port.send(number)
            port.send(number + 100, source=ELSEWHERE)
            port.send(number, source=ELSEWHERE, ssrc=9)
            port.world.tick()
        port.end()
        assert np.array_equal(port.heard(), expected(*range(50)))
        assert port.rejected() == {"SOURCE": 100}

    def test_another_port_of_the_same_address_may_take_turns(self) -> None:
        port = Port()
        for number in range(50):
            port.send(number, source=OTHER_PORT if number % 2 else HERE)
            port.world.tick()
        assert len(port.door._demux) == 2
        port.end()
        assert np.array_equal(port.heard(), expected(*range(50)))
        assert len(port.door._demux) == 0

    def test_ports_are_bounded(self) -> None:
        port = Port()
        for number in range(50):
            port.send(number, source=pack_source("192.0.2.1", 4000 + number))
            port.world.tick()
        assert len(port.door._demux) == 4

    def test_who_has_been_silent_may_come_from_elsewhere(self) -> None:
        port = Port()
        for number in range(10):
            port.send(number)
            port.world.tick()
        port.world.clock.advance(SILENT_NS)
        for number in range(110, 120):
            port.send(number, source=ELSEWHERE)
            port.send(number, source=HERE)  # the old source is a stranger now
            port.world.tick()
        assert port.rejected() == {"SOURCE": 10}
        port.end()
        assert np.array_equal(port.heard()[-10 * FRAME :], expected(*range(110, 120)))

    def test_directions_may_have_ports_of_their_own(self) -> None:
        port = Port()
        for number in range(10):
            port.send(number)
            port.send(number, source=OTHER_PORT, direction=Direction.OUTBOUND)
            port.world.tick()
        assert port.rejected() == {}
        assert len(port.world.engine.calls) == 1

    @pytest.mark.parametrize("mode", ["open", "probation", "registered"])
    def test_what_a_call_has_not_yet_begins_from_nowhere_else(self, mode: str) -> None:
        """Neither its other direction nor its other side: not from who only knows its id."""
        port = Port(mode)
        port.door.register(UUID(int=1), port.world.clock.now_ns(), HOUR_NS)
        for number in range(10):
            port.send(number)
            port.send(number, source=ELSEWHERE, direction=Direction.OUTBOUND)
            for direction in Direction:
                port.send(number, source=ELSEWHERE, direction=direction, side=Leg.B)
            port.world.tick()
        assert (port.rejected()["SOURCE"], len(port.world.engine.calls)) == (30, 1)
        port.send(0, direction=Direction.OUTBOUND)
        port.send(0, side=Leg.B)
        assert len(port.world.engine.calls) == 2
        port.end()
        assert [len(report.tracks) for _, report in port.world.ear.ended] == [2, 1]

    def test_a_further_direction_comes_from_elsewhere_when_all_are_silent(self) -> None:
        port = Port()
        port.send(0)
        port.world.tick()
        port.world.clock.advance(SILENT_NS)
        port.send(0, source=ELSEWHERE, direction=Direction.OUTBOUND)
        assert (port.rejected(), len(port.world.engine.calls)) == ({}, 1)

    def test_without_pinning_directions_have_sources_of_their_own(self) -> None:
        port = Port(is_pinned=False)
        for number in range(10):
            port.send(number)
            port.send(number, source=THERE, direction=Direction.OUTBOUND)
            port.world.tick()
        assert port.rejected() == {}
        assert len(port.world.engine.calls) == 1

    def test_without_pinning_anybody_goes(self) -> None:
        port = Port(is_pinned=False)
        for number in range(10):
            port.send(number, source=ELSEWHERE if number % 2 else HERE)
            port.world.tick()
        port.end()
        assert np.array_equal(port.heard(), expected(*range(10)))

    def test_words_of_sources_differ(self) -> None:
        hosts = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db9::1"]
        sources = [pack_source(host, port) for host in hosts for port in (4000, 4001)]
        table = np.frombuffer(b"".join(sources), np.uint8).reshape(-1, 28)
        words = [source_and(table, np.full(len(table), small, np.uint64)) for small in range(4)]
        assert len(np.unique(words)) == 4 * len(sources)
        assert np.array_equal(source_and(table[::2], np.zeros(len(hosts), np.uint64)), words[0][::2])


class TestNetworks:
    def test_only_some_may_send(self) -> None:
        port = Port(networks=[ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")])
        port.send(0, 1, HERE)
        port.send(0, 2, ELSEWHERE)
        port.send(0, 3, pack_source("2001:db8::5", 4000))
        port.send(0, 4, pack_source("2001:db9::5", 4000))
        port.send(0, 5, pack_source("::ffff:192.0.2.9", 4000))
        assert port.rejected() == {"ADDRESS": 2}
        assert len(port.world.engine.calls) == 3

    def test_a_move_to_elsewhere_is_none(self) -> None:
        port = Port(networks=[ip_network("192.0.2.0/24")])
        port.send(0)
        port.world.clock.advance(SILENT_NS)
        port.send(1, source=ELSEWHERE)
        assert port.rejected() == {"SOURCE": 1}

    def test_plain_rtp_as_well(self) -> None:
        world = World()
        door = RtpDoor("tap", world.engine, LegGuard(networks=[ip_network("192.0.2.0/24")]))
        for number in range(5):
            for source in (HERE, ELSEWHERE):
                door.receive(collect([(audio(number), world.clock.now_ns(), source)]), Direction.INBOUND, 0)
            world.tick()
        assert (door.datagrams, door.rejected[Reject.ADDRESS], door.rejected.sum()) == (10, 5, 5)
        world.engine.end_all("shutdown")
        ((_, report),) = world.ear.ended
        assert [track.statistics["received"] for track in report.tracks] == [5]


class TestRegistration:
    def test_what_comes_before_the_announcement_is_not_lost(self) -> None:
        """Packets of 1 s wait, in order and with their times, both directions."""
        port = Port("registered")
        for number in range(50):
            for direction in Direction:
                port.send(number, direction=direction)
            port.world.tick()
        assert port.world.engine.calls == {}
        assert (port.door.guard.quarantine.held, port.rejected()) == (100, {})
        port.door.register(UUID(int=1), port.world.clock.now_ns(), HOUR_NS)
        for number in range(50, 60):
            for direction in Direction:
                port.send(number, direction=direction)
            port.world.tick()
        port.end()
        assert np.array_equal(port.heard(), expected(*range(60)))
        assert (port.door.guard.quarantine.held, port.rejected()) == (0, {})
        ((_, report),) = port.world.ear.ended
        assert [track.statistics["received"] for track in report.tracks] == [60, 60]

    def test_what_is_never_announced_is_dropped_and_counted(self) -> None:
        port = Port("registered")
        for number in range(10):
            port.send(number, leg=2)
        port.world.clock.advance(4 * NS_PER_SECOND)
        port.door.register(UUID(int=1), port.world.clock.now_ns(), HOUR_NS)
        port.send(0, leg=1)
        assert port.rejected() == {"QUARANTINE": 10}
        assert list(port.world.engine.calls) == [str(UUID(int=1))]

    def test_an_announcement_is_good_for_a_time(self) -> None:
        port = Port("registered")
        port.door.register(UUID(int=1), port.world.clock.now_ns(), HOUR_NS)
        port.world.clock.advance(3601 * NS_PER_SECOND)
        port.send(0)
        assert port.world.engine.calls == {}

    def test_what_has_waited_for_too_long_begins_no_call(self) -> None:
        """Though nothing has come since then that would have let it go."""
        port = Port("registered")
        for number in range(10):
            port.send(number)
        port.world.clock.advance(HOUR_NS)
        assert status_of(port.door.guard, port.world.clock.now_ns())["waiting_legs"] == 0
        port.door.register(UUID(int=1), port.world.clock.now_ns(), HOUR_NS)
        assert port.world.engine.calls == {}
        port.send(10)
        assert (len(port.world.engine.calls), port.rejected()) == (1, {"QUARANTINE": 10})

    def test_an_announcement_alone_lets_go_of_it_too(self) -> None:
        port = Port("registered")
        port.send(0)
        port.world.clock.advance(HOUR_NS)
        port.door.register(UUID(int=1), port.world.clock.now_ns(), HOUR_NS)
        assert port.world.engine.calls == {}


class TestProbation:
    def test_two_packets_in_order_begin_a_leg_and_none_is_lost(self) -> None:
        port = Port("probation")
        for number in range(20):
            port.send(number)
            port.world.tick()
            assert len(port.world.engine.calls) == (number > 0)
        port.end()
        assert np.array_equal(port.heard(), expected(*range(20)))

    @pytest.mark.parametrize(("number", "ssrc"), [(5, 7), (1, 9), (0, 7)])
    def test_what_does_not_follow_begins_nothing(self, number: int, ssrc: int) -> None:
        port = Port("probation")
        port.send(0)
        port.send(number, ssrc=ssrc)
        assert port.world.engine.calls == {}


@pytest.mark.parametrize("mode", ["open", "probation", "registered"])
def test_a_flood_of_made_up_legs_touches_no_running_call(mode: str) -> None:
    """30,000 ids among 10 calls: bounded in memory and in what is looked at, and the calls are whole."""
    port, random = Port(mode, max_tracks=200), np.random.default_rng(3)
    for leg in range(1, 11):
        port.door.register(UUID(int=leg), port.world.clock.now_ns(), HOUR_NS)
    flood = 0
    for number in range(60):
        made_up = [
            header.serialize(StrepHeader(UUID(bytes=random.bytes(16)), Leg.A, Direction.INBOUND)) + audio(number)
            for _ in range(500)
        ]
        flood += len(made_up)
        real = [
            header.serialize(StrepHeader(UUID(int=leg), Leg.A, Direction.INBOUND)) + audio(number)
            for leg in range(1, 11)
        ]
        now_ns = port.world.clock.now_ns()
        sent = [(data, now_ns, HERE) for data in real] + [(data, now_ns, ELSEWHERE) for data in made_up]
        port.door.receive(collect(sent), now_ns)
        port.world.tick()
        waits = port.door.guard.quarantine
        assert len(waits) <= quarantine.MOST_LEGS
    assert len(port.world.engine.calls) == (200 if mode == "open" else 10)
    port.end()
    for leg in range(1, 11):
        assert np.array_equal(port.heard(leg), expected(*range(60)))
    opened = 190 if mode == "open" else 0
    assert sum(port.rejected().values()) + waits.held + opened == flood
    assert port.door.accepted == 60 * 10 + opened
    assert port.rejected()["CROWDED"] >= 55 * (500 - TURNED_AWAY)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.booleans()), max_size=80))
def test_quarantine_is_conserved_and_bounded(history: list[tuple[int, int, bool]]) -> None:
    """Whatever is held is released once, in order, or dropped and counted."""
    room, now_ns, held, given_back = Quarantine(), 0, 0, 0
    for leg, milliseconds, is_released in history:
        now_ns += 100 * milliseconds * NS_PER_MS
        room.expire(now_ns)
        if is_released:
            back = room.release((leg, leg))
            assert [datagram.arrival_ns for datagram in back] == sorted(datagram.arrival_ns for datagram in back)
            assert all(now_ns - datagram.arrival_ns <= quarantine.KEEP_NS for datagram in back)
            given_back += len(back)
        else:
            room.hold((leg, leg), Held(b"x" * 100, now_ns, HERE))
            held += 1
        assert held == given_back + room.held + room.dropped
