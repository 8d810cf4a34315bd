"""`media.denoising.denoiser`: blocks of calls, each sample at its place, whatever happens to a track."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.blocks import PcmBatch
from media.denoising.denoiser import HELD_NS, Denoiser
from media.sinks.contract import CallInfo
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.g711 import Codec, decode
from strep.header import Direction
from tests.denoising.sounds import as_pcm, denoised, hiss, level_db, talk
from tests.hearing.audio import row_batch
from tests.sinks.rows import Row, batch_of

IN, OUT = Direction
WIDTH = 160


def call_of(index: int = 0, rate_hz: int = 8000) -> CallInfo:
    return CallInfo(index, f"call-{index}", "ws", 0, rate_hz)


class Line:
    """What comes out, put where it belongs; that it fits there is checked."""

    def __init__(self, *on: Direction, calls: int = 1, rate_hz: int = 8000) -> None:
        self.said: list[tuple[int, Direction, bool, int]] = []
        self.denoiser = Denoiser(on, lambda call, *what: self.said.append((call.index, *what)))
        self.calls = [call_of(i, rate_hz) for i in range(calls)]
        self.audio: dict[tuple[int, int], list[tuple[int, np.ndarray]]] = {}
        self.lost: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self.ticks = 0
        for call in self.calls:
            self.denoiser.begin(call)

    def send(self, batch: PcmBatch) -> None:
        self.take(self.denoiser.receive(batch))

    def end(self, index: int = 0) -> None:
        self.take(self.denoiser.end(self.calls[index]))

    def take(self, batches: Iterable[PcmBatch]) -> None:
        for batch in batches:
            self.ticks += not len(batch)
            columns = (batch.call, batch.channel, batch.positions, batch.first, batch.last)
            for row, (call, channel, position, first, last) in enumerate(
                zip(*(column.tolist() for column in columns), strict=True)
            ):
                assert 0 <= first < last <= batch.encoded.shape[1]
                track = call, channel
                pieces = self.audio.setdefault(track, [])
                if not batch.late:
                    assert not pieces or pieces[-1][0] + len(pieces[-1][1]) <= position + first, "told twice"
                pieces.append((position + first, batch.pcm[row, first:last]))
                spans = batch.lost[batch.lost[:, 0] == row, 1:] + position
                self.lost.setdefault(track, []).extend(map(tuple, spans.tolist()))

    def whole(self, length: int, call: int = 0, channel: int = 0) -> np.ndarray:
        """Return a track from position 0 on; what nobody told is 7777."""
        audio = np.full(length, 7777, np.int16)
        for position, pcm in self.audio.get((call, channel), ()):
            audio[position : position + len(pcm)] = pcm
        return audio


def blocks(pcm: np.ndarray, width: int = WIDTH, call: int = 0, **batch: object) -> list[PcmBatch]:
    return [
        row_batch([pcm[start : start + width]], [call], [start], **batch)  # type: ignore[arg-type]
        for start in range(0, len(pcm), width)
    ]


class TestPlaces:
    @pytest.mark.parametrize("block_ms", [20, 33, 100, 1000])
    @pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
    def test_blocks_of_any_length(self, block_ms: int, rate_hz: int) -> None:
        width = rate_hz * block_ms // 1000
        pcm = as_pcm(hiss(4.2, 1000, rate_hz)[: 4 * rate_hz // width * width])
        line = Line(IN, rate_hz=rate_hz)
        for batch in blocks(pcm, width, rate_hz=rate_hz):
            line.send(batch)
        line.end()
        made = line.whole(len(pcm))
        np.testing.assert_allclose(made, denoised(pcm.astype(float), rate_hz), atol=0.6)
        assert level_db(made[-rate_hz:]) < 60 - 12

    def test_blocks_leave_as_whole_as_they_came(self) -> None:
        """Whole blocks that continue their tracks are what sinks take in columns."""
        denoiser = Denoiser([IN, OUT])
        denoiser.begin(call_of())
        for number, batch in enumerate(blocks(as_pcm(hiss(2, 100)), 800)):
            [made] = denoiser.receive(batch)
            assert made.encoded.shape == batch.encoded.shape
            assert made.positions == batch.positions - 160
            assert made.first == (160 if number == 0 else 0)
            assert made.last == 800
            assert made.is_linear

    def test_a_track_that_begins_and_ends_within_a_block(self) -> None:
        pcm = as_pcm(hiss(0.2, 1000))
        line = Line(IN)
        for i, batch in enumerate(blocks(pcm)):
            batch.first[:] = 37 if i == 0 else 0
            batch.last[:] = 101 if i == 9 else 160
            line.send(batch)
        line.end()
        made = line.whole(len(pcm))
        assert (made[:37] == 7777).all()
        assert (made[-59:] == 7777).all()
        assert np.abs(made[37:-59].astype(int) - pcm[37:-59]).max() <= 1

    def test_code_bytes(self) -> None:
        line = Line(OUT)
        for i in range(20):
            row = [Row(0, channel, 800 * i, codec=Codec.PCMA, seed=channel) for channel in (0, 1)]
            line.send(batch_of(*row))
        line.end()
        rows = [np.concatenate([Row(0, c, 800 * i, seed=c).encoded for i in range(20)]) for c in (0, 1)]
        inbound, outbound = (decode(row, Codec.PCMA) for row in rows)
        assert np.array_equal(line.whole(16000), inbound), "a track that is not filtered is as it came"
        np.testing.assert_allclose(line.whole(16000, channel=1), denoised(outbound.astype(float)), atol=0.6)

    @given(st.data())
    def test_nothing_is_missing_and_nothing_told_twice(self, data: st.DataObject) -> None:
        """Interruptions, switches, pauses of any kind: the positions that come in are those that go out."""
        line, there = Line(IN), np.zeros(40_000, np.bool_)
        position, now_ns = 0, 0
        for _ in range(data.draw(st.integers(1, 25))):
            now_ns += data.draw(st.sampled_from([20, 20, 400])) * NS_PER_MS
            match data.draw(st.sampled_from(["block", "block", "block", "jump", "on", "off", "tick", "partial"])):
                case "jump":
                    position += data.draw(st.integers(1, 500))
                case "on" | "off" as state:
                    line.denoiser.switch(line.calls[0], IN, on=state == "on")
                case "tick":
                    line.send(PcmBatch.tick(now_ns))
                case kind:
                    ends = st.sets(st.integers(0, 160), min_size=2, max_size=2)
                    first, last = (0, 160) if kind == "block" else sorted(data.draw(ends))
                    batch = row_batch(
                        [np.full(160, 100, np.int16)], [0], [position - first], first=[first], last=[last]
                    )
                    batch.now_ns = now_ns
                    there[position : position + last - first] = True
                    line.send(batch)
                    position += last - first
        line.end()
        assert np.array_equal(line.whole(len(there)) != 7777, there)

    def test_several_blocks_of_a_track_in_a_batch(self) -> None:
        pcm = as_pcm(hiss(3.2, 1000))
        pieces = pcm.reshape(-1, 160)
        line = Line(IN)
        for i in range(0, len(pieces), 4):
            line.send(row_batch(list(pieces[i : i + 4]), [0] * 4, [160 * (i + j) for j in range(4)]))
        line.end()
        np.testing.assert_allclose(line.whole(len(pcm)), denoised(pcm.astype(float)), atol=0.6)


class TestManyCalls:
    def test_each_as_if_it_were_alone(self) -> None:
        """Whether they lie alike or begin anywhere; a number that is used again is another's."""
        random = np.random.default_rng(1)
        tracks = [as_pcm(hiss(2, 50 * (i + 1), seed=i)) for i in range(8)]
        shifts = [0, 0, 0, 31, 31, 80, 159, 0]
        together = Line(IN, OUT, calls=8)
        for start in range(0, 15_840, 160):
            order = random.permutation(8)
            rows = [tracks[i][start : start + 160] for i in order]
            together.send(row_batch(rows, order.tolist(), [start + shifts[i] for i in order]))
        for i, (pcm, shift) in enumerate(zip(tracks, shifts, strict=True)):
            together.end(i)
            made = together.whole(16_000, call=i)[shift : shift + 15_840]
            np.testing.assert_allclose(made, denoised(pcm[:15_840].astype(float)), atol=0.6)
        assert together.denoiser.filtered == 0
        together.denoiser.begin(call_of(3))
        together.audio.clear()
        for batch in blocks(tracks[3][:1600], call=3):
            together.send(batch)
        together.end(3)
        assert np.abs(together.whole(1600, call=3).astype(int) - tracks[3][:1600]).max() <= 1, "nothing is known yet"

    def test_calls_of_several_rates(self) -> None:
        line = Line(IN)
        line.denoiser.begin(call_of(1, 16000))
        narrow, wide = as_pcm(hiss(2, 300)), as_pcm(hiss(2, 300, 16000))
        for one, other in zip(blocks(narrow), blocks(wide, 320, call=1, rate_hz=16000), strict=True):
            line.send(one)
            line.send(other)
        line.end()
        line.take(line.denoiser.end(call_of(1, 16000)))
        np.testing.assert_allclose(line.whole(16000), denoised(narrow.astype(float)), atol=0.6)
        np.testing.assert_allclose(line.whole(32000, call=1), denoised(wide.astype(float), 16000), atol=0.6)

    def test_a_rate_that_is_too_low_goes_by(self) -> None:
        line = Line(IN, rate_hz=6000)
        batch = row_batch([np.arange(120, dtype=np.int16)], [0], [0], rate_hz=6000)
        assert list(line.denoiser.receive(batch)) == [batch]


class TestSwitching:
    def test_on_and_off_without_a_click(self) -> None:
        """A low tone jumps no further from sample to sample than it does by itself; the noise goes and comes back."""
        pcm = as_pcm(3000 * np.sin(2 * np.pi * 100 * np.arange(80_000) / 8000) + hiss(10, 300))
        line = Line()
        for i, batch in enumerate(blocks(pcm)):
            if i % 100 == 50:
                line.denoiser.switch(line.calls[0], IN, on=i // 100 % 2 == 0)
            line.send(batch)
        line.end()
        made = line.whole(len(pcm)).astype(float)
        assert [(on, place) for _, _, on, place in line.said] == [(i % 2 == 0, 8000 + 16_000 * i) for i in range(5)]
        own = np.abs(np.diff(pcm.astype(float))).max()
        assert np.abs(np.diff(made)).max() <= own
        assert np.array_equal(made[:8000], pcm[:8000])
        assert np.array_equal(made[24_000:40_000], pcm[24_000:40_000])
        assert level_db(np.diff(made[16_000:23_800])) < level_db(np.diff(made[24_000:40_000])) - 9

    def test_directions_are_apart(self) -> None:
        line = Line(OUT)
        line.denoiser.switch(line.calls[0], OUT, on=False)
        line.denoiser.switch(line.calls[0], IN, on=True)
        line.send(row_batch([np.ones(160, np.int16)] * 2, [0, 0], [0, 0], channel=[0, 1]))
        assert line.said == [(0, IN, True, 0)]
        assert list(line.audio) == [(0, OUT)]

    def test_before_the_sink_has_heard_of_the_call(self) -> None:
        """The sink may be behind: a switch waits for its call and is nobody else's."""
        denoiser = Denoiser()
        gone, other = call_of(5), call_of(5)
        denoiser.switch(gone, IN, on=True)
        denoiser.switch(other, OUT, on=True)
        denoiser.begin(other)
        list(denoiser.receive(row_batch([np.ones(160, np.int16)] * 2, [5, 5], [0, 0], channel=[0, 1])))
        assert denoiser.filtered == 1
        list(denoiser.end(other))
        denoiser.begin(gone)
        list(denoiser.receive(row_batch([np.ones(160, np.int16)] * 2, [5, 5], [0, 0], channel=[0, 1])))
        assert denoiser.filtered == 0

    def test_off_costs_nothing_and_delays_nothing(self) -> None:
        denoiser = Denoiser()
        denoiser.begin(call_of())
        batch = row_batch([np.ones(160, np.int16)], [0], [0])
        [made] = denoiser.receive(batch)
        assert made is batch


class TestInterruptions:
    def test_what_was_held_comes_first_and_nothing_of_it_lives_on(self) -> None:
        before, behind = as_pcm(hiss(3, 2000)), as_pcm(talk(0.25))
        line = Line(IN)
        for batch in blocks(before):
            line.send(batch)
        for batch in blocks(behind):
            batch.positions[:] += 30_000
            line.send(batch)
        line.end()
        made = line.whole(30_000 + len(behind))
        assert (made[:24_000] != 7777).all()
        assert (made[24_000:30_000] == 7777).all()
        assert np.abs(made[30_000:].astype(int) - behind).max() <= 1, "another source: its noise is not known"

    def test_what_is_held_does_not_wait_for_ever(self) -> None:
        """Packets stop (DTX, hold): the last 20 ms of what was said are handed on by the next tick."""
        pcm = as_pcm(hiss(4, 1000))
        line = Line(IN)
        for batch in blocks(pcm[:16_000]):
            line.send(batch)
        assert line.whole(16_000)[-1] == 7777
        line.send(PcmBatch.tick(HELD_NS // 2))
        assert line.whole(16_000)[-1] == 7777
        line.send(PcmBatch.tick(NS_PER_SECOND))
        assert line.whole(16_000)[-1] != 7777
        assert line.ticks == 2, "the sink behind gets its ticks"
        for start in range(16_000, 32_000, 160):
            line.send(row_batch([pcm[start : start + 160]], [0], [start]))
        line.end()
        made = line.whole(32_000)
        assert level_db(made[16_160:20_000]) < 60 - 10, "the noise is remembered"
        steps = np.abs(np.diff(made.astype(int)))
        assert steps[15_900:16_200].max() < 3 * steps[17_000:20_000].max()


class TestLoss:
    @pytest.mark.parametrize("width", [160, 800])
    def test_lost_stretches_move_with_their_audio(self, width: int) -> None:
        spans = [(100, 260), (1600, 1760), (1790, 1800), (3000, 4000), (7990, 8000)]
        lost = np.zeros(8000, np.bool_)
        for begin, end in spans:
            lost[begin:end] = True
        line = Line(IN)
        for start in range(0, 8000, width):
            edges = np.flatnonzero(np.diff(np.pad(lost[start : start + width], 1).astype(int)))
            holes = [(0, int(a), int(b)) for a, b in edges.reshape(-1, 2)]
            line.send(row_batch([np.full(width, 100, np.int16)], [0], [start], lost=holes))
        line.end()
        told = np.zeros(8000, np.bool_)
        for begin, end in line.lost[0, 0]:
            assert not told[begin:end].any()
            told[begin:end] = True
        assert np.array_equal(told, lost)
        assert not len(line.denoiser._lost)

    @pytest.mark.parametrize("shift", [0, 37])
    def test_a_patch_is_what_is_heard(self, shift: int) -> None:
        """Of what was handed on it is a late block; what is held it replaces before anybody has heard it."""
        line = Line(IN)
        for batch in blocks(np.full(1600, 100, np.int16)):
            line.send(batch)
        patch = np.full(160, 9, np.int16)
        late = [row_batch([patch], [0], [place - shift], late=True) for place in (160, 1440 + shift, 1440)]
        given = [list(line.denoiser.receive(batch)) for batch in late]
        assert [[batch.late for batch in batches] for batches in given] == [[True], [], [True] if shift else []]
        for batches in given:
            line.take(batches)
        for place in (1600, 1760):
            line.send(row_batch([np.full(160, 100, np.int16)], [0], [place]))
        line.send(row_batch([patch], [0], [1760 + shift], first=[1], last=[100], late=True))
        line.end()
        expected = np.full(1920, 100)
        for begin, end in ((160 - shift, 320 - shift), (1440 - shift, 1600), (1761 + shift, 1860 + shift)):
            expected[begin:end] = 9
        np.testing.assert_allclose(line.whole(1920), expected, atol=1)
        assert not line.denoiser._late

    def test_a_pause_takes_back_what_is_held(self) -> None:
        """What is handed on behind its beginning is silence, also to a sink that knows nothing of late blocks."""
        line, loud = Line(IN), as_pcm(hiss(1, 3000))
        for batch in blocks(loud):
            line.send(batch)
        assert not list(line.denoiser.receive(row_batch([np.zeros(160, np.int16)], [0], [7840], late=True)))
        for start in range(8000, 9600, 160):
            line.send(row_batch([np.zeros(160, np.int16)], [0], [start]))
        line.end()
        assert not line.whole(9600)[7840:8000].any()
