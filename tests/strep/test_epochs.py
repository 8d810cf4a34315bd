"""Senders that become others, strays, and two senders on one track: the cases of the field, by name."""

from __future__ import annotations

import pytest

from strep.clock import NS_PER_MS
from strep.ledger import Kind
from tests.strep.bench import Bench
from tests.strep.packets import FRAME_NS, OTHER_SSRC, SSRC, Packet, Sender, burst, payloads


def change(sender: Sender) -> None:
    """The sender goes on as another one, with numbers of its own."""
    sender.restart(ssrc=OTHER_SSRC, sequence=40_000, timestamp=3_000_000_000)


class TestSsrcChange:
    """livekit/sip PR 828, janus 2025, asterisk 1324: audio behind a new SSRC must not be thrown away."""

    def test_clean_it_joins_seamlessly(self) -> None:
        bench, sender = Bench(), Sender()
        first = sender.packets(50)
        change(sender)
        second = sender.packets(50)
        bench.play(first + second)
        bench.finish()
        assert bench.heard() == payloads(first + second)
        assert bench.spans() == []
        assert (bench.statistics().epochs, bench.statistics().delivered) == (1, 100)

    def test_again_and_again(self) -> None:
        bench, sender, sent = Bench(), Sender(), list[Packet]()
        for ssrc in range(20):
            sender.restart(ssrc=ssrc, sequence=977 * ssrc, timestamp=2**30 * ssrc)
            sent += sender.packets(15)
        bench.play(sent)
        bench.finish()
        assert bench.heard() == payloads(sent)
        assert bench.statistics().epochs == 19
        assert bench.statistics().expected == 300

    @pytest.mark.parametrize("late_ms", [-15, 5, 19])
    def test_by_a_packet_that_is_not_quite_on_time(self, late_ms: int) -> None:
        """Jitter is no gap: less than a frame between the end of the tape and the clock is nothing."""
        bench, sender = Bench(), Sender()
        first = sender.packets(50)
        change(sender)
        second = sender.packets(50)
        bench.play([*first, *(packet.at(packet.arrival_ns + late_ms * NS_PER_MS) for packet in second)])
        bench.finish()
        assert bench.heard() == payloads(first + second)

    @pytest.mark.parametrize("pause_ms", [100, 2_000, 60_000])
    def test_after_a_pause_it_joins_where_the_clock_says(self, pause_ms: int) -> None:
        bench, sender = Bench(), Sender()
        first = sender.packets(50)
        sender.pause(8 * pause_ms)
        change(sender)
        second = sender.packets(50)
        bench.play(first + second)
        bench.finish()
        assert bench.spans() == [(8000, 8 * pause_ms, Kind.RESTART)]
        assert bench.heard()[-8000:] == payloads(second)

    def test_reordered_across_the_change(self) -> None:
        """The last packets of the old sender arrive between the first of the new one."""
        bench, sender = Bench(), Sender()
        old = sender.packets(10)
        change(sender)
        new = sender.packets(10)
        bench.play(old[:7])
        bench.receive(*burst([new[0], old[7], old[9], new[2], old[8], new[1]], old[9].arrival_ns))
        bench.play(new[3:])
        bench.finish()
        # Two packets of the new SSRC agreed before the last of the old one came: it is late, not lost.
        assert bench.recorded() == payloads(old + new)
        statistics = bench.statistics()
        assert (statistics.delivered, statistics.late, statistics.quarantined) == (19, 1, 0)
        assert statistics.never_arrived == 0

    @pytest.mark.parametrize("collision", [0, 1, 2, 3])
    def test_a_straggler_does_not_disturb_what_waits(self, collision: int) -> None:
        """Low bytes of sequence numbers meet: the straggler's mark used to wipe out a waiting packet."""
        bench, sender = Bench(), Sender()
        old = sender.packets(50)
        bench.play(old[:47] + old[48:])
        straggler = old[47]
        sender.restart(ssrc=OTHER_SSRC, sequence=(straggler.sequence & 0xFF) + 10 * 256 - collision, timestamp=7)
        new = sender.packets(20)
        bench.receive(*burst(new[:2], sender.now_ns))
        bench.receive(straggler.at(sender.now_ns))
        bench.play(burst(new[2:], sender.now_ns))
        bench.finish()
        assert bench.statistics().delivered == 69
        assert bench.statistics().late == 1
        assert bench.recorded()[:8000] == payloads(old)
        assert bench.recorded()[-20 * 160 :] == payloads(new)

    def test_a_straggler_that_came_before_is_a_duplicate(self) -> None:
        bench, sender = Bench(), Sender()
        old = sender.packets(20)
        change(sender)
        bench.play(old)
        bench.play(sender.packets(5))
        bench.receive(old[18].at(sender.now_ns))
        assert bench.statistics().duplicate == 1

    def test_packets_that_the_first_of_the_new_one_overtook(self) -> None:
        bench, sender = Bench(), Sender()
        old = sender.packets(50)
        change(sender)
        new = sender.packets(20)
        bench.play([*old, *burst([new[4], new[3], new[0], new[2], new[1]], new[4].arrival_ns), *new[5:]])
        bench.finish()
        assert bench.recorded()[-20 * 160 :] == payloads(new)
        assert bench.statistics().delivered == 70

    def test_a_backlog_of_both_senders_at_once(self) -> None:
        """A burst longer than the ring ends the start of an epoch early; places must not go wrong by that."""
        bench, sender = Bench(), Sender()
        first = sender.packets(75)
        change(sender)
        second = sender.packets(75)
        bench.receive(*burst(first + second, sender.now_ns))
        bench.finish()
        assert bench.heard() == payloads(first + second)
        assert bench.spans() == []

    def test_a_tape_nearly_full_when_it_happens(self) -> None:
        """Without room for the first packet of the new one, that used to be an IndexError."""
        bench, sender = Bench(), Sender()
        first = sender.packets(90)
        change(sender)
        second = sender.packets(20)
        bench.play(first[:20])
        bench.receive(*burst(first[20:] + second, first[-1].arrival_ns))
        bench.finish()
        assert bench.heard() == payloads(first + second)
        assert bench.spans() == []

    def test_a_preroll_of_five_seconds_behind_a_change(self) -> None:
        bench, sender = Bench(), Sender()
        first = sender.packets(50)
        bench.play(first)
        change(sender)
        now_ns = sender.now_ns
        second = sender.packets(250)
        bench.receive(*burst(second, now_ns))
        sender.now_ns = now_ns + FRAME_NS
        third = sender.packets(10)
        bench.play(third)
        bench.finish()
        assert bench.heard() == payloads(first + second + third)


class TestStrays:
    def test_one_packet_of_another_ssrc(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(20)
        stray = Packet(7, 7, packets[9].arrival_ns, b"stray" * 32, ssrc=OTHER_SSRC)
        bench.play([*packets[:10], stray, *packets[10:]])
        bench.finish()
        assert bench.heard() == payloads(packets)
        assert (bench.statistics().quarantined, bench.statistics().epochs) == (1, 0)

    def test_strays_of_many_ssrcs_never_agree(self) -> None:
        bench, sender, sent = Bench(), Sender(), list[Packet]()
        for i in range(60):
            packet = sender.packet()
            sent.append(packet)
            bench.play([packet, Packet(i, i, packet.arrival_ns, b"x" * 160, ssrc=i)])
        bench.finish()
        assert bench.heard() == payloads(sent)
        assert bench.statistics().quarantined == 60

    def test_two_whose_numbers_contradict_each_other_do_not_agree(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(20)
        strays = [Packet(7, 7000, 0, b"x" * 160, ssrc=9), Packet(8, 6000, 0, b"x" * 160, ssrc=9)]
        bench.play([*packets[:10], *burst(strays, packets[9].arrival_ns), *packets[10:]])
        bench.finish()
        assert bench.heard() == payloads(packets)
        assert (bench.statistics().epochs, bench.statistics().quarantined) == (0, 2)

    def test_the_same_stray_twice_does_not_agree_with_itself(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(20)
        stray = Packet(7, 7, packets[9].arrival_ns, b"stray" * 32, ssrc=OTHER_SSRC)
        bench.play([*packets[:10], stray, stray, stray, *packets[10:]])
        bench.finish()
        assert bench.heard() == payloads(packets)
        assert bench.statistics().quarantined == 3

    def test_one_packet_with_timestamp_zero(self) -> None:
        """janus 2328: one marker packet with ts=0 made files of 20 GB."""
        bench, sender = Bench(), Sender(timestamp=4_000_000_000)
        packets = sender.packets(20)
        zero = Packet(packets[10].sequence, 0, packets[10].arrival_ns, packets[10].payload)
        bench.play([*packets[:10], zero, *packets[11:]])
        bench.finish()
        assert bench.length() == 20 * 160
        assert bench.totals() == {Kind.RECEIVED: 19 * 160, Kind.LOST: 160}
        assert bench.statistics().quarantined == 1

    def test_a_timestamp_that_jumps_by_half_its_range_and_back(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(20)
        away = [Packet(p.sequence, p.timestamp + 2**31, p.arrival_ns, p.payload) for p in packets]
        bench.play([*packets[:8], *away[8:12], *packets[12:]])
        bench.finish()
        assert bench.heard() == payloads(packets)
        assert bench.statistics().epochs == 2

    def test_one_packet_away_by_half_the_range(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(20)
        away = Packet(packets[8].sequence, packets[8].timestamp + 2**31, packets[8].arrival_ns, packets[8].payload)
        bench.play([*packets[:8], away, *packets[9:]])
        bench.finish()
        assert bench.length() == 20 * 160
        assert bench.statistics().quarantined == 1


class TestTwoSenders:
    def test_interleaved_the_newer_one_has_the_track(self) -> None:
        bench, one = Bench(), Sender()
        other = Sender(sequence=9, timestamp=9, ssrc=OTHER_SSRC)
        bench.play(one.packets(20))
        other.now_ns = one.now_ns
        for _ in range(100):
            bench.play([one.packet(), other.packet()])
        bench.finish()
        statistics = bench.statistics()
        assert statistics.epochs == 1
        assert statistics.delivered + statistics.quarantined == 220
        assert statistics.quarantined == pytest.approx(100, abs=2)
        assert bench.length() <= 122 * 160

    def test_the_older_one_comes_back_when_the_newer_one_is_silent(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(20))
        change(sender)
        bench.play(sender.packets(20))
        sender.pause(8 * 300)
        sender.restart(ssrc=SSRC, sequence=5000, timestamp=600_000)
        back = sender.packets(20)
        bench.play(back)
        bench.finish()
        assert bench.statistics().epochs == 2
        assert bench.statistics().delivered == 60
        assert bench.heard()[-20 * 160 :] == payloads(back)
