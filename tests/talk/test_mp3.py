"""Each piece by itself, through two decoders that have nothing in common; then the seams."""

from __future__ import annotations

import io
import subprocess
from itertools import pairwise
from shutil import which

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from media.codecs.mp3_tag import GAIN
from media.talk.contract import Pcm
from media.talk.mp3 import CONTEXT_SAMPLES, KBITS_PER_SECOND, Mp3PieceEncoder
from strep.errors import UsageError
from tests.codecs.speech import speech
from tests.patience import PATIENCE_S
from tests.searching import IS_LONG

every_rate = pytest.mark.parametrize("rate_hz", list(KBITS_PER_SECOND))


def by_libmpg123(piece: bytes) -> Pcm:
    pcm: Pcm = np.asarray(soundfile.read(io.BytesIO(piece), dtype="int16")[0], np.int16)
    return pcm


def by_ffmpeg(piece: bytes) -> Pcm:
    with av.open(io.BytesIO(piece), "r") as container:
        blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    heard = np.empty(sum(map(len, blocks)), np.int16)
    heard[:] = np.clip(np.rint(np.concatenate(blocks) * 32768), -32768, 32767)
    return heard


def tone(rate_hz: int, seconds: float) -> Pcm:
    place = 2 * np.pi * np.arange(int(rate_hz * seconds)) / rate_hz
    both: Pcm = np.rint(16_000 * np.sin(440 * place) + 3_000 * np.sin(1333 * place)).astype(np.int16)
    return both


def cut(samples: int, shortest: int, longest: int, seed: int = 3) -> list[slice]:
    """Return slices that cover `samples`, of lengths that have nothing to do with frames."""
    random, ends = np.random.default_rng(seed), [0]
    while ends[-1] < samples:
        ends.append(min(samples, ends[-1] + int(random.integers(shortest, longest))))
    return [slice(*pair) for pair in pairwise(ends)]


def pieces_of(pcm: Pcm, rate_hz: int, slices: list[slice], context_samples: int = CONTEXT_SAMPLES) -> list[bytes]:
    encoder = Mp3PieceEncoder(rate_hz, context_samples=context_samples)
    return [encoder.encode(pcm[part], pcm[part.stop :]) for part in slices]


def level_db(difference: NDArray[np.float64], ideal: NDArray[np.float64]) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(difference**2)) / ideal.std()))


@every_rate
@pytest.mark.parametrize("context_samples", [0, CONTEXT_SAMPLES])
def test_a_piece_decodes_to_its_own_samples(rate_hz: int, context_samples: int) -> None:
    said = speech(rate_hz)
    slices = [slice(0, 48), slice(48, 208), slice(208, 500), *(slice(a, a + 4001) for a in range(500, 20_000, 4001))]
    for part, piece in zip(slices, pieces_of(said, rate_hz, slices, context_samples), strict=True):
        one, other = by_libmpg123(piece), by_ffmpeg(piece)
        assert len(one) == len(other) == part.stop - part.start
        assert abs(one.astype(int) - other).max() < 20


@every_rate
def test_minutes_are_minutes(rate_hz: int) -> None:
    seconds = 600 if IS_LONG else 240
    said = np.tile(speech(rate_hz, 20), seconds // 20)
    heard = [0, 0]
    slices = cut(len(said), rate_hz, 30 * rate_hz)
    for part, piece in zip(slices, pieces_of(said, rate_hz, slices), strict=True):
        for number, decode in enumerate((by_libmpg123, by_ffmpeg)):
            decoded = decode(piece)
            assert len(decoded) == part.stop - part.start
            heard[number] += len(decoded)
    assert len(slices) > 8
    assert heard == [seconds * rate_hz] * 2


def seams_and_rest_db(rate_hz: int, context_samples: int) -> tuple[float, float]:
    """Return the level of what differs from a tone: within 10 ms of its cuts, and away from them."""
    said = tone(rate_hz, 12)
    slices = cut(len(said), rate_hz // 2, 2 * rate_hz)
    heard = np.concatenate([by_ffmpeg(piece) for piece in pieces_of(said, rate_hz, slices, context_samples)])
    ideal = said.astype(float)
    difference = heard / (heard @ ideal / (ideal @ ideal)) - ideal
    near, far = np.zeros(len(said), bool), np.ones(len(said), bool)
    far[: rate_hz // 5] = far[-rate_hz // 5 :] = False
    for part in slices[1:]:
        near[part.start - rate_hz // 100 : part.start + rate_hz // 100] = True
        far[part.start - rate_hz // 5 : part.start + rate_hz // 5] = False
    return level_db(difference[near], ideal), level_db(difference[far], ideal)


@every_rate
def test_a_seam_is_no_worse_than_the_rest(rate_hz: int) -> None:
    near_db, far_db = seams_and_rest_db(rate_hz, CONTEXT_SAMPLES)
    assert far_db < -70
    assert near_db < far_db + 3


@every_rate
def test_which_takes_what_comes_before_and_behind(rate_hz: int) -> None:
    near_db, far_db = seams_and_rest_db(rate_hz, 0)
    assert near_db > far_db + 20


def test_the_level_is_that_of_lame() -> None:
    said = tone(8000, 2)
    heard = by_ffmpeg(Mp3PieceEncoder(8000).encode(said)).astype(float)
    assert heard.std() / said.std() == pytest.approx(GAIN, abs=0.002)


def test_after_reset_nothing_comes_before() -> None:
    encoder = Mp3PieceEncoder(8000)
    first = encoder.encode(tone(8000, 1))
    assert encoder.encode(tone(8000, 1)) != first
    encoder.reset()
    assert encoder.encode(tone(8000, 1)) == first


@pytest.mark.peer
@pytest.mark.skipif(which("mpg123") is None, reason="no mpg123 here: make peers")
@every_rate
def test_mpg123_has_nothing_to_complain_of(rate_hz: int) -> None:
    """The program checks every frame, and the reservoir of bits that frames lend one another."""
    said = speech(rate_hz)
    slices = cut(len(said), rate_hz // 2, rate_hz)
    for part, piece in zip(slices, pieces_of(said, rate_hz, slices), strict=True):
        command = ["mpg123", "-q", "-e", "s16", "-s", "-"]
        run = subprocess.run(command, input=piece, capture_output=True, timeout=PATIENCE_S, check=True)
        assert run.stderr == b""
        assert len(run.stdout) == 2 * (part.stop - part.start)


@every_rate
def test_concatenated_they_are_a_file_too(rate_hz: int) -> None:
    """A player that strings messages together finds a frame where the last piece ended."""
    joined = b"".join(pieces_of(tone(rate_hz, 2), rate_hz, [slice(0, rate_hz), slice(rate_hz, 2 * rate_hz)]))
    with av.open(io.BytesIO(joined), "r") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 2 * rate_hz


def test_what_is_not_made() -> None:
    with pytest.raises(UsageError, match="8000, 16000, 24000 Hz, not at 44100"):
        Mp3PieceEncoder(44100)
    with pytest.raises(UsageError, match="48 samples at least, not 47"):
        Mp3PieceEncoder(8000).encode(np.zeros(47, np.int16))
