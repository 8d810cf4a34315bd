"""Voices, losses, and the way of the packets through the timeline for `benchmarks.conceal`; seeded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.hearing_corpus import as_mu_law, speech
from benchmarks.transcribe_corpus import PROGRAM, SENTENCES, speak
from media.blocks import PcmBatch
from media.carrier.audio import CONVERSATION, load
from strep.clock import NS_PER_MS, NS_PER_SECOND
from strep.frames import FrameBatch
from strep.g711 import SAMPLE_RATE_HZ, Codec, encode
from strep.table import TimelineSettings
from strep.timeline import Timeline

Pcm = NDArray[np.int16]
Lost = NDArray[np.bool_]

PACKET_SAMPLES = 160
PACKET_NS = 20 * NS_PER_MS
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
_LEVEL = 1500.0
_SETTLING = 5
"""Packets at the beginning that are not lost: nobody has said anything yet."""


def voices(seconds: float, scratch: Path) -> dict[str, Pcm]:
    """Return (samples,) of mu-law for each voice: of the conversation, of flite and espeak-ng where they are."""
    made = {
        f"conversation, {name}": side[np.abs(side.astype(int)) > 0]
        for name, side in zip(("caller", "callee"), load(CONVERSATION), strict=True)
    }
    if shutil.which(PROGRAM):
        for voice in FLITE_VOICES:
            spoken = [speak(text, voice, scratch) for text in SENTENCES]
            made[f"flite, {voice}"] = np.concatenate(spoken)
    if shutil.which("espeak-ng"):
        random = np.random.default_rng(1)
        for number in range(4):
            made[f"espeak-ng, {number + 1}"] = next(speech(1, random))
    count = round(seconds * SAMPLE_RATE_HZ) // PACKET_SAMPLES * PACKET_SAMPLES
    return {name: _levelled(np.resize(pcm, count)) for name, pcm in made.items()}


def _levelled(pcm: Pcm) -> Pcm:
    return as_mu_law(pcm * (_LEVEL / np.sqrt(np.mean(pcm.astype(np.float64) ** 2))))


def losses(packets: int, share: float, burst: float, random: np.random.Generator) -> Lost:
    """Return (packets,) which are lost: `share` of them, `burst` in a row on average (Gilbert's model; 1: random)."""
    lost = np.zeros(packets, np.bool_)
    if burst <= 1:
        lost = random.random(packets) < share
    else:
        leave, enter = 1 / burst, share / (burst * (1 - share))
        draws, is_lost = random.random(packets), False
        for number, draw in enumerate(draws.tolist()):
            is_lost = draw >= leave if is_lost else draw < enter
            lost[number] = is_lost
    lost[:_SETTLING] = lost[-_SETTLING:] = False
    return lost


def arrived(tracks: Pcm, lost: Lost, *, block_ms: int = 100, beyond_ms: int = 35) -> Iterator[PcmBatch]:
    """Yield the blocks of (n, samples) as the timeline lets them go when packets of them are lost, (n, packets)."""
    timeline = Timeline(TimelineSettings(block_ms=block_ms, beyond_ms=beyond_ms), len(tracks))
    slots = np.array([timeline.open(Codec.PCMU) for _ in tracks])
    payloads = encode(tracks, Codec.PCMU).reshape(len(tracks), -1, PACKET_SAMPLES)
    now_ns = NS_PER_SECOND
    for number in range(lost.shape[1]):
        now_ns += PACKET_NS
        here = np.flatnonzero(~lost[:, number])
        same = np.ones(len(here), np.int64)
        timeline.receive(
            FrameBatch(
                slot=slots[here],
                sequence_number=same * (number & 0xFFFF),
                timestamp=same * number * PACKET_SAMPLES,
                ssrc=same,
                arrival_ns=same * now_ns,
                is_audio=np.ones(len(here), np.bool_),
                table=payloads[:, number],
                row=here,
                offset=same * 0,
                length=same * PACKET_SAMPLES,
            )
        )
        timeline.poll(now_ns)
        yield from _batches(timeline, now_ns)
    timeline.finish(*slots.tolist())
    yield from _batches(timeline, now_ns)


def _batches(timeline: Timeline, now_ns: int) -> Iterator[PcmBatch]:
    origin = timeline.table.start_position
    for blocks in timeline.take_blocks():
        yield PcmBatch(
            call=(blocks.slot // 2).astype(np.int32),
            channel=(blocks.slot % 2).astype(np.uint8),
            positions=blocks.position - origin,
            first=blocks.first.astype(np.int32),
            last=blocks.last.astype(np.int32),
            codec=timeline.codec[blocks.slot],
            encoded=blocks.encoded,
            now_ns=now_ns,
            lost=blocks.lost,
            beyond=blocks.beyond,
        )


def joined(batches: Iterator[PcmBatch], tracks: int, samples: int) -> Pcm:
    """Return (tracks, samples) of what is in batches."""
    made = np.zeros((tracks, samples), np.int16)
    for batch in batches:
        keys = batch.call.astype(np.int64) * 2 + batch.channel
        columns = (keys, batch.positions, batch.first, batch.last)
        for row, (key, position, first, last) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
            made[key, position + first : position + last] = batch.pcm[row, first:last]
    return made
