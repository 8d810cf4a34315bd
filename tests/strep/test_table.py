"""What a timestamp must be to be believed, and how long a tape may become."""

from __future__ import annotations

import pytest

from strep.ledger import Kind
from strep.table import TimelineSettings, TrackTable
from tests.strep.bench import Bench, expected_tape
from tests.strep.packets import FRAME_NS, Packet, Sender, burst


class TestSettings:
    def test_derived_figures(self) -> None:
        settings = TimelineSettings(sample_rate_hz=16_000, block_ms=20, reorder_wait_ms=40)
        assert settings.block_samples == 320
        assert settings.reorder_wait_ns == 40_000_000
        assert settings.jump_tolerance_samples == 16_000
        assert settings.samples(1_000_000_000) == 16_000
        assert settings.samples(-1) == -1

    @pytest.mark.parametrize("block_ms", [10, 20, 100, 1000])
    @pytest.mark.parametrize("wait_ms", [0, 60, 1000])
    def test_the_ring_holds_what_may_wait(self, block_ms: int, wait_ms: int) -> None:
        settings = TimelineSettings(block_ms=block_ms, reorder_wait_ms=wait_ms)
        table = TrackTable(settings)
        ring_ms = table.tape.ring_samples // 8
        assert ring_ms >= max(16 * wait_ms, 8 * block_ms, settings.ring_ms)
        assert table.start_position % table.tape.ring_samples == 0


class TestBelief:
    # The clock ran for one frame since the last packet came.
    @pytest.mark.parametrize(("ahead", "believed"), [(8159, True), (8160, True), (8161, False), (800_000, False)])
    def test_a_jump_of_more_than_the_tolerance_is_not_believed(self, ahead: int, believed: bool) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(50))
        sender.timestamp += ahead
        bench.play(sender.packets(2))
        bench.finish()
        assert bench.statistics().epochs == (not believed)
        assert bench.totals().get(Kind.SILENCE, 0) == (ahead if believed else 0)

    def test_as_much_as_the_clock_ran(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(50))
        sender.pause(1_000_000)
        sender.timestamp += 8000
        bench.play(sender.packets(2))
        bench.finish()
        assert bench.statistics().epochs == 0

    def test_behind_a_stall_a_jump_is_measured_from_the_beginning(self) -> None:
        """Packets of before and after a hold come at once: by the last arrival alone, the jump is too large."""
        bench, sender = Bench(), Sender()
        first = sender.packets(50)
        stalled = sender.packets(5)
        sender.pause(160_000)
        after = sender.packets(5)
        bench.play([*first, *burst(stalled + after, sender.now_ns)])
        bench.finish()
        assert bench.heard() == expected_tape(first + stalled + after)
        assert bench.statistics().epochs == 0


class TestNoGiants:
    """janus 2250 and 2328, mediamtx 4711: timestamps make files of gigabytes; also little by little."""

    @pytest.mark.parametrize("step", [320, 960, 7000, 8000])
    def test_timestamps_of_another_clock(self, step: int) -> None:
        """A sender that counts 48 kHz on an 8 kHz track made the tape six times as long as the call."""
        bench, sender = Bench(), Sender()
        for _ in range(500):
            bench.play([sender.packet()])
            sender.timestamp += step - 160
        bench.finish()
        assert bench.length() <= 2 * 500 * 160 + 8000
        assert bench.statistics().received == 500

    @pytest.mark.parametrize("jump", [2**20, 2**31 - 1, 2**31, 2**32 - 2**20])
    def test_a_jump_every_other_packet(self, jump: int) -> None:
        bench, sender = Bench(), Sender()
        for _ in range(300):
            bench.play(sender.packets(2))
            sender.timestamp += jump
        bench.finish()
        assert bench.length() <= 600 * 160 + 8000

    def test_a_preroll_is_no_excuse(self) -> None:
        """The tape may be ahead of the clock by what was received, and not by more."""
        bench, sender = Bench(), Sender()
        start_ns = sender.now_ns
        bench.play(burst(sender.packets(250), start_ns))
        for i in range(20):
            sender.timestamp += 8000
            bench.play([sender.packet().at(start_ns + i * FRAME_NS)])
        bench.finish()
        assert bench.length() <= 270 * 160 + 20 * 160 + 8000

    def test_an_epoch_whose_place_is_not_final_yet(self) -> None:
        """Its provisional place is behind the clock, but that is no room for a jump of its own."""
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(10))
        sender.restart(ssrc=1, timestamp=0)
        sender.now_ns += 20_000_000_000
        packets = [sender.packet()]
        sender.timestamp += 15_000
        packets.append(sender.packet())
        packets = [Packet(p.sequence, p.timestamp, packets[0].arrival_ns, p.payload, ssrc=1) for p in packets]
        bench.play(packets)
        bench.finish()
        assert bench.length() <= 160_000 + 12 * 160 + 8000
