"""PCM that is still being made: an async iterator, such as a voice model that is still talking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterator
from typing import Any

import numpy as np

from media.talk.contract import Pcm, PlaybackError
from media.talk.resampler import Resampler
from media.talk.sources.arrays import check_finite, checked_array
from media.talk.sources.buffer import PcmBuffer
from media.talk.sources.conversion import check_rate, mono, pcm16, scaled

LOOK_AHEAD_S = 2
"""Beyond this much unread audio the iterator is not asked for more."""


class IteratorSource:
    """See `PcmSource`. A task asks the iterator whenever there is room, and closes it in the end.

    Args:
        pieces: yields bytes of s16le (samples may be cut in two) or arrays, mono or (n, channels).
        rate_hz: of the pieces.
        sample_rate_hz: of what is read.

    Raises:
        PlaybackError: the rate is none.
    """

    length_samples: int | None = None

    def __init__(self, pieces: AsyncIterable[Any], rate_hz: int | None, sample_rate_hz: int) -> None:
        if rate_hz is None:
            raise PlaybackError("an iterator of PCM needs its sample rate: rate_hz=...")
        check_rate(rate_hz, "the iterator of PCM")
        self.error: PlaybackError | None = None
        self._rate_hz = rate_hz
        self._resampler = Resampler(rate_hz, sample_rate_hz)
        self._buffer = PcmBuffer()
        self._most_samples = LOOK_AHEAD_S * sample_rate_hz
        self._half_sample = b""
        self._produced = 0
        self._is_done = False
        self._is_asking = True
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._task = asyncio.get_running_loop().create_task(self._pull(pieces))

    @property
    def has_ended(self) -> bool:
        """See `PcmSource.has_ended`."""
        return self._is_done and not self._buffer.samples

    def read(self, samples: int) -> Pcm:
        """See `PcmSource.read`."""
        taken = self._buffer.take(samples)
        if self._buffer.samples < self._most_samples:
            self._has_room.set()
        return taken

    def rewind(self) -> bool:
        """See `PcmSource.rewind`: what was said is not kept."""
        return False

    def close(self) -> None:
        """See `PcmSource.close`."""
        self._is_done = True
        self._buffer.clear()
        # Not at once: a task that is cancelled before it has begun would not close the iterator.
        self._task.get_loop().call_soon(self._give_up)

    def _give_up(self) -> None:
        if self._is_asking:
            self._is_asking = False
            self._task.cancel()

    async def _pull(self, pieces: AsyncIterable[Any]) -> None:
        iterator = None
        try:
            iterator = aiter(pieces)
            while not self._is_done:
                try:
                    piece = await anext(iterator)
                except StopAsyncIteration:
                    break
                for pcm in self._blocks(piece):
                    self._append(self._resampler.process(pcm))
                    await self._has_room.wait()
                await asyncio.sleep(0)  # an iterator that never waits leaves the others their turn
            self._append(self._resampler.flush())
            if not self._is_done:
                self.length_samples = self._produced
        except asyncio.CancelledError:
            if not self._is_done:
                self.error = PlaybackError("the iterator of PCM was cancelled")
            raise
        except PlaybackError as error:
            self.error = error
        except Exception as error:  # of a user's iterator: whatever it is, only this play ends
            self.error = PlaybackError(f"the iterator of PCM failed: {error!r}")
        finally:
            self._is_done, self._is_asking = True, False
            await self._close(pieces if getattr(iterator, "aclose", None) is None else iterator)

    def _append(self, pcm: Pcm) -> None:
        if self._is_done:
            return
        self._produced += len(pcm)
        self._buffer.append(pcm)
        if self._buffer.samples >= self._most_samples:
            self._has_room.clear()

    def _blocks(self, piece: Any) -> Iterator[Pcm]:
        """Yield a piece as (n,) int16, at most half a second of it."""
        if isinstance(piece, np.ndarray):
            if not len(piece):
                return
            table = checked_array(piece, self._rate_hz, what="a piece")
        elif isinstance(piece, bytes | bytearray | memoryview):
            raw = self._half_sample + bytes(piece)
            self._half_sample = raw[len(raw) // 2 * 2 :]
            table = np.frombuffer(raw, "<i2", len(raw) // 2)[:, None]
        else:
            raise PlaybackError(f"a piece is a {type(piece).__name__}; bytes and arrays can be played")
        step = self._rate_hz // 2
        for begin in range(0, len(table), step):
            block = table[begin : begin + step]
            if block.dtype.kind == "f":
                check_finite(block)
            # A copy in any case: who made the piece may fill the array anew.
            is_pcm = block.dtype == np.int16 and block.shape[1] == 1
            yield block[:, 0].copy() if is_pcm else pcm16(mono(scaled(block)))

    async def _close(self, pieces: Any) -> None:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            try:
                await close()
            except Exception as error:
                self.error = self.error or PlaybackError(f"the iterator of PCM failed at its end: {error!r}")
