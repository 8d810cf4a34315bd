"""Senders that count anew, go on hold, begin oddly or send no audio: the cases of the field, by name."""

from __future__ import annotations

import pytest

from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.ledger import Kind
from tests.strep.bench import Bench, expected_tape
from tests.strep.packets import FRAME_NS, Packet, Sender, burst, payloads


class TestSequenceRestart:
    @pytest.mark.parametrize("sequence", [5, 20_000, 40_000, 65_535])
    def test_with_continuous_timestamps_the_tape_goes_on(self, sequence: int) -> None:
        bench, sender = Bench(), Sender(sequence=1000)
        first = sender.packets(50)
        sender.sequence = sequence
        second = sender.packets(50)
        bench.play(first + second)
        bench.finish()
        assert bench.heard() == payloads(first + second)
        assert bench.spans() == []
        assert bench.statistics().epochs == 1

    def test_behind_a_stall_the_timestamps_know_better_than_the_clock(self) -> None:
        bench, sender = Bench(), Sender(sequence=1000)
        first = sender.packets(50)
        sender.sequence = 40_000
        second = sender.packets(50)
        stalled = second[15].arrival_ns
        bench.play([*first, *burst(second[:16], stalled), *second[16:]])
        bench.finish()
        assert bench.heard() == payloads(first + second)
        assert bench.spans() == []

    @pytest.mark.parametrize("pause_ms", [400, 1500, 20_000, 3_600_000])
    def test_after_a_hold_whose_time_the_timestamps_count(self, pause_ms: int) -> None:
        """The first packet of such an epoch may lie beyond the ring of tape; that used to raise IndexError."""
        bench, sender = Bench(), Sender(sequence=1000)
        first = sender.packets(50)
        sender.pause(8 * pause_ms)
        sender.sequence = 40_000
        second = sender.packets(50)
        bench.play(first + second)
        bench.finish()
        assert bench.spans() == [(8000, 8 * pause_ms, Kind.RESTART)]
        assert bench.tapes[0].pieces[0][1] + bench.tapes[0].pieces[-1][1]  # nothing between is handed out
        assert sum(len(data) for _, data in bench.tapes[0].pieces) < 16_000 + 12_800

    def test_in_a_backlog_without_a_poll(self) -> None:
        bench, sender = Bench(), Sender(sequence=1000)
        first = sender.packets(90)
        sender.sequence = 40_000
        second = sender.packets(79)
        bench.play(first[:20])
        bench.receive(*burst(first[20:] + second, sender.now_ns))
        bench.finish()
        assert bench.heard() == payloads(first + second)


class TestTimestampRestart:
    @pytest.mark.parametrize("timestamp", [0, 2**31, 2**32 - 1])
    def test_with_continuous_sequence_numbers(self, timestamp: int) -> None:
        bench, sender = Bench(), Sender(timestamp=1_000_000)
        first = sender.packets(50)
        sender.timestamp = timestamp
        second = sender.packets(50)
        bench.play(first + second)
        bench.finish()
        assert bench.heard() == payloads(first + second)
        assert bench.statistics().epochs == 1

    def test_backward_by_a_little(self) -> None:
        bench, sender = Bench(), Sender(timestamp=1_000_000)
        first = sender.packets(50)
        sender.timestamp -= 800
        second = sender.packets(50)
        bench.play(first + second)
        bench.finish()
        assert bench.heard() == payloads(first + second)


class TestHold:
    def test_twenty_seconds_with_timestamps_advancing(self) -> None:
        bench, sender = Bench(), Sender()
        first = sender.packets(50)
        sender.pause(160_000)
        second = sender.packets(50)
        bench.play(first + second)
        bench.finish()
        assert bench.spans() == [(8000, 160_000, Kind.SILENCE)]
        assert bench.heard() == expected_tape(first + second)
        assert bench.statistics().epochs == 0

    def test_then_one_packet_with_the_old_timestamp(self) -> None:
        """sippy/rtpproxy PR 61: two triggers each added the hold's silence, doubling it."""
        bench, sender = Bench(), Sender()
        first = sender.packets(50)
        old = sender.packet()
        sender.pause(160_000)
        second = sender.packets(50)
        bench.play([*first, old.at(second[0].arrival_ns - FRAME_NS), *second])
        bench.finish()
        assert bench.spans() == [(8160, 160_000, Kind.SILENCE)]
        assert bench.heard() == expected_tape([*first, old, *second])

    def test_five_seconds_of_stall_then_a_burst(self) -> None:
        """pipecat: an 863 s call became a 950 s file, because a stall was filled and then delivered as well."""
        bench, sender = Bench(), Sender()
        before, backlog = sender.packets(50), sender.packets(250)
        after = sender.packets(50)
        bench.play([*before, *burst(backlog, sender.now_ns - 50 * FRAME_NS), *after])
        bench.finish()
        assert bench.heard() == payloads(before + backlog + after)
        assert bench.spans() == []

    def test_five_seconds_at_once_at_the_beginning(self) -> None:
        """mediamtx 5550: a pre-roll burst trips a naive reset for drift."""
        bench, sender = Bench(), Sender()
        start_ns = sender.now_ns
        preroll = sender.packets(250)
        sender.now_ns = start_ns + FRAME_NS
        after = sender.packets(100)
        bench.play([*burst(preroll, start_ns), *after])
        bench.finish()
        assert bench.heard() == payloads(preroll + after)
        assert (bench.spans(), bench.statistics().epochs) == ([], 0)

    def test_five_seconds_at_once_at_the_beginning_of_which_most_is_lost(self) -> None:
        """The clock cannot tell what the kernel dropped of such a backlog; it used to be cut out of the tape."""
        bench, sender = Bench(), Sender()
        start_ns = sender.now_ns
        first, _, last = sender.packets(50), sender.lose(150), sender.packets(50)
        sender.now_ns = start_ns + FRAME_NS
        after = sender.packets(100)
        bench.play([*burst(first + last, start_ns), *after])
        bench.finish()
        assert bench.spans() == [(8000, 24_000, Kind.LOST)]
        assert bench.heard() == expected_tape([*first, *last, *after])
        assert (bench.statistics().epochs, bench.statistics().never_arrived) == (0, 150)

    def test_what_the_sequence_numbers_miss_is_believed_for_ten_seconds_at_once(self) -> None:
        bench, sender = Bench(), Sender()
        start_ns, sent = sender.now_ns, sender.packets(10)
        for _ in range(10):
            sender.lose(400)
            sent += sender.packets(10)
        bench.play(burst(sent, start_ns))
        bench.finish()
        assert 0 < sum(n for _, n, kind in bench.spans() if kind is Kind.LOST) <= 80_000
        assert bench.statistics().delivered == len(sent)


class TestBeginning:
    def test_the_first_packet_was_overtaken(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(20)
        bench.play([*burst([packets[3], packets[1], packets[0], packets[2]], packets[3].arrival_ns), *packets[4:]])
        bench.finish()
        assert bench.heard() == payloads(packets)

    @pytest.mark.parametrize("count", [1, 2, 5])
    def test_what_comes_too_late_for_the_beginning_begins_nothing(self, count: int) -> None:
        """Two such packets in a row used to pass for a new epoch, which put them behind what came after them."""
        bench, sender = Bench(), Sender()
        packets = sender.packets(30)
        bench.play(packets[count:15])
        late = burst(packets[:count], packets[15].arrival_ns)
        bench.play([*late[::-1], *packets[15:]])
        bench.finish()
        assert bench.heard() == payloads(packets[count:])
        statistics = bench.statistics()
        assert (statistics.epochs, statistics.late, statistics.quarantined) == (0, count, 0)
        assert statistics.never_arrived == 0

    def test_overtaken_by_few_packets_but_much_time(self) -> None:
        """There is tape for 0.4 s before the first arrival; what lies further back is late."""
        bench, sender = Bench(), Sender(samples=480)
        packets = sender.packets(20)
        bench.receive(*burst([packets[10], *packets[:10], *packets[11:]], packets[10].arrival_ns))
        bench.finish()
        assert bench.statistics().late == 4
        assert bench.heard() == payloads(packets[4:])
        assert bench.spans() == []

    def test_one_packet_only(self) -> None:
        bench, sender = Bench(), Sender()
        packet = sender.packet()
        bench.receive(packet)
        assert bench.length() == 0
        bench.finish()
        assert bench.heard() == packet.payload


class TestNoAudio:
    """Payload types that are no audio keep their place in the sequence, and that is all."""

    def event(self, sender: Sender, timestamp: int) -> Packet:
        packet = sender.packet(0, is_audio=False)
        return Packet(packet.sequence, timestamp, packet.arrival_ns, b"", is_audio=False)

    @pytest.mark.parametrize("behind", [-100_000, -640, -160, 0, 160, 100_000, 2**31])
    def test_an_event_whose_timestamp_is_not_in_line(self, behind: int) -> None:
        """A gateway that hears a digit dates its events back to the beginning of the tone (RFC 4733 2.5.1.1)."""
        bench, sender = Bench(), Sender()
        first = sender.packets(20)
        bench.play(first)
        start = sender.timestamp + behind
        for _ in range(5):
            bench.play([self.event(sender, start)])
            sender.pause(160)
        second = sender.packets(20)
        bench.play(second)
        bench.finish()
        statistics = bench.statistics()
        assert (statistics.invalid, statistics.epochs, statistics.quarantined) == (5, 0, 0)
        assert statistics.never_arrived == 0
        assert bench.spans() == [(3200, 800, Kind.SILENCE)]
        assert bench.heard() == expected_tape(first + second)

    def test_a_track_of_events_only(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play([self.event(sender, 5) for _ in range(10)])
        bench.finish()
        assert bench.length() == 0
        assert bench.statistics().invalid == 10

    def test_comfort_noise_is_silence(self) -> None:
        """Audio of no samples; the pause behind it is silence and no loss (RFC 3389)."""
        bench, sender = Bench(), Sender()
        first = [*sender.packets(10), sender.packet(0)]
        sender.pause(4000)
        second = sender.packets(10)
        bench.play(first + second)
        bench.finish()
        assert bench.spans() == [(1600, 4000, Kind.SILENCE)]
        assert bench.statistics().delivered == 21


def test_an_epoch_is_believed_although_the_tape_is_ahead() -> None:
    """After a pre-roll the tape is ahead of the clock; new epochs then go on at its end, one after the other."""
    bench, sender = Bench(), Sender()
    start_ns = sender.now_ns
    sent = burst(sender.packets(250), start_ns)
    for ssrc in range(4):
        sender.restart(ssrc=ssrc, timestamp=2**31 * ssrc)
        sent += burst(sender.packets(10), start_ns + (ssrc + 1) * 100 * NS_PER_MS)
    bench.play(sent)
    bench.finish()
    assert bench.heard() == payloads(sent)
    assert bench.statistics().epochs == 4
    assert sent[-1].arrival_ns < start_ns + NS_PER_SECOND
