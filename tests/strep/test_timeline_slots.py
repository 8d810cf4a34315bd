"""The timeline's slots, codecs and settings, and what waits while a tape is shifted."""

from __future__ import annotations

from random import Random

import pytest

from strep.clock import NEVER_NS
from strep.g711 import Codec
from strep.ledger import Kind
from strep.table import TimelineSettings
from strep.timeline import Timeline
from tests.strep.bench import Bench, expected_tape
from tests.strep.packets import FRAME_NS, Packet, Sender, batch_of, burst


class TestSlots:
    def test_tracks_open_and_close_without_residue(self) -> None:
        """More tracks than the tables first hold; every slot is used again, and hears nothing of its past."""
        bench, random = Bench(0), Random(7)
        for generation in range(4):
            slots = [bench.open(random.choice(list(Codec))) for _ in range(150)]
            assert max(slots) < 150
            senders = [Sender(sequence=random.randrange(2**16), slot=slot) for slot in slots]
            sent: dict[int, list[Packet]] = {slot: [] for slot in slots}
            for _ in range(12):
                batch = [sender.packet() for sender in senders if random.random() < 0.9]
                bench.receive(*batch)
                bench.poll(batch[0].arrival_ns)
                for packet in batch:
                    sent[packet.slot].append(packet)
            random.shuffle(slots)
            for slot in slots:
                bench.timeline.finish(slot)
                bench.collect()
                assert bench.heard(slot) == expected_tape(sent[slot], bench.tapes[slot].silence), generation
                assert bench.statistics(slot).received == len(sent[slot])
                bench.close(slot)
            assert bench.timeline.deadline() == NEVER_NS
            table = bench.timeline.table
            assert len(table.ledgers) + len(table.held) + len(table.previous) == 0

    def test_closing_in_the_middle_of_everything(self) -> None:
        """A track that waits, holds and has an earlier epoch; its slot's next tenant knows nothing of it."""
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(10))
        sender.restart(ssrc=9, timestamp=7, sequence=5)
        bench.play(sender.packets(2))
        sender.lose(1)
        bench.receive(*sender.packets(3))
        bench.receive(Packet(9, 9, sender.now_ns, b"stray", ssrc=1))
        table = bench.timeline.table
        assert (len(table.held), len(table.previous)) == (1, 1)
        bench.timeline.close(0)
        assert len(table.ledgers) + len(table.held) + len(table.previous) == 0
        assert bench.timeline.deadline() == NEVER_NS
        bench.timeline.poll(sender.now_ns + 1_000_000_000)
        bench.timeline.take_blocks()
        bench.tapes.clear()
        assert bench.open() == 0
        packets = sender.packets(10)
        bench.play(packets)
        bench.finish()
        assert bench.heard() == expected_tape(packets)
        assert bench.statistics().received == bench.statistics().delivered == 10

    def test_growing_in_the_middle_keeps_what_waits(self) -> None:
        bench, sender = Bench(), Sender()
        packets = sender.packets(20)
        bench.play(packets[:5])
        bench.receive(*packets[6:9])
        for _ in range(200):
            bench.open()
        bench.receive(packets[5])
        bench.play(packets[9:])
        bench.finish()
        assert bench.heard() == expected_tape(packets)

    def test_an_empty_batch(self) -> None:
        bench = Bench()
        bench.timeline.receive(batch_of([]))
        assert bench.timeline.deadline() == NEVER_NS
        bench.finish()
        assert bench.length() == 0

    def test_a_track_that_never_got_a_packet(self) -> None:
        bench = Bench()
        bench.finish()
        assert bench.statistics().as_dict() == dict.fromkeys(bench.statistics().as_dict(), 0)
        assert bench.timeline.ledger_totals(0)[Kind.RECEIVED] == 0
        assert bench.tapes[0].pieces == []


class TestCodec:
    def test_it_may_change_until_there_is_audio(self) -> None:
        timeline = Timeline()
        slot = timeline.open(Codec.PCMU)
        assert timeline.set_codec(slot, Codec.PCMA)
        packets = Sender().packets(10)
        timeline.receive(batch_of([*packets[:2], *packets[5:]]))
        assert timeline.set_codec(slot, Codec.PCMA)
        assert not timeline.set_codec(slot, Codec.PCMU)
        timeline.finish(slot)
        (blocks,) = [block.encoded.tobytes()[:800] for block in timeline.take_blocks()[:1]]
        assert blocks[320:800] == bytes([Codec.PCMA.silence]) * 480


class TestShiftWaiting:
    """Places that were estimates; see `media.ws.chunks`."""

    def test_the_hole_becomes_longer(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(10))
        lost = sender.lose(1)
        waiting = sender.packets(2)
        bench.receive(*burst(waiting, sender.now_ns))
        bench.timeline.shift_waiting(0, waiting[0].sequence & 0xFFFF, 80)
        sender.timestamp += 80
        after = sender.packets(5)
        bench.play(after)
        bench.finish()
        shifted = [Packet(p.sequence, p.timestamp + 80, p.arrival_ns, p.payload) for p in waiting]
        assert bench.spans() == [(1600, 160, Kind.LOST), (1760, 80, Kind.SILENCE)]
        assert bench.length() == 1600 + 240 + 7 * 160
        assert bench.heard()[1840:] == expected_tape([*shifted, *after])
        assert bench.statistics().never_arrived == len(lost)

    def test_the_hole_becomes_shorter(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(10))
        sender.lose(1)
        waiting = sender.packets(2)
        bench.receive(*burst(waiting, sender.now_ns))
        bench.timeline.shift_waiting(0, waiting[0].sequence & 0xFFFF, -80)
        sender.timestamp -= 80
        after = sender.packets(5)
        bench.play(after)
        bench.finish()
        assert bench.spans() == [(1600, 80, Kind.LOST)]
        assert bench.heard()[1680:] == b"".join(packet.payload for packet in waiting + after)

    def test_only_what_comes_behind_moves(self) -> None:
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(10))
        sender.lose(1)
        first = sender.packets(2)
        sender.lose(1)
        second = sender.packets(2)
        bench.receive(*burst(first + second, sender.now_ns))
        bench.timeline.shift_waiting(0, second[0].sequence & 0xFFFF, 240)
        bench.finish()
        assert bench.heard()[1760:2080] == b"".join(packet.payload for packet in first)
        assert bench.heard()[2080 + 400 :] == b"".join(packet.payload for packet in second)
        assert bench.totals()[Kind.LOST] == 320
        assert bench.totals()[Kind.SILENCE] == 240

    def test_nothing_waits(self) -> None:
        bench, sender = Bench(), Sender()
        before = sender.packets(10)
        bench.play(before)
        bench.timeline.shift_waiting(0, sender.sequence & 0xFFFF, 800)
        bench.timeline.shift_waiting(0, before[5].sequence & 0xFFFF, 0)
        bench.timeline.shift_waiting(0, before[5].sequence & 0xFFFF, 80)
        sender.timestamp += 880
        after = sender.packets(10)
        bench.play(after)
        bench.finish()
        assert bench.spans() == [(1600, 880, Kind.SILENCE)]
        assert bench.heard() == expected_tape(before + after)

    @pytest.mark.parametrize("shift", [100_000, -100_000])
    def test_a_shift_that_does_not_fit(self, shift: int) -> None:
        """It is left undone; nothing that was received is lost, and the books are in order."""
        bench, sender = Bench(), Sender()
        bench.play(sender.packets(10))
        sender.lose(1)
        waiting = sender.packets(2)
        bench.receive(*burst(waiting, sender.now_ns))
        bench.timeline.shift_waiting(0, waiting[0].sequence & 0xFFFF, shift)
        bench.finish()
        assert bench.heard()[-320:] == b"".join(packet.payload for packet in waiting)
        assert bench.length() == 13 * 160

    def test_across_the_wrap_of_sequence_numbers(self) -> None:
        bench, sender = Bench(), Sender(sequence=65_533)
        bench.play(sender.packets(2))
        sender.lose(1)
        waiting = sender.packets(2)
        bench.receive(*burst(waiting, sender.now_ns))
        bench.timeline.shift_waiting(0, 0, 40)
        bench.finish()
        assert bench.length() == 5 * 160 + 40


class TestSettings:
    @pytest.mark.parametrize("block_ms", [20, 60, 100, 500])
    @pytest.mark.parametrize("wait_ms", [0, 20, 60, 400])
    def test_other_blocks_and_waits(self, block_ms: int, wait_ms: int) -> None:
        bench = Bench(settings=TimelineSettings(block_ms=block_ms, reorder_wait_ms=wait_ms))
        sender = Sender()
        packets = sender.packets(100)
        bench.play([*packets[:50], *packets[53:]])
        bench.finish()
        assert bench.heard() == expected_tape([*packets[:50], *packets[53:]])
        assert bench.spans() == [(8000, 480, Kind.LOST)]

    @pytest.mark.parametrize("rate_hz", [16_000, 48_000])
    def test_other_rates(self, rate_hz: int) -> None:
        bench = Bench(settings=TimelineSettings(sample_rate_hz=rate_hz))
        sender = Sender(samples=rate_hz // 50)
        packets = sender.packets(100)
        for i, packet in enumerate(packets):
            bench.receive(packet.at(packets[0].arrival_ns + i * FRAME_NS))
            bench.poll(packets[0].arrival_ns + i * FRAME_NS)
        bench.finish()
        assert bench.heard() == expected_tape(packets)
