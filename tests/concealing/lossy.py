"""Tracks that lose, cut into batches as the engine makes them, and what is to become of them, hole by hole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from media.blocks import PcmBatch
from media.carrier.audio import CONVERSATION, load
from strep.clock import NS_PER_SECOND
from strep.concealment import conceal, edge_samples
from strep.g711 import LINEAR, Codec, decode, encode
from strep.table import Beyond

RATE_HZ, PACKET = 8000, 160
Pcm = NDArray[np.int16]
Mask = NDArray[np.bool_]


def talk(tracks: int, packets: int) -> Pcm:
    """Return (tracks, samples) of a conversation, each from another place on; all speak without a pause."""
    both, length = load(CONVERSATION), packets * PACKET
    loud = [side[np.abs(side.astype(int)) > 100] for side in both]
    return np.array([loud[t % 2][4000 * t :][:length] for t in range(tracks)], np.int16)


def losses(tracks: int, packets: int, share: float, seed: int, packet: int = PACKET) -> Mask:
    """Return (tracks, samples), which are lost; single packets and bursts."""
    random = np.random.default_rng(seed)
    lost = random.random((tracks, packets)) < share
    lost[:, 1:] |= lost[:, :-1] & (random.random((tracks, packets - 1)) < 0.5)
    lost[:, 0] = False
    return np.repeat(lost, packet, axis=1)


def spans(mask: Mask) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def batches(
    pcm: Pcm, lost: Mask, width: int, codec: Codec | int = Codec.PCMU, start: int = 0, rate_hz: int = RATE_HZ
) -> Iterator[PcmBatch]:
    """Yield blocks of `width` samples of all tracks; track t is channel t % 2 of call t // 2.

    What is known behind a block is as much as is wanted, up to the next hole: as the timeline has it after a loss.
    """
    silent = np.where(lost, 0, pcm)
    coded = silent if codec == LINEAR else encode(silent.astype(np.int16), Codec(codec))
    coded[lost] = 0 if codec == LINEAR else Codec(codec).silence
    edge, tracks = edge_samples(rate_hz), np.arange(len(pcm))
    for begin in range(0, pcm.shape[1], width):
        end = begin + width
        holes, beyond = [], {}
        for row, mask in enumerate(lost):
            holes += [(row, a, b) for a, b in spans(mask[begin:end])]
            within = np.flatnonzero(mask[begin:end])
            if len(within) and within[-1] + 1 + edge > width:
                follows = np.flatnonzero(~mask[end:]) if mask[end - 1] else np.zeros(1, int)
                goes_on = int(follows[0]) if len(follows) else pcm.shape[1] - end
                again = np.flatnonzero(mask[end + goes_on :])
                known = min(edge, int(again[0])) if len(again) else edge
                beyond[row] = Beyond(goes_on, coded[row, end + goes_on :][:known])
        block = coded[:, begin:end].copy()
        yield PcmBatch(
            call=(tracks // 2).astype(np.int32),
            channel=(tracks % 2).astype(np.uint8),
            positions=np.full(len(pcm), start + begin),
            first=np.zeros(len(pcm), np.int32),
            last=np.full(len(pcm), width, np.int32),
            codec=np.full(len(pcm), codec, np.uint8),
            encoded=block,
            sample_rate_hz=rate_hz,
            now_ns=(start + end) * NS_PER_SECOND // rate_hz,
            lost=np.array(holes, np.int64).reshape(-1, 3),
            beyond=beyond,
        )


def expected(pcm: Pcm, lost: Mask, codec: Codec | int = Codec.PCMU, rate_hz: int = RATE_HZ) -> Pcm:
    """Return what is to come out, as PCM: one hole after the other, with all of the track at hand."""

    def heard(audio: Pcm) -> Pcm:
        return audio if codec == LINEAR else decode(encode(audio, Codec(codec)), Codec(codec))

    edge = edge_samples(rate_hz)
    made = heard(np.where(lost, 0, pcm).astype(np.int16))
    for row, mask in enumerate(lost):
        holes = spans(mask)
        for number, (begin, end) in enumerate(holes):
            next_begin = holes[number + 1][0] if number + 1 < len(holes) else pcm.shape[1]
            ahead, behind = made[row, max(begin - edge, 0) : begin], made[row, end : min(next_begin, end + edge)]
            before, after = np.zeros((2, 1, edge), np.int16)
            before[0, edge - len(ahead) :], after[0, : len(behind)] = ahead, behind
            known = [np.array([count]) for count in (len(ahead), end - begin, len(behind))]
            made[row, begin:end] = heard(conceal(before, known[0], known[1], after, known[2], rate_hz)[0])
    return made
