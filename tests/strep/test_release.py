"""The way out: whole blocks, parts of them where a track is interrupted, and patches."""

from __future__ import annotations

import pytest

from strep.g711 import Codec
from strep.ledger import Kind
from strep.table import Beyond, TimelineSettings, TrackBlocks
from tests.strep.bench import Bench, expected_tape
from tests.strep.packets import Sender

BLOCK = 800


class TestBlocks:
    def test_a_block_leaves_when_its_last_sample_is_resolved(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(9))
        assert [len(data) for _, data in bench.tapes[0].pieces] == [800]
        bench.receive(sender.packet())
        bench.poll(sender.now_ns)
        assert [len(data) for _, data in bench.tapes[0].pieces] == [800, 800]

    def test_frames_that_end_within_a_block(self) -> None:
        bench, sender = Bench(), Sender(samples=240)
        packets = sender.packets(10)
        bench.play(packets[:4])
        assert [len(data) for _, data in bench.tapes[0].pieces] == [800]
        bench.play(packets[4:])
        bench.finish()
        assert bench.heard() == expected_tape(packets)

    def test_the_last_block_leaves_in_part(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play([*sender.packets(7), sender.packet(37)])
        bench.finish()
        assert [len(data) for _, data in bench.tapes[0].pieces] == [800, 357]

    def test_a_beginning_before_the_first_arrival_leaves_in_part(self) -> None:
        """Positions count from the first packet to arrive: what it overtook lies in the block before."""
        bench, sender = Bench(), Sender()
        packets = sender.packets(12)
        bench.play([packets[2].at(packets[0].arrival_ns), *packets[:2], *packets[3:]])
        bench.finish()
        assert [len(data) for _, data in bench.tapes[0].pieces] == [320, 800, 800]
        assert bench.heard() == expected_tape(packets)

    def test_finishing_and_going_on(self) -> None:
        bench, sender = Bench(), Sender()
        first = sender.packets(7)
        bench.play(first)
        bench.finish()
        second = sender.packets(7)
        bench.play(second)
        bench.finish()
        bench.finish()
        assert [len(data) for _, data in bench.tapes[0].pieces] == [800, 320, 480, 640]
        assert bench.heard() == expected_tape(first + second)

    def test_many_tracks_leave_together(self) -> None:
        bench = Bench(40)
        senders = [Sender(slot=slot) for slot in range(40)]
        for _ in range(9):
            bench.receive(*[sender.packet() for sender in senders])
        bench.timeline.poll(senders[0].now_ns)
        (blocks,) = bench.timeline.take_blocks()
        assert blocks.slot.tolist() == list(range(40))
        assert blocks.encoded.shape == (40, BLOCK)

    @pytest.mark.parametrize("codec", Codec)
    def test_loss_is_the_silence_of_the_codec(self, codec: Codec) -> None:
        bench, sender = Bench(codec=codec), Sender()
        bench.play(sender.packets(10))
        sender.lose(100)
        bench.play(sender.packets(10))
        sender.lose(3)
        bench.play(sender.packets(10))
        bench.finish()
        assert bench.heard()[1600 : 1600 + 16_000] == bytes([codec.silence]) * 16_000
        assert bench.heard()[-2080:-1600] == bytes([codec.silence]) * 480


class TestGaps:
    @pytest.mark.parametrize("seconds", [2, 20, 3600, 86_400])
    def test_hours_of_silence_cost_nothing(self, seconds: int) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(12))
        sender.pause(8000 * seconds)
        bench.play(sender.packets(12))
        bench.finish()
        assert bench.length() == 24 * 160 + 8000 * seconds
        assert len(bench.tapes[0].pieces) <= 8
        assert bench.tapes[0].jumps(bench.origin(), bench.origin() + bench.length())
        assert bench.spans() == [(1920, 8000 * seconds, Kind.SILENCE)]

    def test_on_many_tracks_at_once_each_its_own(self) -> None:
        bench = Bench(20)
        senders = [Sender(slot=slot) for slot in range(20)]
        bench.play([sender.packet() for _ in range(10) for sender in senders])
        for slot, sender in enumerate(senders):
            if slot % 3 == 1:
                sender.lose(100 + slot)
            if slot % 3 == 2:
                sender.timestamp += 8000 * slot
        now_ns = senders[0].now_ns + 400_000_000_000
        bench.receive(*[sender.packet().at(now_ns) for sender in senders])
        bench.finish()
        for slot in range(20):
            lost = [(1600, 160 * (100 + slot), Kind.LOST)]
            assert bench.spans(slot) == [[], lost, [(1600, 8000 * slot, Kind.SILENCE)]][slot % 3]

    def test_nothing_old_is_heard_again_when_the_ring_comes_round(self) -> None:
        """Silence where audio was written a ring ago, at every place within the ring."""
        bench, sender, sent = Bench(), Sender(samples=240), []
        for i in range(60):
            sent += sender.packets(1 + i % 7)
            sender.pause(100 + 37 * i)
        bench.play(sent)
        bench.finish()
        assert bench.heard() == expected_tape(sent)

    def test_a_frame_that_lies_where_a_block_was_released_is_not_written(self) -> None:
        """The same timestamp twice, over consecutive numbers: written, it would be heard a ring later."""
        bench, sender = Bench(), Sender(samples=240)
        packets = sender.packets(10)
        bench.play(packets)
        again = Sender(sequence=sender.sequence, timestamp=packets[9].timestamp, now_ns=sender.now_ns).packet(240)
        sender.sequence += 1
        bench.play([again])
        more = sender.packets(25)
        sender.pause(8000)
        rest = sender.packets(30)
        bench.play(more + rest)
        bench.finish()
        assert bench.heard() == expected_tape(packets + more + rest)


class TestBeyond:
    """What is known behind a block that ends in a loss, or right behind one, goes along with it: see `bench.py`."""

    def lose(self, before: int, lost: int, behind: int, beyond_ms: int = 35) -> list[dict[int, Beyond]]:
        """Return what each block said."""
        bench, sender = Bench(settings=TimelineSettings(beyond_ms=beyond_ms)), Sender()
        said: list[dict[int, Beyond]] = []
        take, timeline = bench.timeline.take_blocks, bench.timeline

        def collect() -> list[TrackBlocks]:
            taken = take()
            said.extend(blocks.beyond for blocks in taken)
            return taken

        timeline.take_blocks = collect  # type: ignore[method-assign]
        bench.play(sender.packets(before))
        sender.lose(lost)
        bench.play(sender.packets(behind))
        bench.finish()
        return said

    def test_a_block_that_ends_in_a_loss_knows_what_waited_behind_it(self) -> None:
        """60 ms are waited after the first packet behind the hole, and 35 of them are wanted."""
        [first, rest] = self.lose(3, 2, 5)
        assert {row: (known.lost_samples, len(known.encoded)) for row, known in first.items()} == {0: (0, 280)}
        assert not rest

    def test_a_hole_that_goes_on_behind_the_block(self) -> None:
        [first, rest, *_] = self.lose(4, 3, 10)
        assert first[0].lost_samples == 2 * 160
        assert len(first[0].encoded) == 280
        assert not rest, "what follows the hole is in the block"

    def test_a_loss_near_the_end(self) -> None:
        """20 ms behind the hole are in the block, and more is wanted."""
        [first, *_] = self.lose(3, 1, 6)
        assert first[0].lost_samples == 0
        assert len(first[0].encoded) == 280

    def test_not_unless_asked_for(self) -> None:
        assert not any(self.lose(3, 2, 5, beyond_ms=0))


class TestPatches:
    def test_before_the_block_left_it_goes_onto_the_tape(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(10)
        bench.play([*packets[:6], packets[7]])
        bench.settle()
        bench.receive(packets[6].at(sender.now_ns))
        bench.play(packets[8:])
        bench.finish()
        assert bench.tapes[0].patches == []
        assert bench.heard() == bench.recorded() == expected_tape(packets)
        assert bench.totals()[Kind.LATE_PATCHED] == 160

    def test_after_it_left_it_is_handed_out_by_itself(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(30)
        bench.play([*packets[:6], *packets[7:]])
        bench.settle()
        bench.receive(packets[6].at(sender.now_ns))
        bench.finish()
        assert bench.tapes[0].patches == [(bench.origin() + 960, packets[6].payload)]
        assert bench.recorded() == expected_tape(packets)

    def test_half_of_it_left(self) -> None:
        """A frame across the border of a block of which only the first has been released."""
        bench, sender = Bench(), Sender(samples=240)
        packets = sender.packets(8)
        bench.play([*packets[:3], packets[4]])
        bench.settle()
        bench.receive(packets[3].at(sender.now_ns))
        bench.play(packets[5:])
        bench.finish()
        assert bench.tapes[0].patches == [(bench.origin() + 720, packets[3].payload[:80])]
        assert bench.recorded() == expected_tape(packets)

    def test_one_longer_than_a_block(self) -> None:
        bench, sender = Bench(), Sender(samples=1400)
        packets = sender.packets(8)
        bench.play([*packets[:3], *packets[4:]])
        bench.settle()
        bench.receive(packets[3].at(sender.now_ns))
        bench.finish()
        assert [len(data) for _, data in bench.tapes[0].patches] == [800, 600]
        assert bench.recorded() == expected_tape(packets)
