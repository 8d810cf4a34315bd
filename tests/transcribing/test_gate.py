"""What the gate lets through, of a conversation that comes along, and of tones that are no voice."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.carrier.audio import CONVERSATION, load
from media.hearing.ear import VOICE, Ear
from media.hearing.voice import Voice
from media.transcribing.gate import HANG_OVER_MS, KEPT_MS, MAX_SPEECH_MS, PRE_ROLL_MS, Gate, Speech
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.g711 import LINEAR

Pcm = NDArray[np.int16]
TALK = load(CONVERSATION)
"""(2, samples): both sides."""


def blocks(tracks: dict[int, Pcm], block: int = 800, rate_hz: int = 8000, start: int = 0) -> list[PcmBatch]:
    """Return the ticks of tracks that are equally long, by key."""
    length, keys = len(next(iter(tracks.values()))), np.array(list(tracks))
    batches = []
    for first in range(0, length, block):
        rows = np.zeros((len(keys), block), np.int16)
        last = min(block, length - first)
        for row, pcm in enumerate(tracks.values()):
            rows[row, :last] = pcm[first : first + last]
        n = len(keys)
        columns = (keys // 2).astype(np.int32), (keys % 2).astype(np.uint8), np.full(n, start + first)
        ends = np.full(n, last, np.int32)
        codecs = np.full(n, LINEAR, np.uint8)
        now_ns = (start + first + block) * NS_PER_SECOND // rate_hz
        batches.append(PcmBatch(*columns, np.zeros(n, np.int32), ends, codecs, rows, rate_hz, now_ns=now_ns))
    return batches


def passed(gate: Gate, batches: list[PcmBatch]) -> list[Speech]:
    return [speech for batch in batches for speech in gate.receive(batch)]


def stretches(said: list[Speech], key: int = 0) -> list[tuple[int, int]]:
    """Return from where to where the gate was open, and check that speech follows on speech in it."""
    found: list[tuple[int, int]] = []
    begin = end = None
    for speech in said:
        if speech.key != key:
            continue
        if speech.pcm is None:
            assert begin is not None
            assert end == speech.position_samples
            found.append((begin, end))
            begin = None
        else:
            assert len(speech.pcm)
            if begin is None:
                begin = speech.position_samples
            else:
                assert speech.position_samples == end
            end = speech.position_samples + len(speech.pcm)
    assert begin is None, "speech that never ends"
    return found


def voices(pcm: Pcm) -> list[tuple[int, int]]:
    """Return from where to where somebody speaks, by the ear itself."""
    ear, found = Ear({VOICE}), []
    for batch in blocks({0: pcm}):
        found += ear.receive(batch)
    found += ear.forget(0)
    ends = [voice for voice in found if isinstance(voice, Voice) and not voice.speaks]
    return [(voice.position_samples - voice.length_samples, voice.position_samples) for voice in ends]


@pytest.mark.parametrize("block", [160, 800, 8000])
def test_every_voice_passes_whole_with_a_moment_before_and_behind(block: int) -> None:
    gate, pcm = Gate(), TALK[0]
    gate.want(0, 8000)
    said = passed(gate, blocks({0: pcm}, block)) + gate.forget(0)
    found, spoken = stretches(said), voices(pcm)
    assert len(spoken) > 3
    for begin, end in spoken:
        around = [one for one in found if one[0] <= begin and end <= one[1]]
        assert len(around) == 1, (begin, end, found)
    for begin, end in found:
        first = next(voice for voice in spoken if voice[0] >= begin)
        last = [voice for voice in spoken if voice[1] <= end][-1]
        assert first[0] - begin <= PRE_ROLL_MS * 8
        assert begin == max(first[0] - PRE_ROLL_MS * 8, 0) or begin in [one[1] for one in found]
        assert end in (last[1] + HANG_OVER_MS * 8, len(pcm))


def test_what_passes_is_what_was_there_and_what_is_silent_does_not() -> None:
    gate = Gate()
    for key in (4, 5):
        gate.want(key, 8000)
    said = passed(gate, blocks({4: TALK[0], 5: TALK[1]})) + gate.forget(4) + gate.forget(5)
    for speech in said:
        if speech.pcm is not None:
            there = TALK[speech.key - 4, speech.position_samples :][: len(speech.pcm)]
            assert np.array_equal(speech.pcm, there)
    for key in (4, 5):
        open_samples = sum(end - begin for begin, end in stretches(said, key))
        assert 0.2 * TALK.shape[1] < open_samples < 0.8 * TALK.shape[1]


def test_a_track_nobody_wants() -> None:
    gate = Gate()
    gate.want(1, 8000)
    said = passed(gate, blocks({0: TALK[0], 1: TALK[1], 2: TALK[0]}))
    assert {speech.key for speech in said} == {1}
    gate.forget(1)
    assert passed(gate, blocks({1: TALK[1]}, start=TALK.shape[1])) == []


@pytest.mark.parametrize("what", ["silence", "tone", "noise"])
def test_no_voice_passes_nothing(what: str) -> None:
    random, time = np.random.default_rng(1), np.arange(10 * 8000) / 8000
    audio = {
        "silence": np.zeros(len(time)),
        "tone": 8000 * np.sin(2 * np.pi * 440 * time),
        "noise": 30 * random.standard_normal(len(time)),
    }[what]
    gate = Gate()
    gate.want(0, 8000)
    assert passed(gate, blocks({0: audio.astype(np.int16)})) == []


def test_an_interruption_ends_speech_and_what_follows_is_where_it_is() -> None:
    gate, spoken = Gate(), voices(TALK[0])
    middle = sum(spoken[0]) // 2 // 800 * 800
    gate.want(0, 8000)
    said = passed(gate, blocks({0: TALK[0, :middle]}))
    said += passed(gate, blocks({0: TALK[0]}, start=50_000))
    said += gate.forget(0)
    found = stretches(said)
    assert found[0][1] == middle
    assert min(begin for begin, _ in found[1:]) >= 50_000
    assert len(found) == 1 + len(stretches(once(TALK[0])))


def once(pcm: Pcm) -> list[Speech]:
    gate = Gate()
    gate.want(0, 8000)
    return passed(gate, blocks({0: pcm})) + gate.forget(0)


def test_packets_that_stop_end_speech() -> None:
    gate, spoken = Gate(), voices(TALK[0])
    middle = sum(spoken[0]) // 2 // 800 * 800
    gate.want(0, 8000)
    batches = blocks({0: TALK[0, :middle]})
    said = passed(gate, batches)
    assert said[-1].pcm is not None
    now_ns = batches[-1].now_ns
    assert gate.receive(PcmBatch.tick(now_ns + 100 * NS_PER_MS)) == []
    [end] = gate.receive(PcmBatch.tick(now_ns + 2000 * NS_PER_MS))
    assert end == Speech(0, middle)


def babble(length: int) -> Pcm:
    """Return what is taken for a voice that makes no pause."""
    random = np.random.default_rng(2)
    syllables = np.repeat([1, 1, 1, 1, 0, 0], 320)  # in between it is silent, or all of it would be the noise floor
    loudness = np.resize(syllables, length) * np.repeat(random.uniform(2000, 12_000, length // 320 + 1), 320)[:length]
    return (loudness * random.standard_normal(length) / 4).astype(np.int16)


def test_speech_without_an_end_is_cut() -> None:
    gate = Gate()
    gate.want(0, 8000)
    said = passed(gate, blocks({0: babble((2 * MAX_SPEECH_MS + 5000) * 8)}))
    found = stretches([*said, *gate.forget(0)])
    assert [end - begin for begin, end in found[:2]] == pytest.approx(
        2 * [MAX_SPEECH_MS * 8], abs=(PRE_ROLL_MS + 100) * 8
    )
    assert found[1][0] == found[0][1]
    assert found[2][0] == found[1][1]


def test_what_is_cut_while_it_closes_closes() -> None:
    spoken = (MAX_SPEECH_MS - 800) * 8
    gate = Gate()
    gate.want(0, 8000)
    said = passed(gate, blocks({0: np.concatenate([babble(spoken), np.zeros(20 * 8000, np.int16)])}))
    found = stretches(said)
    assert spoken < found[0][1] < spoken + HANG_OVER_MS * 8, "cut before it closes"
    assert found[-1][1] <= spoken + HANG_OVER_MS * 8
    assert gate.forget(0) == []


def test_what_passes_holds_no_audio_of_others() -> None:
    gate = Gate()
    gate.want(0, 8000)
    for batch in blocks({0: TALK[0], 2: TALK[1]}):
        for speech in gate.receive(batch):
            assert speech.pcm is None or speech.pcm.base is None


def test_blocks_that_nobody_can_hear_do_not_fill_memory() -> None:
    gate = Gate()
    gate.want(0, 8000)
    for batch in blocks({0: TALK[0]}, block=400):
        with pytest.raises(ValueError, match="no whole number of 20 ms"):
            gate.receive(batch)
    assert sum(len(piece.pcm) for piece in gate._tracks[0].kept) <= (KEPT_MS + 50) * 8


def test_a_rate_that_no_voice_can_be_told_at_passes_whole() -> None:
    gate, pcm = Gate(), np.arange(22_050, dtype=np.int16)
    gate.want(0, 11_025)
    said = passed(gate, blocks({0: pcm}, 1102, 11_025)) + gate.forget(0)
    assert np.array_equal(np.concatenate([s.pcm for s in said if s.pcm is not None]), pcm)
    assert said[-1] == Speech(0, len(pcm))


def test_late_blocks_are_not_heard() -> None:
    gate = Gate()
    gate.want(0, 8000)
    for batch in blocks({0: TALK[0]}):
        batch.late = True
        assert gate.receive(batch) == []


def test_the_next_call_of_an_index_begins_anew() -> None:
    gate = Gate()
    for _ in range(2):
        gate.want(0, 8000)
        said = passed(gate, blocks({0: TALK[0]})) + gate.forget(0)
        gate.forget_call(0)
        assert stretches(said) == stretches(once(TALK[0]))
