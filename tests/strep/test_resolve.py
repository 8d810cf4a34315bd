"""Holes: how long they are waited for, and what they are called afterwards."""

from __future__ import annotations

import pytest

from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND
from strep.ledger import Kind
from tests.strep.bench import Bench, expected_tape
from tests.strep.packets import Sender, burst

WAIT_NS = 60 * NS_PER_MS


class TestDeadline:
    def test_in_order_audio_waits_for_nothing(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(20))
        for _ in range(20):
            before = bench.length()
            bench.receive(sender.packet())
            assert bench.length() == before + 160
            assert bench.timeline.deadline() == NEVER_NS

    def test_a_hole_is_given_up_60_ms_after_the_packet_behind_it(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(10))
        sender.lose(1)
        behind = sender.packet()
        bench.receive(behind)
        assert bench.timeline.deadline() == behind.arrival_ns + WAIT_NS
        bench.poll(behind.arrival_ns + WAIT_NS - 1)
        assert (bench.length(), bench.statistics().in_flight) == (1600, 1)
        bench.poll(behind.arrival_ns + WAIT_NS)
        assert (bench.length(), bench.statistics().in_flight) == (1920, 0)
        assert bench.timeline.deadline() == NEVER_NS

    def test_two_holes_have_deadlines_of_their_own(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(10))
        sender.lose(1)
        first = sender.packet()
        sender.lose(1)
        second = sender.packet()
        bench.receive(first, second)
        bench.poll(first.arrival_ns + WAIT_NS)
        assert bench.statistics().in_flight == 1
        assert bench.timeline.deadline() == second.arrival_ns + WAIT_NS

    def test_a_hole_behind_the_first_packet_is_not_given_up_with_the_start(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(3)
        start_ns = packets[0].arrival_ns
        bench.receive(packets[0], packets[2].at(start_ns + WAIT_NS - 1))
        bench.poll(start_ns + WAIT_NS)
        assert bench.timeline.deadline() == start_ns + 2 * WAIT_NS - 1
        bench.receive(packets[1].at(start_ns + WAIT_NS + 1))
        assert bench.statistics().delivered == 3

    def test_the_start_waits_too(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(8)
        start_ns = packets[0].arrival_ns
        bench.receive(*burst(packets, start_ns))
        bench.poll(start_ns + WAIT_NS - 1)
        assert (bench.length(), bench.tapes[0].pieces) == (0, [])
        bench.poll(start_ns + WAIT_NS)
        assert bench.length() == 8 * 160
        assert len(bench.tapes[0].pieces) == 1

    def test_no_packet_waits_longer_than_the_deadline(self) -> None:
        """Packets in reverse order, 59 ms apart: each moves the deadline, and the first one waits for seconds."""
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(10))
        packets = sender.packets(40)
        for i, packet in enumerate(packets[:0:-1]):
            now_ns = sender.now_ns + i * (WAIT_NS - NS_PER_MS)
            bench.poll_until(now_ns)
            bench.receive(packet.at(now_ns))
        assert bench.statistics().in_flight <= 2

    def test_tracks_are_given_up_each_for_itself(self) -> None:
        bench = Bench(3)
        for slot in range(3):
            sender = Sender(slot=slot)
            bench.play(sender.packets(10))
            sender.lose(slot)
            bench.receive(sender.packet())
        assert [bench.statistics(slot).in_flight for slot in range(3)] == [0, 1, 1]
        bench.settle()
        assert [bench.statistics(slot).never_arrived for slot in range(3)] == [0, 1, 2]


class TestLossAndSilence:
    @pytest.mark.parametrize("lost", [1, 2, 10, 79, 80, 81])
    def test_missing_sequence_numbers_are_loss(self, lost: int) -> None:
        bench, sender = Bench(), Sender()
        first = sender.packets(20)
        sender.lose(lost)
        second = sender.packets(20)
        bench.play(first + second)
        bench.finish()
        assert bench.spans() == [(3200, 160 * lost, Kind.LOST)]
        assert bench.statistics().never_arrived == bench.statistics().cumulative_lost == lost
        assert bench.heard() == expected_tape(first + second)

    @pytest.mark.parametrize("lost", [254, 255, 256, 257, 300, 2999])
    def test_so_many_that_neither_window_nor_tape_hold_them(self, lost: int) -> None:
        bench, sender = Bench(), Sender()
        first = sender.packets(20)
        sender.lose(lost)
        second = sender.packets(20)
        bench.play(first + second)
        bench.finish()
        assert bench.spans() == [(3200, 160 * lost, Kind.LOST)]
        assert bench.statistics().never_arrived == lost
        assert bench.heard()[-3200:] == b"".join(packet.payload for packet in second)
        assert bench.statistics().epochs == 0

    @pytest.mark.parametrize("pause", [1, 80, 4000, 12_799, 12_800, 12_801, 480_000])
    def test_a_jump_over_consecutive_numbers_is_silence(self, pause: int) -> None:
        """DTX: videocall-rs PR 913, livekit/sip PR 557."""
        bench, sender = Bench(), Sender()
        first = sender.packets(20)
        sender.pause(pause)
        second = sender.packets(20)
        bench.play(first + second)
        bench.finish()
        assert bench.spans() == [(3200, pause, Kind.SILENCE)]
        assert bench.statistics().never_arrived == 0

    def test_loss_within_a_pause_is_both(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(20))
        sender.lose(2)
        sender.pause(4000)
        bench.play(sender.packets(20))
        bench.finish()
        assert bench.spans() == [(3200, 320, Kind.LOST), (3520, 4000, Kind.SILENCE)]

    def test_dtx_all_along(self) -> None:
        bench, sender = Bench(), Sender()
        sent = []
        for _ in range(40):
            sent += sender.packets(3)
            sender.pause(1120)
        bench.play(sent)
        bench.finish()
        assert bench.totals() == {Kind.RECEIVED: 40 * 480, Kind.SILENCE: 39 * 1120}
        assert bench.heard() == expected_tape(sent)

    def test_frames_of_differing_length_are_loss_at_their_own_length(self) -> None:
        bench, sender = Bench(), Sender(samples=480)
        bench.play(sender.packets(5))
        sender.samples = 80
        sender.lose(4)
        bench.play(sender.packets(5))
        bench.finish()
        assert bench.spans() == [(2400, 320, Kind.LOST)]


class TestLate:
    def test_a_late_packet_is_counted_once_and_patched(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(30)
        bench.play([*packets[:10], *packets[11:]])
        bench.settle()
        assert bench.statistics().never_arrived == 1
        bench.receive(packets[10].at(sender.now_ns), packets[10].at(sender.now_ns))
        bench.finish()
        statistics = bench.statistics()
        assert (statistics.late, statistics.duplicate, statistics.never_arrived) == (1, 1, 0)
        assert bench.recorded() == expected_tape(packets)
        assert bench.heard()[1600:1760] == b"\xff" * 160
        assert bench.totals() == {Kind.RECEIVED: 29 * 160, Kind.LATE_PATCHED: 160}

    def test_beyond_the_window(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(400)
        bench.play([*packets[:10], *packets[11:]])
        bench.receive(packets[10].at(sender.now_ns))
        bench.finish()
        statistics = bench.statistics()
        assert (statistics.late, statistics.never_arrived) == (1, 0)
        assert bench.recorded() == expected_tape(packets)

    def test_a_duplicate_beyond_the_window_was_not_lost(self) -> None:
        """It passes for late, since its number is forgotten; `never_arrived` used to fall below zero by it."""
        bench, sender = Bench(), Sender()
        packets = sender.packets(400)
        bench.play(packets)
        bench.receive(packets[20].at(sender.now_ns), packets[20].at(sender.now_ns))
        bench.finish()
        assert bench.statistics().never_arrived == 0
        assert bench.recorded() == expected_tape(packets)

    def test_the_packets_of_a_long_loss_come_after_all(self) -> None:
        bench, sender = Bench(), Sender()
        first, late, second = sender.packets(20), sender.packets(300), sender.packets(20)
        bench.play(first + second)
        bench.settle()
        bench.receive(*burst(late[::-1], sender.now_ns))
        bench.finish()
        assert bench.recorded() == expected_tape(first + late + second)
        assert bench.totals()[Kind.LATE_PATCHED] == 48_000
        assert bench.statistics().never_arrived == 0

    def test_a_late_packet_from_before_an_inserted_pause_lies_before_it(self) -> None:
        bench, sender = Bench(), Sender()
        before = sender.packets(300)
        sender.now_ns += 20 * NS_PER_SECOND
        packets = [*before, *sender.packets(102)]  # a look at 300, 350 and 400: the lag stays
        for i, packet in enumerate(packets):
            if i != 299:
                bench.play([packet])
            if i % 50 == 0:
                bench.timeline.realign()
        assert bench.totals()[Kind.SILENCE] >= 159_000
        bench.receive(packets[299].at(sender.now_ns))
        bench.finish()
        assert bench.spans()[0] == (299 * 160, 160, Kind.LATE_PATCHED)

    def test_a_hole_filler_too_long_for_the_tape_is_cut(self) -> None:
        """It used to be put into the window behind everything that was resolved, and to stay there for good."""
        bench, sender = Bench(), Sender()
        first = sender.packets(12)
        bench.play(first)
        packets = sender.packets(78)
        filler = Sender(sequence=packets[76].sequence, timestamp=packets[76].timestamp).packet(2036)
        bench.receive(packets[77].at(sender.now_ns), filler.at(sender.now_ns))
        bench.finish()
        assert bench.statistics().in_flight == 0
        assert bench.statistics().delivered == 14
        assert bench.heard()[:1920] == b"".join(packet.payload for packet in first)
        assert bench.length() == 1600 + 12_800

    def test_one_longer_than_what_is_resolved_is_cut(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(10)
        bench.play([*packets[:8], packets[9]])
        bench.settle()
        late = Sender(sequence=packets[8].sequence, timestamp=packets[8].timestamp).packet(2000)
        bench.receive(late.at(sender.now_ns))
        sender.pause(4000)
        last = sender.packet()
        bench.play([last])
        bench.finish()
        assert bench.recorded()[1600:5600] == b"\xff" * 4000
        assert bench.length() == 5760
